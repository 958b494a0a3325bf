"""The product's emails.

Other packages import from here: ``queue``, ``try_again``, ``wake``, ``wake_task`` and ``wake_for_pdfs`` (the outbox);
``compose`` and ``compose_code`` (for the worker). Nothing else of this package.
"""

from provisioning.emails.composing import compose, compose_code
from provisioning.emails.outbox import queue, try_again, wake, wake_for_pdfs, wake_task

__all__ = ["compose", "compose_code", "queue", "try_again", "wake", "wake_for_pdfs", "wake_task"]
