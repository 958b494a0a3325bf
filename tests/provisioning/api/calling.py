"""A system that calls the API with a key."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from provisioning.actions.api_keys import make_key


class System:
    """A system of the vendor, with a key of its own that has these scopes."""

    def __init__(self, *scopes: str, name: str = "crm") -> None:
        _key, self.text = make_key(name=name, scopes=scopes)
        self.client = Client(headers={"Authorization": f"Bearer {self.text}"})

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """Call an address below /api/v1; a body that isn't bytes is sent as JSON."""
        content = headers.pop("content_type", "application/json")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.client.generic(  # type: ignore[return-value]  # Django's test response
            method, f"/api/v1{path}", data, content_type=content, headers=headers
        )

    def ok(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """Call, expect this status, and return the JSON of the answer."""
        response = self.call(method, path, body, **headers)
        assert response.status_code == status, response.content
        return json.loads(response.content) if response.content else None

    def problem(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, list[Any]]:
        """Call, and return status, code and errors of the problem that is answered."""
        response = self.call(method, path, body, **headers)
        assert response["Content-Type"] == "application/problem+json", response.content
        found = json.loads(response.content)
        return response.status_code, found["type"].rpartition("#")[2], found.get("errors", [])
