"""The history of an order: append-only events, chained by hashes.

Others import ``record``, ``head`` and ``acting_with_key`` from here; pages and the order desk also import
``event_sentences`` and ``verification``.
"""

from provisioning.history.recording import acting_with_key, head, record

__all__ = ["acting_with_key", "head", "record"]
