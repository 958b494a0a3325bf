"""Product packs: one module for each service that is sold.

Import the registry from here, as ``from subscriptions import packs`` and ``packs.of(service)``.
"""

from subscriptions.packs.base import (
    Bought,
    Pack,
    SetUpFacts,
    bought_of,
    in_order,
    installed,
    label_of,
    labels_of,
    line_label,
    of,
)

__all__ = [
    "Bought",
    "Pack",
    "SetUpFacts",
    "bought_of",
    "in_order",
    "installed",
    "label_of",
    "labels_of",
    "line_label",
    "of",
]
