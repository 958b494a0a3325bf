"""What a person sees between confirming and *set up*: progress, a refusal mended at its step, and who is told."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pypdf
import pytest
import time_machine
from django.core import mail
from django.db.models import F
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from provisioning import actions
from provisioning.fulfillment import transitions
from provisioning.fulfillment.outcomes import Failed, Outcome, Rejected, Running, Unreachable
from provisioning.models import Event, Webhook
from provisioning.people import links
from provisioning.templatetags.display import problems
from provisioning.worker import tasks
from subscriptions.models import Location, Order, ProvisioningRequest, Site, SiteName, Subscription
from subscriptions.summary import build_summary, documents
from tests.driver import Wizard
from tests.factories import a_delegated_order, a_mapped_order, signed_in
from tests.mailbox import deliver
from tests.provisioning.pages.test_query_counts import asked
from tests.scripted import CALLS, an_operator, confirmed, outside, script  # noqa: F401 - a fixture
from tests.scripted_broker import work

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("outside")]

KIM, SAM, DANA = "kim@contoso.example.org", "sam@partner.example.net", "dana@fabrikam.example"
TAKEN = "The name contoso is taken. Choose another one."


def progress_page(order: Order, who: str = KIM) -> str:
    """Return the page of progress as this person sees it."""
    return signed_in(who).get(reverse("progress", args=[order.number])).text


def states(order: Order) -> dict[str, str]:
    """Return the states of the requests that count, by service."""
    return {request.line.service: request.state for request in transitions.current(order)}


def state_of(order: Order) -> str:
    """Return the order's state as it is stored now."""
    return Order.objects.get(pk=order.pk).state


# Progress


def test_confirming_leads_to_progress_which_says_set_up_only_of_what_has_succeeded() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order)
    assert wizard.at == "progress"
    assert state_of(order) == Order.State.SETTING_UP
    assert re.findall(r'<strong class="tag [a-z]+">([^<]+)', wizard.html) == ["Waiting", "Waiting"]
    assert "https://contoso.meet.example.com" in wizard.html
    script("meetings", Running(description="The site is being made."))
    work()
    page = progress_page(order)
    assert re.findall(r'<strong class="tag [a-z]+">([^<]+)', page) == ["Being set up", "Set up"]
    assert "The site is being made." in page
    assert not Site.objects.exists()
    work()
    assert state_of(order) == Order.State.SET_UP
    assert Site.objects.get().name == "contoso"
    page = signed_in(KIM).get(reverse("progress", args=[order.number]), follow=True).text
    assert "<h1>Order summary</h1>" in page


def test_script_is_sent_only_what_changed_and_hears_only_of_changed_states() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order)
    address = reverse("progress", args=[order.number])

    def ask(page: str) -> tuple[int, str]:
        seen = re.findall(r'name="seen" value="([^"]+)"', page)
        answer = wizard.client.get(address, {"seen": seen}, headers={"HX-Request": "true"})
        return answer.status_code, answer.text

    assert ask(wizard.html) == (204, "")
    script("meetings", Running(description="Step 1"), Running(description="Step 2"))
    script("calling", Running(), Running())
    before = wizard.html
    work()
    status, changes = ask(before)
    assert status == 200
    assert re.findall(r'id="(part-[a-z-]+)"', changes) == ["part-meetings", "part-calling"]
    assert "Meetings: Being set up." in " ".join(changes.split())
    before = progress_page(order)
    work()
    _status, changes = ask(before)
    assert re.findall(r'id="(part-[a-z-]+)"', changes) == ["part-meetings"]
    assert "Step 2" in changes
    assert 'id="spoken"' not in changes
    before = progress_page(order)
    work()
    seen = re.findall(r'name="seen" value="([^"]+)"', before)
    answer = wizard.client.get(address, {"seen": seen}, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"] == reverse("order", args=[order.number])


def test_partner_watches_the_set_up_of_the_delegate() -> None:
    order = a_delegated_order(contact=SAM, customer="Fabrikam", customer_email=DANA)
    confirmed(order, DANA)
    script("meetings", Rejected("/sites/0/name", TAKEN))
    work()
    for who in (SAM, DANA):
        page = progress_page(order, who)
        assert TAKEN in page
        assert "There is a problem" in page
    assert "Change the answers" in progress_page(order, DANA)
    assert "Change the answers" not in progress_page(order, SAM)
    assert f"{DANA} has been told" in " ".join(progress_page(order, SAM).split())
    assert [message.to for message in deliver() if "has to be changed" in message.subject] == [[DANA]]


def test_partner_takes_a_refused_set_up_over_and_mends_it() -> None:
    order = a_delegated_order(contact=SAM, customer="Fabrikam", customer_email=DANA)
    confirmed(order, DANA)
    script("meetings", Rejected("/sites/0/name", TAKEN))
    work()
    sam = signed_in(SAM)
    sam.post(reverse("delegated", args=[order.number]), {"take_over": "1"})
    wizard = Wizard(sam, order, "set_up")
    assert TAKEN in wizard.open()
    assert wizard.at == "meetings"
    wizard.fill("meetings", site_name="fabrikam")
    wizard.fill("review")
    work()
    assert state_of(order) == Order.State.SET_UP


def test_progress_asks_the_database_a_few_times() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order)
    script("meetings", Rejected("/sites/0/name", TAKEN))
    work()
    assert asked(lambda: wizard.client.get(reverse("progress", args=[order.number]))) <= 10


def test_my_orders_shows_the_same_as_the_page_of_progress() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    confirmed(order)

    def shown() -> tuple[str, str, list[tuple[str, str, str]]]:
        [entry] = signed_in(KIM).get("/orders/").context["entries"]
        return entry.status, entry.button, [(task.title, task.owner, task.status) for task in entry.tasks[1:]]

    waits = [("Meetings", "", "Waiting"), ("Calling", "", "Waiting")]
    assert shown() == ("Being set up", "See progress", waits)
    script("meetings", Rejected("/sites/0/name", TAKEN))
    script("calling", Failed("quota", "HTTP 507 from cluster 4"))
    work()
    problem = "There is a problem"
    tasks_now = [("Meetings", "you", problem), ("Calling", "the order desk", problem)]
    assert shown() == (problem, "Change the answers", tasks_now)
    assert TAKEN in signed_in(KIM).get("/orders/").text
    assert "HTTP 507" not in signed_in(KIM).get("/orders/").text


# A refusal opens its step

# What was refused, the step that opens, the id of the control at which the sentence stands ("": it is about all of it).
REFUSALS = [
    ("meetings", "/sites/0/name", "meetings", "id_meetings-site_name", {"site_name": "contoso-europe"}),
    ("meetings", "/sites/0/time_zone", "meetings", "id_meetings-time_zone", {"time_zone": "Europe/Paris"}),
    ("meetings", "/sites/2/name", "additional", "id_additional-1-name", {"1__name": "contoso-other"}),
    ("meetings", "/sites/1/licenses", "licenses", "", {"site_contoso": "35", "site_contoso-lab": "32"}),
    ("meetings", "", "meetings", "", {"site_name": "contoso-europe"}),
    ("meetings", "/nothing/of/ours", "meetings", "", {"site_name": "contoso-europe"}),
    ("calling", "/location/name", "location", "id_location-name", {"name": "Main office"}),
    ("calling", "/location/address/postal_code", "address", "id_address-postal_code", {"postal_code": "10119"}),
    ("calling", "/location/address", "address", "", {"city": "Potsdam", "postal_code": "14467"}),
    ("calling", "/location/main_number", "address", "id_address-main_number", {"main_number": "030 12345678"}),
    ("calling", "/location/language", "address", "id_address-language", {"language": "en-GB"}),
    ("calling", "", "location", "", {"name": "Main office"}),
]


@pytest.mark.parametrize(("service", "field", "step", "control", "mend"), REFUSALS)
def test_refusal_opens_its_step_with_its_sentence_and_every_answer(
    service: str, field: str, step: str, control: str, mend: dict[str, str]
) -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order, more=("contoso-lab", "contoso-show"))
    script(service, Rejected(field, "Not this one, please."))
    work(turns=2)
    other = ({"meetings", "calling"} - {service}).pop()
    assert states(order) == {service: "refused", other: "succeeded"}
    page = wizard.open()
    assert wizard.at == step
    assert "<title>Error: " in page
    assert [where for where, said in problems(wizard.page.context["form"])] == [control]
    assert page.count("Not this one, please.") == (2 if control else 1)
    wizard.fill(step)
    assert wizard.at == step, "the same answer again is refused again"
    assert "Not this one, please." in wizard.html
    CALLS.clear()
    wizard.fill(step, **mend)
    for later in ("additional", "licenses", "address"):  # what rests on the answer is shown again, filled in
        if wizard.at == later and later != step:
            wizard.fill(later, **({"split": "1"} if later == "licenses" else {}))
            wizard.open(later)
            wizard.fill(later)
    assert wizard.at == "review"
    assert "Unter den Linden 1" in wizard.html or service == "meetings"
    wizard.fill("review")
    work()
    assert {job.service for _call, job in CALLS} == {service}, "only what is open is sent"
    assert state_of(order) == Order.State.SET_UP
    assert (Site.objects.count(), Location.objects.count(), Subscription.objects.count()) == (3, 1, 2)


# Documents


def download(order: Order, who: str = KIM) -> tuple[str, str]:
    """Download the PDF; return its text and its verification code."""
    content = signed_in(who).get(reverse("summary_pdf", args=[order.number])).content
    text = " ".join("\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages).split())
    code = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", text)
    assert code
    return text, code[0]


def test_pdf_says_the_state_of_each_line_and_verification_tells_the_old_from_the_current() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order)
    first, first_code = download(order)
    assert "Order summary, while the order is being set up" in first
    assert "Meetings and Calling are being set up for Contoso." in first
    assert first.count("State Waiting") == 2
    assert documents.verify(first_code) is documents.CodeStatus.CURRENT
    assert (first, first_code) == download(order)
    script("meetings", Rejected("/sites/0/name", TAKEN))
    work()
    second, second_code = download(order)
    assert "Set up for Contoso: Calling. Not set up yet: Meetings." in second
    assert "State There is a problem" in second
    assert "State Set up" in second
    assert documents.verify(first_code) is documents.CodeStatus.CHANGED
    assert documents.verify(second_code) is documents.CodeStatus.CURRENT
    wizard.open()
    wizard.fill("meetings", site_name="contoso-europe")
    wizard.fill("review")
    third, third_code = download(order)
    assert "contoso-europe" in third
    assert len({first_code, second_code, third_code}) == 3
    work()
    last, last_code = download(order)
    assert "Meetings and Calling are set up for Contoso." in last
    assert "State Set up" not in last
    known = [documents.verify(code) for code in (first_code, second_code, third_code, last_code)]
    assert known == [documents.CodeStatus.CHANGED] * 3 + [documents.CodeStatus.CURRENT]


def test_two_documents_that_ask_for_different_things_have_different_codes() -> None:
    order = a_mapped_order(meetings=100)
    wizard = confirmed(order)
    _text, before = download(order)
    actions.stop_set_up(order=order, by=links.user_for(KIM))
    wizard.open("meetings")
    wizard.fill("meetings", site_name="contoso-europe")
    wizard.fill("review")
    text, after = download(order)
    assert "State Waiting" in text
    assert after != before
    assert documents.verify(before) is documents.CodeStatus.CHANGED


def test_technical_words_of_a_failure_are_read_by_the_desk_only() -> None:
    order = a_mapped_order(meetings=100)
    confirmed(order)
    words = "HTTP 507 from cluster 4"
    script("meetings", Failed("quota", words, answer='507 {"description": "cluster 4"}'))
    work()
    for path in ("progress", "history", "summary"):
        page = signed_in(KIM).get(reverse(path, args=[order.number]), follow=True).text
        assert words not in page
        assert "the order desk" in page
    assert words not in download(order)[0]
    assert words not in str(build_summary(order).as_dict())


# Emails


def test_confirmation_goes_out_only_when_everything_is_set_up() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    confirmed(order)
    script("meetings", Running())
    work()
    assert [message.subject for message in deliver() if "set up" in message.subject] == []
    work()
    [message] = [each for each in deliver() if each.to == [KIM]]
    assert message.subject == f"Order {order.number} is set up"
    assert [name for name, _content, _kind in message.attachments] == [f"order-summary-{order.number}.pdf"]


def test_refusal_is_told_with_the_other_side_s_sentence_and_a_link_to_the_step() -> None:
    order = a_mapped_order(meetings=100)
    wizard = confirmed(order)
    deliver()
    script("meetings", Rejected("/sites/0/name", TAKEN))
    work()
    [message] = deliver()
    assert message.to == [KIM]
    assert message.subject == f"Order {order.number}: something has to be changed before Meetings can be set up"
    assert TAKEN in str(message.body)
    address = re.search(r"http://127.0.0.1:8000(/orders/\S+)", str(message.body))
    assert address
    page = wizard.client.get(address[1], follow=True)
    assert page.redirect_chain[-1][0] == reverse("set_up", args=[order.number, "meetings"])
    assert TAKEN in page.text


def test_email_about_a_refusal_that_was_mended_meanwhile_says_so() -> None:
    order = a_mapped_order(meetings=100)
    wizard = confirmed(order)
    deliver()
    script("meetings", Rejected("/sites/0/name", TAKEN), Running())
    work()
    wizard.open()
    wizard.fill("meetings", site_name="contoso-europe")
    wizard.fill("review")
    work()
    [message] = deliver()
    assert message.subject == f"Order {order.number} needs nothing more from you"


@pytest.mark.parametrize("outcome", [Running(), Unreachable("Nobody answers."), Failed("quota", "HTTP 507")])
def test_people_are_told_once_that_it_takes_longer_than_promised(outcome: Outcome, settings: Settings) -> None:
    settings.PROVISIONING_PROMISED_MINUTES, settings.PROVISIONING_PROMISED_MINUTES_BY_SERVICE = 30, {"calling": 90}
    order = a_delegated_order(contact=SAM, customer="Fabrikam", customer_email=DANA, meetings=10, calling=10)
    confirmed(order, DANA)
    script("meetings", outcome)
    script("calling", Running())
    work()
    deliver()

    def told(minutes: int) -> list[tuple[str, str]]:
        ProvisioningRequest.objects.update(requested_at=F("requested_at") - timedelta(minutes=minutes))
        tasks.sweep.func(timestamp=0)
        deliver()
        found = [(message.to[0], str(message.body)) for message in mail.outbox if "longer" in message.subject]
        mail.outbox.clear()
        return found

    assert told(29) == []
    first = told(2)
    assert [to for to, _text in first] == [DANA, SAM]
    assert all("Not set up yet: Meetings." in text and "don’t have to order again" in text for _to, text in first)
    assert "HTTP 507" not in str(first)
    assert told(2) == []
    if isinstance(outcome, Failed):
        [request] = transitions.current(order).filter(state="failed")
        transitions.retry(request=request, by=an_operator())
        assert told(0) == []
    assert [text for _to, text in told(60) if "Not set up yet: Calling." in text] != []
    assert Event.objects.filter(order=order, kind=Event.Kind.LATE).count() == 2
    assert "takes longer to set up than promised" in signed_in(SAM).get(f"/orders/{order.number}/history/").text


# Taking back, and cancelling


def test_what_was_not_sent_yet_is_taken_back_with_its_answers() -> None:
    order = a_mapped_order(meetings=100)
    wizard = confirmed(order)
    page = signed_in(KIM).get(reverse("stop_set_up", args=[order.number])).text
    assert "Nothing has been sent yet" in page
    wizard.client.post(reverse("stop_set_up", args=[order.number]))
    assert state_of(order) == Order.State.MAPPED
    work()
    assert CALLS == []
    wizard.open("meetings")
    assert 'value="contoso"' in wizard.html


def test_taking_back_what_has_begun_says_what_is_lost_and_deletes_it_outside_first() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order)
    script("meetings", Running())
    work()
    page = " ".join(wizard.client.get(reverse("stop_set_up", args=[order.number])).text.split())
    assert "The system that sets it up has begun. What it has made is deleted there" in page
    wizard.client.post(reverse("stop_set_up", args=[order.number]))
    assert states(order) == {"meetings": "cancelled", "calling": "succeeded"}
    assert "Taken back" in progress_page(order)
    wizard.open()
    wizard.open("meetings")
    wizard.fill("meetings", site_name="contoso-europe")
    CALLS.clear()
    wizard.fill("review")
    work()
    assert [call for call, _job in CALLS] == ["undo", "start"]
    assert state_of(order) == Order.State.SET_UP


def test_cancelling_while_it_runs_deletes_outside_and_says_so() -> None:
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order)
    script("meetings", Running())
    work()
    assert Subscription.objects.count() == 1
    actions.cancel_order(order=order, by=an_operator())
    CALLS.clear()
    work()
    assert sorted((call, job.service) for call, job in CALLS) == [("undo", "calling"), ("undo", "meetings")]
    assert not Subscription.objects.filter(ends_at__gt=timezone.now()).exists()
    page = wizard.client.get(f"/orders/{order.number}/", follow=True).text
    assert "What was set up for it, or begun, is taken back." in page
    [message] = [each for each in deliver() if "cancelled" in each.subject]
    assert "What was set up for it, or begun, is taken back." in str(message.body)


def test_name_of_an_order_that_is_being_set_up_is_nobody_else_s() -> None:
    order = a_mapped_order(meetings=100)
    confirmed(order)
    other = a_mapped_order(contact="lee@adventure.example", meetings=10)
    wizard = Wizard(signed_in("lee@adventure.example"), other, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    assert wizard.at == "meetings"
    with time_machine.travel(order.closes_at + timedelta(days=1), tick=False):
        assert SiteName.objects.get(name="contoso").order == order
    script("meetings", Running())
    work()


def test_webhooks_say_set_up_only_of_what_has_succeeded(settings: Settings) -> None:
    settings.WEBHOOK_URL = "https://hooks.vendor.example/"
    settings.WEBHOOK_SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    order = a_mapped_order(meetings=100, calling=10)
    wizard = confirmed(order)
    script("meetings", Rejected("/sites/0/name", TAKEN))
    script("calling", Failed("quota", "HTTP 507"))
    work()
    wizard.open()
    wizard.fill("meetings", site_name="contoso-europe")
    wizard.fill("review")
    work()
    [failed] = transitions.current(order).filter(state="failed")
    transitions.retry(request=failed, by=an_operator())
    work()
    said = list(Webhook.objects.filter(order=order).order_by("pk").values_list("message__type", flat=True))
    assert said[2:] == [
        "order.setting_up", "subscription.requested", "subscription.requested", "subscription.failed",
        "subscription.refused", "subscription.requested", "subscription.provisioned", "subscription.provisioned",
        "order.set_up",
    ]  # fmt: skip
