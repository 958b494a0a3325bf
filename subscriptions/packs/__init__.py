"""The services that are sold. Import the registry from here; each service is a module of this package."""

from subscriptions.packs.base import Pack, SetUpFacts, in_order, installed, label_of, of

__all__ = ["Pack", "SetUpFacts", "in_order", "installed", "label_of", "of"]
