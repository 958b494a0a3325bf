"""The packs that come with the product, as far as they know what was bought: one module a service."""
