"""What every answer and every deployment has, and the table of OWASP ASVS, whose tests have to exist."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from provisioning.people import links
from tests.long.local_machine import ROOT
from tests.mailbox import code_in, newest

ASVS = ROOT / "provisioning" / "deployment" / "asvs.md"
KIM = "kim@contoso.example"
# How many requirements of levels 1 and 2 each chapter of version 5.0.0 has.
CHAPTERS = {1: 27, 2: 11, 3: 19, 4: 10, 5: 9, 6: 35, 7: 18, 8: 7, 9: 7, 10: 29, 11: 14, 12: 9, 13: 13, 14: 9, 15: 13,
            16: 16, 17: 7}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/sign-in/", "/privacy/", "/verify/", "/brand.css", "/no-such-page/", "/admin/"])
def test_every_answer_has_the_headers_that_browsers_heed(path: str) -> None:
    answer = Client().get(path)
    policy = answer["Content-Security-Policy"]
    for wanted in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert wanted in policy
    assert "unsafe" not in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in answer
    assert "charset=utf-8" in answer.get("Content-Type", "charset=utf-8")


@pytest.mark.django_db
def test_a_sign_in_makes_a_new_session_and_a_sign_out_ends_it() -> None:
    links.user_for(KIM)
    client = Client()
    client.post("/sign-in/", {"email": KIM})
    before = client.cookies["sessionid"].value
    client.post("/sign-in/code/", {"code": code_in(newest(KIM))})
    cookie = client.cookies["sessionid"]
    assert cookie.value != before
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert client.get("/orders/").status_code == 200
    stolen = Client()
    stolen.cookies["sessionid"] = cookie.value
    client.post("/sign-in/sign-out/")
    assert stolen.get("/orders/").status_code == 302
    assert Client().generic("TRACE", "/orders/").status_code in {302, 405}


def test_the_table_of_asvs_has_each_requirement_once_and_its_tests_exist() -> None:
    text = ASVS.read_text()
    rows = re.findall(r"^\| ([0-9., ]+) \| (.+) \|$", text, re.MULTILINE)
    ids = [one.strip() for cell, _said in rows for one in cell.split(",")]
    assert len(ids) == len(set(ids))
    counts = {chapter: sum(one.startswith(f"{chapter}.") for one in ids) for chapter in CHAPTERS}
    assert counts == CHAPTERS
    for cell, said in rows:
        named = re.findall(r"`(tests/\S+\.py)(?:::(\w+))?`", said)
        assert named or said.startswith(("No: ", "Open: ", "Documented: ")), cell
        for path, test in named:
            source = (ROOT / path).read_text()
            assert not test or re.search(rf"^def {test}\(", source, re.MULTILINE), (cell, path, test)
        for path in re.findall(r"\]\(([^)#]+)\)", said):
            assert (ASVS.parent / path).exists(), (cell, path)
