"""The order desk makes API keys, shows each once, and revokes them."""

from __future__ import annotations

import re

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse

from provisioning.models import ApiKey, User
from tests.factories import signed_in
from tests.provisioning.api.client import Api
from tests.scripted import an_operator

LIST = "admin:provisioning_apikey_changelist"
ADD = "admin:provisioning_apikey_add"


@pytest.mark.django_db
def test_only_a_supervisor_makes_a_key_since_a_key_can_give_rights() -> None:
    User.objects.create_user("dora@vendor.example", is_staff=True, desk_role="desk")
    desk = signed_in("dora@vendor.example")
    assert reverse(ADD) not in desk.get(reverse(LIST)).text
    assert desk.get(reverse(ADD)).status_code == 403
    typed = {"name": "CRM", "scopes": ["directory:write"], "days": "", "networks": ""}
    assert desk.post(reverse(ADD), typed).status_code == 403
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_operator_makes_a_key_that_is_shown_once_and_revokes_it() -> None:
    desk = signed_in(an_operator().email)
    assert reverse(ADD) in desk.get(reverse(LIST)).text
    wrong = {"name": "", "scopes": [], "days": "0", "networks": "here"}
    page = desk.post(reverse(ADD), wrong).text
    assert page.count("has-problem") == 3
    typed = {"name": "CRM", "scopes": ["orders:read"], "days": "30", "networks": "here"}
    assert "Enter up to 20 networks" in desk.post(reverse(ADD), typed).text
    assert not ApiKey.objects.exists()
    page = desk.post(reverse(ADD), typed | {"networks": "127.0.0.0/8, 10.0.0.7"}).text
    found = re.search(r'<code id="api-key">(spk_[\w-]+)</code>', page)
    assert found
    key = ApiKey.objects.get()
    assert (key.scopes, key.networks) == (["orders:read"], ["127.0.0.0/8", "10.0.0.7/32"])
    assert "There is a key of this name already" in desk.post(reverse(ADD), typed | {"networks": ""}).text
    api = Api(found[1])
    assert api.get("/orders").status_code == 200
    page = desk.get(reverse(LIST)).text
    assert "CRM" in page
    assert found[1] not in page
    assert found[1] not in " ".join(Session.objects.values_list("session_data", flat=True))

    revoke = reverse("admin:provisioning_apikey_revoke", args=[key.pk])
    assert revoke in page
    assert desk.get(revoke).status_code == 200
    assert api.get("/orders").status_code == 200
    assert "The key CRM is revoked." in desk.post(revoke, follow=True).text
    assert api.get("/orders").status_code == 401
    assert revoke not in desk.get(reverse(LIST)).text
    stranger = signed_in("kim@contoso.example.org")
    for address in (reverse(ADD), revoke, reverse(LIST)):
        assert stranger.post(address, typed).status_code in {302, 403}
    assert ApiKey.objects.count() == 1
