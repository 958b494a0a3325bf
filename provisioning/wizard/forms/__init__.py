"""One form a step of the wizard, one module a part."""
