"""Business verticals of organizations, as (value, label)."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

VERTICALS: Final = (
    ("education", _("Education")),
    ("energy", _("Energy and utilities")),
    ("finance", _("Finance and insurance")),
    ("government", _("Government")),
    ("health", _("Health care")),
    ("hospitality", _("Hospitality and travel")),
    ("manufacturing", _("Manufacturing")),
    ("media", _("Media and entertainment")),
    ("nonprofit", _("Non-profit")),
    ("professional", _("Professional services")),
    ("real_estate", _("Real estate and construction")),
    ("research", _("Research")),
    ("retail", _("Retail and wholesale")),
    ("technology", _("Technology")),
    ("telecommunications", _("Telecommunications")),
    ("transport", _("Transport and logistics")),
    ("other", _("Other")),
)
