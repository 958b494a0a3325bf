"""Drives the wizard as a browser without JavaScript does: opens a step, fills its form in, follows redirects."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from django.test import Client
from django.urls import reverse

from subscriptions.models import Order


class _Fields(HTMLParser):
    """Collects the successful controls of the form with the id "step"."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.inside = False
        self.select: str | None = None
        self.first_option: str | None = None
        self.selected = False
        self.textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        if tag == "form":
            self.inside = at.get("id") == "step"
        if not self.inside:
            return
        name = at.get("name") or ""
        if tag == "input" and name:
            kind = at.get("type", "text")
            if kind in {"radio", "checkbox"} and "checked" not in at:
                return
            if kind in {"submit", "button"}:
                return
            self.fields.setdefault(name, []).append(at.get("value") or ("on" if kind == "checkbox" else ""))
        elif tag == "select" and name:
            self.select, self.first_option, self.selected = name, None, False
        elif tag == "option" and self.select:
            if self.first_option is None:
                self.first_option = at.get("value") or ""
            if "selected" in at:
                self.fields[self.select] = [at.get("value") or ""]
                self.selected = True
        elif tag == "textarea" and name:
            self.textarea = name
            self.fields[name] = [""]

    def handle_data(self, data: str) -> None:
        if self.textarea:
            self.fields[self.textarea][0] += data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "textarea":
            self.textarea = None
        elif tag == "select" and self.select:
            if not self.selected and self.first_option is not None:
                self.fields.setdefault(self.select, [self.first_option])
            self.select = None


def form_fields(html: str) -> dict[str, list[str]]:
    """Return the fields that a browser would post of the step's form on this page, as they stand."""
    parser = _Fields()
    parser.feed(html)
    return parser.fields


def radio_value(html: str, public_id: str) -> str:
    """Return the value of an organization's radio on this page, which is signed; where there is none, the id itself."""
    found = re.search(rf'value="({re.escape(public_id)}:[^"]+)"', html)
    return found[1] if found else public_id


class Wizard:
    """One person's way through one order."""

    def __init__(self, client: Client, order: Order, flow: str = "find") -> None:
        self.client, self.order, self.flow = client, order, flow
        self.page: Any = None

    def url(self, step: str, query: str = "") -> str:
        """Return a step's address."""
        return reverse(self.flow, args=[self.order.number, step]) + query

    def open(self, step: str = "", query: str = "") -> str:
        """Open a step (or the one that is due), follow redirects, and return the page."""
        address = self.url(step, query) if step else reverse(self.flow, args=[self.order.number])
        self.page = self.client.get(address, follow=True)
        return self.html

    @property
    def html(self) -> str:
        """The page shown now."""
        return str(self.page.content.decode())

    @property
    def at(self) -> str:
        """The last part of the address of the page shown now: the step's name."""
        path = self.page.redirect_chain[-1][0] if self.page.redirect_chain else self.page.request["PATH_INFO"]
        return str(urlsplit(path).path).rstrip("/").rpartition("/")[2]

    def fill(self, step: str, **answers: Any) -> str:
        """Post the page shown now with these fields changed (without the step's prefix), follow, return the page."""
        fields: dict[str, Any] = form_fields(self.html)
        for name, value in answers.items():
            plain = name in {"back", "add", "remove", "split", "use", "show", "revision"}
            key = name if plain else f"{step}-{name.replace('__', '-')}"
            if value is None or value is False:
                fields.pop(key, None)
            elif name in {"organization", "duplicate"}:
                fields[key] = radio_value(self.html, str(value))
            else:
                fields[key] = "on" if value is True else value
        self.page = self.client.post(self.url(step), fields, follow=True)
        return self.html

    def search(self, step: str, domain: str) -> str:
        """Search by domain beside the step's form, follow, and return the page."""
        self.page = self.client.post(self.url(step), {"search": "1", "domain": domain}, follow=True)
        return self.html

    def answer(self, step: str, **answers: Any) -> str:
        """Open a step, then fill it in."""
        self.open(step)
        assert self.at == step, f"expected the step {step}, got {self.at}"
        return self.fill(step, **answers)

    def make(self, which: str, name: str, country: str = "DE") -> str:
        """Make a new organization ("partner" or "customer") of this name, from where one is chosen; return the page."""
        self.fill(which, organization="new")
        vertical = "technology" if which == "partner" else "retail"
        self.fill(f"{which}-new", name=name, vertical=vertical, country=country)
        return self.fill(f"{which}-check", duplicate="new")

    def fill_headquarters(self, name: str = "Headquarters") -> str:
        """Answer the steps of a location in Berlin, and return the page."""
        self.fill("location", name=name, country="DE")
        assert self.at == "address"
        here = {"street_address": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117"}
        speaking = {"language": "de", "announcement_language": "de", "emergency": "same"}
        return self.fill("address", **here, **speaking, time_zone="Europe/Berlin")
