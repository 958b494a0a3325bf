"""The order summary: its facts, their sentences, and the PDFs made of them.

Import from here: ``build_summary``, ``OrderSummary``, ``mask_email``, and the modules ``documents`` (a summary that was
issued, and its verification), ``pdf_cache`` (its stored PDFs), ``verification_codes``, ``pdf`` and ``fonts``.
"""

from subscriptions.summary.facts import BoughtLine, Company, mask_email
from subscriptions.summary.order_summary import OrderSummary, build_summary

__all__ = ["BoughtLine", "Company", "OrderSummary", "build_summary", "mask_email"]
