"""Product packs: one module for each service that is sold.

Import the registry from here, as ``from subscriptions import packs`` and ``packs.of(service)``.
"""

from subscriptions.packs.base import Pack, SetUpFacts, in_order, installed, label_of, of

__all__ = ["Pack", "SetUpFacts", "in_order", "installed", "label_of", "of"]
