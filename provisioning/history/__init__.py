"""The history of an order: append-only events, chained by hashes. Import ``record`` and ``head`` from here."""

from provisioning.history.recording import head, record

__all__ = ["head", "record"]
