"""The packs that come with the product, as far as they ask: one module a service, with its table of steps."""
