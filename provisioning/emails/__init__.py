"""The product's emails. Import ``queue``, ``wake``, ``try_again``, ``compose`` and ``compose_code`` from here."""

from provisioning.emails.outbox import compose, compose_code, queue, try_again, wake, wake_for_pdfs, wake_task

__all__ = ["compose", "compose_code", "queue", "try_again", "wake", "wake_for_pdfs", "wake_task"]
