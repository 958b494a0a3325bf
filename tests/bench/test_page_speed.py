"""How long a step of the wizard takes, beside its form and template in a bare formtools wizard. Asked for by path.

One process, one run; rounds take turns, so that what else the machine does falls on all alike, and templates are
rendered as in production (the test runner's own rendering notes every template). ``bare`` is a SessionWizardView with
its answers in the session and nothing else: no order, no rights, no draft, no rail of steps; it has our form and page.
``stock`` is the same with Django's own select and inputs. Both the wall's and the processor's time are told: on a busy
machine only the second, and only as a ratio, means anything.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from django import forms
from django.forms.renderers import TemplatesSetting
from django.http import HttpRequest, HttpResponse
from django.template import Template
from django.test import Client, override_settings
from django.test.utils import _TestState
from django.urls import path
from formtools.wizard.views import SessionWizardView

from provisioning.urls import urlpatterns as own_urls
from provisioning.wizard.forms.meetings.site_forms import MeetingSetup
from tests.driver import Wizard, form_fields
from tests.factories import a_mapped_order, signed_in

pytestmark = pytest.mark.django_db
KIM = "kim@contoso.example.org"
ROUNDS = 60
ORDER = SimpleNamespace(number="T-000000")
FACTS: dict[str, Any] = {"country": "US", "base_domain": "meet.example.com"}


class StockMeetings(MeetingSetup):
    """The same form with Django's own select and inputs."""

    template = MeetingSetup.template
    default_renderer = TemplatesSetting

    def prepare(self) -> None:
        """Replace the select of zones."""
        super().prepare()
        zone = self.fields["time_zone"]
        assert isinstance(zone, forms.ChoiceField)
        choices = zone.choices
        zone.widget = forms.Select()
        zone.choices = choices


class BareWizard(SessionWizardView):  # type: ignore[misc]
    """formtools as it comes."""

    form_list: ClassVar[list[tuple[str, type[Any]]]] = [("meetings", MeetingSetup), ("again", MeetingSetup)]

    def get_form_kwargs(self, step: str | None = None) -> dict[str, Any]:
        """The facts are at hand: nothing is looked up."""
        return {"order": ORDER, "answers": {}, **FACTS}

    def get_template_names(self) -> list[str]:
        """The page of our step."""
        return [MeetingSetup.template]

    def get_context_data(self, form: Any, **kwargs: Any) -> dict[str, Any]:
        """What that page reads."""
        step = {"name": "meetings", "title": form.title, "lead": form.lead, "button": form.button}
        return {**super().get_context_data(form=form, **kwargs), "step": step, "order": ORDER}

    def done(self, form_list: list[Any], **kwargs: Any) -> HttpResponse:
        """Nothing is done with the answers."""
        return HttpResponse()


class StockWizard(BareWizard):
    """The same with Django's own select."""

    form_list: ClassVar[list[tuple[str, type[Any]]]] = [("meetings", StockMeetings), ("again", StockMeetings)]


def nothing(request: HttpRequest) -> HttpResponse:
    """What the middleware takes."""
    return HttpResponse(request.user.email)  # type: ignore[union-attr]


urlpatterns = [
    *own_urls,
    path("bare/", BareWizard.as_view()),
    path("stock/", StockWizard.as_view()),
    path("nothing/", nothing),
]


@pytest.fixture(autouse=True)
def _as_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render templates without telling the test client about each."""
    monkeypatch.setattr(Template, "_render", _TestState.saved_data.template_render)  # type: ignore[attr-defined]


def medians(**works: Callable[[], Any]) -> tuple[dict[str, float], dict[str, float]]:
    """The median time in milliseconds of each work, taking turns: by the wall's clock, and of this processor."""
    wall: dict[str, list[float]] = {name: [] for name in works}
    processor: dict[str, list[float]] = {name: [] for name in works}
    for _round in range(ROUNDS):
        for name, work in works.items():
            begun, used = time.perf_counter(), time.process_time()
            work()
            processor[name].append((time.process_time() - used) * 1000)
            wall[name].append((time.perf_counter() - begun) * 1000)
    first, second = ({name: statistics.median(times[3:]) for name, times in each.items()} for each in (wall, processor))
    return first, second


def a_wizard() -> Wizard:
    """An order whose organizations are confirmed, at its step for the first site."""
    wizard = Wizard(signed_in(KIM), a_mapped_order(contact=KIM, meetings=250, calling=40), "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    assert wizard.at == "meetings"
    return wizard


@override_settings(ROOT_URLCONF=__name__)
def test_showing_a_step_takes_no_more_than_six_tenths_of_bare_formtools() -> None:
    wizard = a_wizard()
    client, url = wizard.client, wizard.url("meetings")
    took, used = medians(
        ours=lambda: client.get(url),
        bare=lambda: client.get("/bare/"),
        stock=lambda: client.get("/stock/"),
        nothing=lambda: client.get("/nothing/"),
    )
    _tell("showing Meetings", took, used)
    print("of the processor's: " + ", ".join(f"{used['ours'] / used[other]:.2f} of {other}" for other in used))
    assert client.get("/bare/").text.count("<option") == client.get(url).text.count("<option")
    assert used["ours"] <= 0.6 * used["bare"]


@override_settings(ROOT_URLCONF=__name__)
def test_an_answer_takes_no_more_than_twelve_milliseconds_before_its_redirect() -> None:
    wizard = a_wizard()
    client, url = wizard.client, wizard.url("meetings")
    good = form_fields(wizard.html) | {
        "meetings-site_name": "site-one",
        "meetings-time_zone": "Europe/Paris",
        "meetings-early_release": "no",
    }
    bad = good | {"meetings-time_zone": ""}

    def post(fields: dict[str, Any]) -> None:
        assert client.post(url, fields).status_code == 302

    def bare(client: Client, fields: dict[str, Any]) -> None:
        client.post("/bare/", fields)

    management = {"bare_wizard-current_step": "meetings"}
    other = signed_in(KIM)
    other.get("/bare/")
    took, used = medians(
        refused=lambda: post(bad),
        accepted=lambda: post(good),
        bare_refused=lambda: bare(other, bad | management),
    )
    _tell("answering Meetings", took, used)
    assert max(took["refused"], took["accepted"]) <= 12


def _tell(what: str, took: dict[str, float], used: dict[str, float]) -> None:
    print(f"\n{what}: " + ", ".join(f"{name} {took[name]:.1f} ms ({used[name]:.1f} of the processor)" for name in took))
