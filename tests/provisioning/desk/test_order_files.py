"""Files of orders at the order desk: upload, the plan, applying it without and with JavaScript, and the report."""

from __future__ import annotations

import csv
import json
import re

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from provisioning.bulk import batches
from provisioning.models import Mail, OrderBatch, User
from subscriptions.models import Order
from tests.factories import an_order, signed_in

pytestmark = pytest.mark.django_db

FILES = "/admin/provisioning/orderbatch/"
TABLE = """number,sold_to,contact_email,customer_name,meetings
D-1,Northwind,kim@northwind.example,Contoso,100
D-2,Northwind,kim@northwind.example,Contoso GmbH,many
D-3,Northwind,kim@northwind.example,<b>Contoso</b>,70
"""


@pytest.fixture
def desk(client: Client) -> Client:
    call_command("add_operator", "olga@vendor.example", verbosity=0)
    client.force_login(User.objects.get(email="olga@vendor.example"), backend=settings.AUTHENTICATION_BACKENDS[0])
    return client


def upload(client: Client, content: str, name: str = "orders.csv") -> str:
    """Upload a file, and return the address of its page."""
    answer = client.post(FILES + "add/", {"file": SimpleUploadedFile(name, content.encode())})
    assert answer.status_code == 302, answer.text
    return answer["Location"]


def test_a_file_is_planned_shown_applied_once_and_reported(desk: Client) -> None:
    an_order(number="D-3", sold_to="Northwind", contact="kim@northwind.example", customer="Contoso", customer_email="")
    here = upload(desk, TABLE)
    text = desk.get(here).text
    assert "Being checked: order 1 of 3." in text
    assert 'value="33"' in text  # what can't be an order is refused as soon as it is read
    assert "Apply (" not in text
    assert not batches.work_on_all(60)

    text = desk.get(here).text
    assert "Checked. Orders in the file: 3. Nothing is placed yet." in text
    assert "Apply (1 new, 1 corrected)" in text
    assert "Line 1: licenses: Enter a number of licenses between 1 and 1,000,000." in text
    assert "<del>Contoso</del> → <ins>&lt;b&gt;Contoso&lt;/b&gt;</ins>" in text
    assert "Other orders of the file are for the same customer" in text
    assert "D-2" not in desk.get(here + "?show=new").text.partition("<tbody>")[2]
    assert Order.objects.count() == 1

    # GET changes nothing; POST twice applies once.
    assert desk.get(here.replace("change", "apply")).status_code == 302
    assert OrderBatch.objects.get().state == "planned"
    for _time in range(2):
        desk.post(here.replace("change", "apply"))
    assert "Being applied: order 1 of 3." in desk.get(here).text
    assert not batches.work_on_all(60)
    text = desk.get(here, headers={"HX-Request": "true"}).text
    assert "Applied. Orders in the file: 3." in text
    assert "<html" not in text
    assert "hx-get" not in text
    assert Order.objects.get(number="D-1").events.get(kind="placed").who == "olga@vendor.example"
    assert Order.objects.get(number="D-3").customer_name == "<b>Contoso</b>"
    assert Mail.objects.filter(event="order_placed", to="kim@northwind.example").count() == 2

    answer = desk.get(here.replace("change/", "report.csv"))
    rows = list(csv.reader(answer.getvalue().decode("utf-8-sig").splitlines()))
    assert answer["Content-Disposition"] == 'attachment; filename="report-orders.csv"'
    assert [row[1:3] for row in rows[1:]] == [["D-1", "New"], ["D-2", "Refused"], ["D-3", "Corrected"]]


def test_the_file_to_fill_in_is_one_that_can_be_placed(desk: Client) -> None:
    content = desk.get(FILES + "sample.csv").content
    answer = desk.post(FILES + "add/", {"file": SimpleUploadedFile("orders.csv", content)})
    assert not batches.work_on_all(60)
    assert "Apply (1 new, 0 corrected)" in desk.get(answer["Location"]).text


def test_a_file_that_can_t_be_read_is_refused_at_the_field_and_others_stay_out(desk: Client) -> None:
    bad = desk.post(FILES + "add/", {"file": SimpleUploadedFile("orders.json", b"[")})
    assert re.search(r"errorlist.*The file is no JSON", bad.text, re.DOTALL)
    assert "Choose a file." in desk.post(FILES + "add/", {}).text
    large = desk.post(FILES + "add/", {"file": SimpleUploadedFile("orders.csv", b"x" * (11 * 1024 * 1024))})
    assert "The file is larger than 10 MB. Divide it." in large.text
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = desk.cookies
    assert strict.post(FILES + "add/", {"file": SimpleUploadedFile("orders.csv", TABLE.encode())}).status_code == 403
    assert not OrderBatch.objects.exists()
    here = upload(desk, json.dumps([{"number": "X"}]), "orders.json")
    for path in (FILES, FILES + "add/", here, here.replace("change", "apply"), here.replace("change/", "report.csv")):
        answer = signed_in("kim@northwind.example").get(path)
        assert (answer.status_code, answer["Location"].startswith("/admin/login/")) == (302, True)
    assert desk.get(FILES + "99999/change/").status_code == 404
    assert desk.get(FILES + "9" * 30 + "/change/").status_code == 404
