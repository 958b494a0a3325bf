"""Provisioning requests and their drivers. Import the changes from ``transitions``, the worker's loop from ``loop``."""
