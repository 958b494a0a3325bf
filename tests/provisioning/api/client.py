"""A system that calls the API, without any cookie."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.test import Client

from provisioning import actions
from provisioning.models import SCOPES


def a_key(name: str = "crm", scopes: Iterable[str] = SCOPES, **more: Any) -> str:
    """Return a key with these scopes; without them, with all."""
    _key, text = actions.make_key(name=name, scopes=scopes, **more)
    return text


class Api:
    """Calls with a key. ``json`` is the last answer's body, ``problem`` the code of its problem."""

    def __init__(self, key: str = "", **environ: Any) -> None:
        self.key, self.environ = key, environ
        self.answer: Any = None

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call an address below /api/v1; headers are given as ``if_match``. Returns the response."""
        kind = headers.pop("content_type", "application/json")
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        if self.key:
            named["Authorization"] = f"Bearer {self.key}"
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        self.answer = client.generic(method, f"/api/v1{path}", sent, content_type=kind, headers=named, **self.environ)
        return self.answer

    def ok(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """Call, expect this status, and return the JSON of the answer; None where it has no body."""
        answer = self.call(method, path, body, **headers)
        assert answer.status_code == status, answer.content
        return self.json if answer.content else None

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, list[Any]]:
        """Call, expect a problem, and return its status, code and errors."""
        answer = self.call(method, path, body, **headers)
        assert self.problem, answer.content
        return answer.status_code, self.problem, self.json.get("errors", [])

    def get(self, path: str, **headers: str) -> Any:
        """GET."""
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """POST."""
        return self.call("POST", path, body, **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        """PATCH."""
        return self.call("PATCH", path, body, **headers)

    @property
    def json(self) -> Any:
        """The body of the last answer."""
        return json.loads(self.answer.content)

    @property
    def problem(self) -> str:
        """The code of the problem that the last answer is; "" if it is none."""
        if self.answer["Content-Type"] != "application/problem+json":
            return ""
        said = self.json
        assert said["status"] == self.answer.status_code
        return str(said["type"]).rpartition("/api/docs/#")[2]

    @property
    def faults(self) -> dict[str, str]:
        """The sentences of the last problem by the place of the fault."""
        return {each.get("pointer", each.get("parameter")): each["detail"] for each in self.json["errors"]}


def a_system(*scopes: str, name: str = "crm") -> Api:
    """Return a system of the vendor, with a new key of this name that has these scopes."""
    return Api(a_key(name, scopes))


def an_order_body(number: str | None = "CRM-1", **more: Any) -> dict[str, Any]:
    """Return the body of an order, as a CRM sends it."""
    body = {
        "number": number,
        "sold_to": "Partner Networks",
        "contact_email": "sam@partner.example.net",
        "customer": {"name": "Contoso", "email": "it@contoso.example.org"},
        "lines": [{"service": "meetings", "product": "Meetings Pro", "licenses": 250, "term_months": 24}],
        **more,
    }
    return {name: value for name, value in body.items() if value is not None}
