"""The order desk's pages: no sideways scrolling, every column of the list in sight.

``DESK_SCREENSHOTS=folder`` writes a picture of each page in light and dark, and has axe look at it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page

from orgs.models import LikelyDuplicate
from provisioning import actions
from provisioning.models import Mail, Part, SavedFilter, User, Webhook
from provisioning.people import links
from subscriptions.models import Order, ProvisioningRequest
from tests.browser.person import Person
from tests.browser.test_pages import RUN_AXE, SCHEMES, STICKS_OUT
from tests.factories import a_delegated_order, a_mapped_order, an_order, an_organization

pytestmark = pytest.mark.django_db(transaction=True)
OLGA = "olga@vendor.example"
LIST = "/admin/subscriptions/order/"
# Rows of the list's table whose cells are cut off at the right.
CUT_OFF = """() => [...document.querySelectorAll("#result_list")]
  .filter(table => table.getBoundingClientRect().right > document.documentElement.clientWidth + 1).length"""


def _pages() -> dict[str, str]:
    """Make orders in many states, and return the pages to look at."""
    user = links.user_for(OLGA)
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    for number in range(12):
        an_order(
            number=f"PO-2026-{number:06d}",
            sold_to="Northern Telecommunications Resale Europe",
            customer="Contoso Bakery and Confectionery Holding",
            contact=f"provisioning.contact{number}@partner.example.net",
        )
    order = Order.objects.get(number="PO-2026-000003")
    actions.put_on_hold(order=order, by=user, reason="Credit check", message="We wait for your purchase order.")
    actions.add_note(order=order, by=user, text="Called the contact; will answer on Monday.")
    actions.set_desk_owner(order=order, by=user, owner=OLGA)
    Order.objects.filter(number="PO-2026-000004").update(closes_at=timezone.now() + timedelta(days=2))
    Part.objects.filter(order__number="PO-2026-000005").update(since_at=timezone.now() - timedelta(days=8))
    Mail.objects.filter(order__number="PO-2026-000006").update(sent_at=timezone.now(), bounced_at=timezone.now())
    a_delegated_order(number="PO-DELEGATED")
    failed = a_mapped_order(number="PO-FAILED")
    with transaction.atomic():  # the state of an order follows from its requests
        Order.objects.filter(pk=failed.pk).update(state="setting_up")
        ProvisioningRequest.objects.create(
            order=failed, line=failed.lines.get(), driver="osb", parameters={}, state="failed", problem_code="x"
        )
    one = an_organization("Contoso Bakery", administrators=["boss@contoso.example.org"], domains=["contoso.example"])
    other = an_organization("Contoso Bakery Ltd", members=["ann@contoso.example.org"], other_names=["Kontoso"])
    LikelyDuplicate.objects.create(organization=one, other=other, why="same_name_country")
    SavedFilter.objects.create(user=user, table="subscriptions_order", name="Contoso, late", query="q=Contoso")
    two = "&".join(f"order={each.pk}" for each in Order.objects.filter(number__lt="PO-2026-000005"))
    return {
        "index": "/admin/",
        "dashboard": "/admin/dashboard/",
        "orders": LIST,
        "orders-filtered": f"{LIST}?q=Contoso&acts=contact",
        "order": f"{LIST}{order.pk}/change/",
        "act-hold": f"{LIST}act/hold/?order={failed.pk}&{two}",
        "act-cancel": f"{LIST}act/cancel/?order={failed.pk}&{two}",
        "emails": "/admin/provisioning/mail/",
        "requests": "/admin/subscriptions/provisioningrequest/",
        "organizations": "/admin/orgs/organization/?q=onto",
        "organization": f"/admin/orgs/organization/{one.pk}/change/",
        "members": f"/admin/orgs/organization/{one.pk}/members/",
        "member": f"/admin/orgs/organization/{one.pk}/members/{one.members.get().pk}/",
        "merge": f"/admin/orgs/organization/merge/?organization={one.pk}&organization={other.pk}",
        "duplicates": "/admin/orgs/likelyduplicate/",
    }


def test_the_desk_fits_every_width_and_shows_every_column(person: Callable[..., Person]) -> None:
    pages, folder = _pages(), os.environ.get("DESK_SCREENSHOTS")
    page = person(OLGA, viewport={"width": 1280, "height": 900}).page
    problems: list[str] = []
    for name, path in pages.items():
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(path)
        problems += [f"{name}: {each}" for each in _problems(page, name, folder)]
    assert Webhook.objects.count() == 0
    assert not problems, "\n".join(problems)


def _problems(page: Page, name: str, folder: str | None) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"at {width} px sticks out: {element}" for element in page.evaluate(STICKS_OUT)]
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.evaluate("document.getAnimations().forEach(each => each.finish())")  # the admin's colours fade
            if folder:
                found += [f"at {width} px, {scheme}: {each}" for each in page.evaluate(RUN_AXE, {})]
                page.screenshot(path=Path(folder) / f"{name}-{width}-{scheme}.png", full_page=True)
    if name.startswith("orders") and page.evaluate(CUT_OFF):
        found.append("columns are hidden at 1280 px")
    return found
