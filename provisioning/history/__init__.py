"""The history of an order: append-only events, chained by hashes.

Others import ``record`` and ``head`` from here; pages and the order desk also import ``event_sentences`` and
``verification``.
"""

from provisioning.history.recording import head, record

__all__ = ["head", "record"]
