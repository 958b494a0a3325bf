"""The dashboard: how far orders come and how long it takes, why they are stuck, how services are being set up."""

from __future__ import annotations

import csv
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.utils import timezone

from provisioning import actions
from provisioning.models import Part, User
from provisioning.people import links
from subscriptions.models import DriverHealth, Order, ProvisioningRequest
from tests.factories import a_mapped_order, an_order, signed_in

pytestmark = pytest.mark.django_db
DASHBOARD = "/admin/dashboard/"


def test_the_dashboard_counts_the_orders_of_the_period_as_drawing_table_and_csv() -> None:
    User.objects.filter(pk=links.user_for("olga@vendor.example").pk).update(is_staff=True, is_superuser=True)
    desk = signed_in("olga@vendor.example")
    begin = timezone.now() - timedelta(days=20)
    orders = [an_order(number=f"PO-{number}") for number in range(6)]
    mapped = a_mapped_order(number="PO-MAPPED")
    failed = a_mapped_order(number="PO-FAILED", contact="kim@fabrikam.example.org")
    Order.objects.update(placed_at=begin, date_set_at=begin, opened_at=None)
    Part.objects.update(since_at=begin, opened_at=None)
    for order, hours in ((orders[0], 1), (orders[1], 3), (mapped, 5), (failed, 5)):
        Order.objects.filter(pk=order.pk).update(opened_at=begin + timedelta(hours=hours))
        Part.objects.filter(order=order).update(opened_at=begin)
    Order.objects.filter(pk__in=[mapped.pk, failed.pk]).update(mapped_at=begin + timedelta(hours=6))
    actions.cancel_order(order=orders[2], by=None)
    actions.put_on_hold(order=orders[3], by=None, reason="Credit check")
    Order.objects.filter(pk=orders[4].pk).update(placed_at=begin - timedelta(days=60))
    Order.objects.filter(pk=failed.pk).update(state="setting_up")
    line = failed.lines.get()
    ProvisioningRequest.objects.create(
        order=failed, line=line, driver="osb", parameters={}, state="failed", problem_code="x"
    )
    DriverHealth.objects.create(service=line.service, open_until=timezone.now() + timedelta(minutes=5))

    page = desk.get(DASHBOARD).text
    drawn = re.findall(r"<text[^>]*>([^<]+)</text>", page)
    assert drawn[:4] == ["Placed: 7 (100 %)", "Opened: 4 (57 %)", "Mapped: 2 (29 %)", "Set up: 0 (0 %)"]
    widths = [int(width) for width in re.findall(r'class="desk-bar"[^>]*width="(\d+)"', page)]
    assert widths[:4] == [360, 206, 103, 0]
    assert "style=" not in page  # the content security policy allows none
    words = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert "Opened 4 57 % 4 hours" in words  # of 1, 3, 5 and 5
    assert "Mapped 2 29 % 60 minutes" in words
    assert "Cancelled: 1." in words
    assert "Paused: it failed several times in a row" in words

    answer = desk.get("/admin/dashboard.csv")
    rows = {tuple(row[:3]): row[3] for row in csv.reader(StringIO(b"".join(answer).decode("utf-8-sig")))}
    assert rows["Funnel", "Placed", "Orders"] == "7"
    assert rows["Funnel", "Opened", "Median seconds from the stage before"] == str(4 * 3600)
    assert rows["Stuck orders", "On hold", "Orders"] == "1"
    assert rows["Stuck orders", "The set-up failed, or is out of reach", "Orders"] == "1"
    # Of those that nobody opened, one is on hold, one cancelled; the period doesn't matter for what is stuck now.
    assert rows["Stuck orders", "Not opened for a week", "Orders"] == "2"
    assert rows["Provisioning", "Meetings (osb)", "Failed"] == "1"
    assert "Placed: 8 (100 %)" in desk.get(DASHBOARD, {"days": "0"}).text
    assert "Placed: 0 (0 %)" in desk.get(DASHBOARD, {"days": "7"}).text
    assert desk.get(DASHBOARD, {"days": "x"}).status_code == 200
    reader = signed_in("sam@partner.example.net")
    for path in (DASHBOARD, "/admin/dashboard.csv"):
        assert reader.get(path, follow=True).status_code == 403
