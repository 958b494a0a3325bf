"""People's data: what is stored about a person, its export and erasure, and how long data is kept.

Others import ``export``, ``erase`` and ``look_after_retention`` from here.
"""

from provisioning.privacy.erasure import NotNow, erase
from provisioning.privacy.exporting import export
from provisioning.privacy.retention import look_after_retention

__all__ = ["NotNow", "erase", "export", "look_after_retention"]
