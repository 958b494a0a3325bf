"""Every page and state of the product, made by the product itself: for the checks that hold on each, and for pictures.

A scene is a story that yields what can be seen on its way. It makes rows with the factories and walks with the driver
(no JavaScript, no browser), so that the browser opens only what is to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F
from django.test import override_settings
from django.utils import timezone
from playwright.sync_api import Page

from orgs.models import Member, Organization, SearchBudget
from provisioning import actions
from provisioning.fulfillment import transitions
from provisioning.fulfillment.outcomes import Done, Failed, Rejected, Running, Unreachable
from provisioning.models import AccessRequest, Link, Mail
from provisioning.people import links
from subscriptions.models import Order, ProvisioningRequest
from subscriptions.packs.meetings import SitePlan
from subscriptions.rules.validation import Line
from subscriptions.summary import documents
from tests import mailbox, scripted
from tests.driver import Wizard
from tests.factories import (
    a_delegated_order,
    a_mapped_order,
    an_order,
    an_organization,
    an_own_order,
    signed_in,
)
from tests.scripted_broker import work
from tests.turns import all_turns_taken

SAM = "sam@partnernet.com"
KIM = "kim@contoso.com"
CUSTOMER = "it@contoso.com"
NOBODY = ""
LONG_NAME = "Vereinigte Donaudampfschifffahrtsgesellschaft Regensburg–Wien mit beschränkter Haftung"


@dataclass(frozen=True)
class Sight:
    """One thing to look at: who looks (an email, or nobody), at which address, and what is done there first."""

    name: str
    path: str
    who: str = NOBODY
    act: Callable[[Page], object] | None = None
    dark: bool = False  # worth a picture in the dark as well
    status: int = 200
    demo: bool = False  # as the demo shows it


Scene = Iterator[Sight]


def _at(wizard: Wizard) -> str:
    """Return the address of the page that the driver sees, with its query."""
    chain = wizard.page.redirect_chain
    return str(chain[-1][0]) if chain else str(wizard.page.request["PATH_INFO"])


def _link(order: Order) -> str:
    """Return the path of the link of whoever has the order now."""
    found = Link.objects.get(order=order, part__ended_at=None, replaced_at=None)
    return "/l/" + links.url_for(found).partition("/l/")[2]


def _age(order: Order) -> None:
    """Let the time pass after which a link has expired."""
    long_ago = timezone.now() - timedelta(days=100)
    Link.objects.filter(order=order).update(expires_at=long_ago + timedelta(days=30), issued_at=long_ago)
    Mail.objects.filter(order=order).update(created_at=long_ago)


def _close(order: Order) -> None:
    """Let the set-up-by date pass."""
    long_ago = timezone.now() - timedelta(days=31)
    Order.objects.filter(pk=order.pk).update(
        placed_at=long_ago, date_set_at=long_ago, closes_at=timezone.now() - timedelta(hours=1)
    )


def _press(name: str) -> Callable[[Page], object]:
    return lambda page: page.locator("main").get_by_role("button", name=name, exact=True).click()


def _ask_for_code(page: Page) -> None:
    page.get_by_label("Your email address").fill(SAM)
    _press("Send me a code")(page)
    page.get_by_label("One-time code").wait_for()


def _wrong_code(times: int) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        _ask_for_code(page)
        for _try in range(times):
            page.get_by_label("One-time code").fill("BBBB-BBBB")
            _press("Continue")(page)
            page.locator(".error-summary, a.button").first.wait_for()

    return act


def sign_in() -> Scene:
    """Signing in without a link."""
    links.user_for(SAM)
    yield Sight("sign-in", "/sign-in/", dark=True)
    yield Sight("sign-in-error", "/sign-in/", act=_press("Send me a code"))
    yield Sight("code", "/sign-in/", act=_ask_for_code)
    yield Sight("code-error", "/sign-in/", act=_wrong_code(1), dark=True)
    yield Sight("code-too-many-tries", "/sign-in/", act=_wrong_code(5))
    yield Sight("sign-out", "/sign-in/sign-out/", SAM)
    yield Sight("order-desk", "/admin/")


def link() -> Scene:
    """What a link shows, and to whom."""
    order = an_order(contact=SAM)
    path = _link(order)
    yield Sight("open", path)
    yield Sight("open-code-sent", path, act=_press("Send me a code"))
    yield Sight("open-mine", path, SAM)
    yield Sight("open-somebody-else", path, KIM)
    yield Sight("unknown", "/l/bm90LWEtdG9rZW4/", status=404)
    _age(order)
    yield Sight("expired", path)
    yield Sight("expired-sent", path, act=_press("Send me a new link"))
    yield Sight("replaced", path)
    actions.cancel_order(order=order, by=None)
    yield Sight("ended-cancelled", path)
    yield Sight("cancelled", f"/orders/{order.number}/", SAM)
    gone = an_order(contact=SAM)
    path = _link(gone)
    _close(gone)
    yield Sight("closed", path)
    yield Sight("closed-signed-in", f"/orders/{gone.number}/closed/", SAM, dark=True)
    yield Sight("closed-in-my-orders", "/orders/", SAM)
    held = an_order(contact=SAM)
    actions.put_on_hold(order=held, by=None, reason="Credit check", message="We wait for your purchase order.")
    yield Sight("on-hold", f"/orders/{held.number}/on-hold/", SAM, dark=True)
    handed = an_order(contact=SAM)
    actions.hand_over(order=handed, by=links.user_for(SAM), email=KIM)
    path = _link(handed)
    actions.take_order_back(order=handed, by=links.user_for(SAM))
    yield Sight("ended-taken-back", path)


def _directory() -> Organization:
    """Organizations of all kinds around Contoso and the partner; returns the customer's own."""
    now = timezone.now()
    an_organization(
        "Partner Networks", domains=["partnernet.com"], partner=True, country="DE", user_count=1240,
        active_user_count=1180, active_subscription_count=3, last_activity_at=now - timedelta(days=1),
    )  # fmt: skip
    an_organization(
        "Partner Networks (trial)", domains=[], members=["old@partnernet.com"], partner=True, country="DE",
        user_count=4, active_user_count=0, last_activity_at=now - timedelta(days=900), origin="online_trial",
        account_created_at=now - timedelta(days=1500),
    )  # fmt: skip
    an_organization(
        LONG_NAME, domains=["partnernet.com", "sub.partnernet.com", "partnernet.org", "partnernet.de"], partner=True,
        country="AT", user_count=123456, active_user_count=98765, active_subscription_count=12,
        last_activity_at=now - timedelta(minutes=5), origin="partner_order",
    )  # fmt: skip
    an_organization(
        "Contoso GmbH", domains=["contoso.de"], country="DE", user_count=80, active_user_count=50,
        last_activity_at=now - timedelta(days=30),
    )  # fmt: skip
    an_organization("Contosa", domains=["contosa.com"], country="US", user_count=12)
    return an_organization(
        "Contoso", domains=["contoso.com"], administrators=["boss@contoso.com"], country="US", user_count=5200,
        active_user_count=4800, active_subscription_count=2, last_activity_at=now - timedelta(hours=3),
    )  # fmt: skip


def finding_candidates() -> Scene:
    """A partner to whom several organizations are shown."""
    customer = _directory()
    order = an_order(contact=SAM, customer_email=CUSTOMER)
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    yield Sight("intent", _at(wizard), SAM, dark=True)
    wizard.fill("intent")
    yield Sight("intent-error", _at(wizard), SAM, dark=True)
    wizard.fill("intent", audience="other", email="not an address")
    yield Sight("intent-other-error", _at(wizard), SAM)
    wizard.fill("intent", audience="customer", email="")
    yield Sight("partner", _at(wizard), SAM, dark=True)
    yield Sight("partner-why", _at(wizard), SAM, act=lambda page: page.get_by_text("Why this one?").first.click())
    yield Sight("partner-search-error", _at(wizard) + "?domain=gmail.com", SAM)
    path = _at(wizard)
    yield Sight("partner-domain-unasked", path + "?domain=nothing-here.org", SAM)
    wizard.search("partner", "nothing-here.org")
    yield Sight("partner-searched-none", path + "?domain=nothing-here.org", SAM)
    wizard.open("partner")
    wizard.fill("partner")
    yield Sight("partner-error", _at(wizard), SAM)
    wizard.open("partner")
    wizard.fill("partner", organization=str(Organization.objects.get(name="Partner Networks").public_id))
    yield Sight("partner-chosen", path, SAM)
    yield Sight("customer-details", _at(wizard), SAM)
    wizard.fill("customer-details", company_name="", administrator_email="it@")
    yield Sight("customer-details-error", _at(wizard), SAM)
    wizard.fill("customer-details", company_name="Contoso", administrator_email=CUSTOMER)
    yield Sight("customer", _at(wizard), SAM, dark=True)
    wizard.fill("customer", organization=str(customer.public_id))
    yield Sight("review", _at(wizard), SAM, dark=True)
    wizard.fill("review", delegate=True)
    yield Sight("review-error", _at(wizard), SAM)
    wizard.answer("customer-details", company_name="Contosso", administrator_email="it@somewhere-else.com")
    yield Sight("customer-masked", _at(wizard), SAM)
    wizard.answer("customer-details", company_name="Contosa", administrator_email="it@contosa.com")
    wizard.fill("customer", organization=str(Organization.objects.get(name="Contosa").public_id))
    yield Sight("review-not-as-ordered", _at(wizard), SAM, dark=True)


def finding_unusual() -> Scene:
    """Names in other scripts, or too long; many domains; what speaks against; several that are certain."""
    now = timezone.now()
    for name in ("Partner Networks", "Partner Networks II"):
        an_organization(name, domains=["partnernet.com"], administrators=[SAM], partner=True)
    an_organization(
        "Contoso GmbH", domains=["contoso.de"], country="AT", user_count=80, active_user_count=50,
        last_activity_at=now - timedelta(days=500), account_created_at=now - timedelta(days=900),
    )  # fmt: skip
    an_organization("شركة كونتوسو للتجارة", domains=["contoso.com"], other_names=["Contoso"], country="EG")
    an_organization("株式会社コントソ", domains=["contoso.co.jp"], other_names=["Contoso K.K."], country="JP")
    many = [f"{letter}-contoso.com" for letter in "abcdefghijk"]
    an_organization("Contoso Research", domains=[*many, "contoso.com"], user_count=123456, active_user_count=98765)
    long = "a-very-long-domain-name-of-the-contoso-company-of-regensburg-and-wien.example.com"
    an_organization(f"Contoso {LONG_NAME}", domains=["contoso.com", long], country="GB")
    order = an_order(contact=SAM, customer_email=CUSTOMER)
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    yield Sight("partner-several", _at(wizard), SAM)
    wizard.fill("partner", organization=str(Organization.objects.get(name="Partner Networks").public_id))
    wizard.fill("customer-details", company_name="Contoso", administrator_email=CUSTOMER)
    yield Sight("customer", _at(wizard), SAM, act=_open_all, dark=True)
    path = _at(wizard)
    for domain in ("nothing-here.org", "contoso.com"):
        wizard.open("customer")
        wizard.search("customer", domain)
        yield Sight(f"customer-searched-{domain.partition('.')[0]}", f"{path}?domain={domain}", SAM)
    wizard.open("customer")
    wizard.fill("customer", organization="new")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="DE")
    yield Sight("customer-check", _at(wizard), SAM)


def _open_all(page: Page) -> None:
    for why in page.get_by_text("Why this one?").all():
        why.click()


def finding_exact() -> Scene:
    """A partner whose own and whose customer's organization are certain."""
    an_organization("Partner Networks", domains=["partnernet.com"], administrators=[SAM], partner=True)
    customer = an_organization("Contoso", domains=["contoso.com"], administrators=[CUSTOMER])
    order = an_order(contact=SAM, customer_email=CUSTOMER)
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    yield Sight("partner", _at(wizard), SAM)
    wizard.fill("partner")
    wizard.fill("customer-details")
    yield Sight("customer", _at(wizard), SAM)
    wizard.fill("customer")
    yield Sight("review", _at(wizard), SAM)
    Member.objects.create(organization=customer, email=SAM, role=Member.Role.FULL)
    wizard.fill("review")
    yield Sight("review-changed", _at(wizard), SAM, dark=True)


def finding_none() -> Scene:
    """A partner who creates both."""
    order = an_order(contact=SAM, customer_email=CUSTOMER)
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    yield Sight("partner", _at(wizard), SAM, dark=True)
    wizard.fill("partner")
    yield Sight("partner-new", _at(wizard), SAM)
    wizard.fill("partner-new", name="", vertical="", country="")
    yield Sight("partner-new-error", _at(wizard), SAM)
    wizard.fill("partner-new", name=LONG_NAME, vertical="technology", country="DE")
    yield Sight("partner-check", _at(wizard), SAM)
    wizard.fill("partner-check")
    wizard.fill("customer-details")
    wizard.fill("customer")
    _directory()
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="DE")
    yield Sight("customer-check-duplicates", _at(wizard), SAM)
    wizard.fill("customer-check")
    yield Sight("customer-check-error", _at(wizard), SAM)
    wizard.fill("customer-check", duplicate="new")
    yield Sight("review", _at(wizard), SAM)


def finding_limits() -> Scene:
    """Somebody whom nothing ties to what they look for: little is shown, then no more of it, then nobody searches."""
    for number in range(12):
        an_organization(f"Contoso {number}", domains=["contoso.com"], user_count=number * 50)
    order = an_order(contact=SAM, customer="", customer_email="")
    wizard = Wizard(signed_in(SAM), order)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.make("partner", "Partner Networks")
    wizard.fill("customer-details", company_name="Fabrikam", administrator_email="it@contoso.com")
    yield Sight("customer-more", _at(wizard), SAM)
    path = _at(wizard)
    wizard.client.post(path, {"search": "1"})
    yield Sight("customer-full", path, SAM)
    wizard.search("customer", "elsewhere.org")
    yield Sight("customer-full-searched", path + "?domain=elsewhere.org", SAM)
    wizard.open("customer")
    wizard.fill("customer", organization=str(Organization.objects.earliest("pk").public_id))
    wizard.fill("review", delegate=True)
    yield Sight("review-delegate-error", _at(wizard), SAM)
    SearchBudget.objects.update(searches=1000)
    yield Sight("customer-used-up", path + "?domain=fabrikam.com", SAM, dark=True)
    wizard.open("customer")
    wizard.fill("customer", organization="new")
    wizard.fill("customer-new", name="Contoso", vertical="retail", country="DE")
    yield Sight("customer-check-used-up", _at(wizard), SAM)


def own_company() -> Scene:
    """A member who is no administrator asks, waits, and was added."""
    organization = an_organization("Contoso", administrators=["boss@contoso.com"], members=[KIM])
    order = an_own_order(contact=KIM)
    wizard = Wizard(signed_in(KIM), order)
    wizard.open()
    wizard.fill("intent", audience="own")
    yield Sight("customer", _at(wizard), KIM)
    wizard.fill("customer")
    yield Sight("administrator", _at(wizard), KIM)
    wizard.fill("administrator")
    yield Sight("held", _at(wizard), KIM, dark=True)
    Member.objects.filter(organization=organization, email=KIM).update(role=Member.Role.FULL)
    yield Sight("held-added", _at(wizard), KIM)
    wizard.open()
    yield Sight("review", _at(wizard), KIM)


def asking() -> Scene:
    """A request for rights: as the administrator who was asked sees it, and as the person who asked sees the answer."""
    organization = an_organization(
        "Contoso", domains=["contoso.com"], administrators=["boss@contoso.com", "chief@contoso.com"]
    )
    wizard = _asking_wizard("kim@freelance-events.org", "full")
    request = AccessRequest.objects.get()
    path = f"/orders/{request.order.number}/requests/{request.public_id}/"
    link = "/l/" + links.url_for(Link.objects.get(part__user__email="boss@contoso.com")).partition("/l/")[2]
    yield Sight("link", link)
    yield Sight("request", path, "boss@contoso.com", dark=True)
    yield Sight("request-error", path, "boss@contoso.com", act=_press("Decline"))
    yield Sight("orders", "/orders/", "boss@contoso.com")
    boss = links.user_for("boss@contoso.com")
    actions.decide(request=request, by=boss, approve=False, reason="We don’t know you.\nAsk Pat in purchasing first.")
    yield Sight("request-declined", path, "chief@contoso.com")
    yield Sight("held-declined", _at(wizard), "kim@freelance-events.org", dark=True)
    yield Sight("my-orders-declined", "/orders/", "kim@freelance-events.org")
    again = actions.ask_administrators(
        order=request.order,
        by=request.requester,
        organization=organization.public_id,
        right="full",
        shown_name="Contoso",
    )
    AccessRequest.objects.filter(pk=again.pk).update(expires_at=timezone.now() - timedelta(days=1))
    path = f"/orders/{again.order.number}/requests/{again.public_id}/"
    yield Sight("request-expired", path, "boss@contoso.com")
    yield Sight("held-expired", _at(wizard), "kim@freelance-events.org")
    again = actions.ask_administrators(
        order=request.order,
        by=request.requester,
        organization=organization.public_id,
        right="full",
        shown_name="Contoso",
    )
    yield Sight("request-ended", path, "boss@contoso.com")
    actions.decide(request=again, by=boss, approve=True)
    path = f"/orders/{again.order.number}/requests/{again.public_id}/"
    yield Sight("request-approved", path, "boss@contoso.com")
    rights = f"/rights/{organization.public_id}/"
    right = f"{rights}{again.public_id}/"
    yield Sight("rights", rights, "chief@contoso.com", dark=True)
    yield Sight("right", right, "chief@contoso.com", dark=True)
    yield Sight("right-error", right, "chief@contoso.com", act=_press("Take the right back"))
    chief = links.user_for("chief@contoso.com")
    actions.take_right_back(request=again, by=chief, reason="The project has ended.\nPat does this now.")
    yield Sight("right-taken-back", right, "chief@contoso.com")
    yield Sight("request-taken-back", path, "chief@contoso.com")
    yield Sight("held-taken-back", f"/orders/{again.order.number}/held/", "kim@freelance-events.org", dark=True)
    yield Sight("my-orders-taken-back", "/orders/", "kim@freelance-events.org")
    Member.objects.filter(email="chief@contoso.com").update(role=Member.Role.USER)
    yield Sight("request-not-yours", path, "chief@contoso.com")


def stopped() -> Scene:
    """Rights for one order: over by their date after the mapping, then asked for again."""
    organization = an_organization("Contoso", administrators=["boss@contoso.com"])
    wizard = _asking_wizard(KIM)
    request = AccessRequest.objects.get()
    boss = links.user_for("boss@contoso.com")
    yield Sight("request", f"/orders/{request.order.number}/requests/{request.public_id}/", boss.email)
    actions.decide(request=request, by=boss, approve=True)
    wizard.open()
    wizard.fill("review")
    AccessRequest.objects.update(right_ends_at=timezone.now() - timedelta(days=1))
    yield Sight("lapsed", f"/orders/{request.order.number}/held/", KIM)
    actions.ask_for_set_up(order=request.order, by=links.user_for(KIM))
    yield Sight("asked-again", f"/orders/{request.order.number}/held/", KIM)
    Member.objects.filter(organization=organization, email=KIM).update(role=Member.Role.FULL)
    yield Sight("added", f"/orders/{request.order.number}/held/", KIM)
    yield Sight("organizations-none", "/rights/", SAM)


def desk_help() -> Scene:
    """Nobody answers: the order desk is asked, begins, and another operator gives the right."""
    organization = an_organization("Contoso", administrators=["boss@contoso.com"])
    wizard = _asking_wizard(KIM)
    request, desk = AccessRequest.objects.get(), []
    for name in ("olga", "omar"):
        desk.append(links.user_for(f"{name}@vendor.example"))
        desk[-1].is_staff = desk[-1].is_superuser = True
        desk[-1].save()
    AccessRequest.objects.update(expires_at=timezone.now() - timedelta(days=1))
    actions.ask_desk(order=request.order, by=links.user_for(KIM))
    yield Sight("held", f"/orders/{request.order.number}/held/", KIM, dark=True)
    path = f"/orders/{request.order.number}/requests/{request.public_id}/"
    evidence = "The trade register names Kim as the owner; both administrators left.\nMail to them came back."
    case = actions.begin_desk_case(request=request, by=desk[0], evidence=evidence)
    yield Sight(
        "request", f"/orders/{request.order.number}/requests/{request.public_id}/", "boss@contoso.com", dark=True
    )
    yield Sight("rights", f"/rights/{organization.public_id}/", "boss@contoso.com")
    begun = timezone.now() - timedelta(days=8)
    type(case).objects.update(begun_at=begun, waits_until=begun + timedelta(days=7))
    actions.confirm_desk_case(case=case, by=desk[1])
    yield Sight("request-given", path, "boss@contoso.com")
    yield Sight("right", f"/rights/{organization.public_id}/{request.public_id}/", "boss@contoso.com")
    wizard.open()


def full_rights() -> Scene:
    """A partner asks for full rights from the summary page: before, waiting, declined, given."""
    customer = an_organization("Contoso", administrators=["boss@contoso.com"])
    partner = an_organization("Partner Networks", administrators=[SAM], partner=True)
    sam, boss = links.user_for(SAM), links.user_for("boss@contoso.com")
    order = actions.map_order(
        order=an_order(contact=SAM),
        by=sam,
        audience="customer",
        partner=actions.Existing(partner.public_id),
        customer=actions.Existing(customer.public_id),
    )
    site = SitePlan(name="contoso-one", time_zone="Europe/Paris", early_release=False, licenses=250)
    actions.set_up(order=order, by=sam, plans={"meetings": [site]})
    path = f"/orders/{order.number}/summary/"
    yield Sight("none", path, SAM, dark=True)
    request = actions.ask_for_full_right(order=order, by=sam)
    yield Sight("waiting", path, SAM)
    yield Sight("request", f"/orders/{order.number}/requests/{request.public_id}/", boss.email)
    actions.decide(request=request, by=boss, approve=False, reason="We manage it ourselves.")
    yield Sight("declined", path, SAM)
    request = actions.ask_for_full_right(order=order, by=sam)
    actions.decide(request=request, by=boss, approve=True)
    yield Sight("given", path, SAM)


def _asking_wizard(who: str, right: str = "provisioning") -> Wizard:
    """Return where somebody stands who has asked the administrators of Contoso."""
    Member.objects.create(organization=Organization.objects.get(name="Contoso"), email=who)
    wizard = Wizard(signed_in(who), an_own_order(contact=who))
    wizard.open()
    wizard.fill("intent", audience="own")
    wizard.fill("customer")
    wizard.fill("administrator", right=right)
    return wizard


def handing_on() -> Scene:
    """Handed over, delegated, taken over: as each of them sees it."""
    handed = an_order(contact=SAM)
    actions.hand_over(order=handed, by=links.user_for(SAM), email="alex@partnernet.com")
    yield Sight("handed-over", f"/orders/{handed.number}/handed-over/", SAM)
    mailbox.deliver()
    actions.note_bounce(email="alex@partnernet.com", said="550 5.1.1 No such user")
    _age(handed)
    yield Sight("handed-over-came-back", f"/orders/{handed.number}/handed-over/", SAM, dark=True)
    yield Sight("history", f"/orders/{handed.number}/history/", SAM, dark=True)
    order = a_delegated_order(contact=SAM, customer_email=CUSTOMER)
    yield Sight("delegated", f"/orders/{order.number}/delegated/", SAM, dark=True)
    yield Sight("delegate-subscription", f"/orders/{order.number}/services/subscription/", CUSTOMER)
    wizard = Wizard(signed_in(CUSTOMER), order, "set_up")
    wizard.open()
    wizard.fill("subscription", choice="now")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    sam, customer = links.user_for(SAM), links.user_for(CUSTOMER)
    about, text = "Meeting setup: Time zone", "Are most of you in Berlin?\nThen this is right."
    question = actions.ask_about(order=order, by=sam, step="meetings", field="time_zone", about=about, text=text)
    yield Sight("delegated-answered", f"/orders/{order.number}/delegated/", SAM, dark=True)
    yield Sight("question-at-step", f"/orders/{order.number}/services/meetings/", CUSTOMER, dark=True)
    yield Sight("questions", f"/orders/{order.number}/questions/", CUSTOMER)
    yield Sight("questions-error", f"/orders/{order.number}/questions/", SAM, act=_press("Ask"))
    actions.close_question(question=question, by=customer, answer="Most of us are.")
    yield Sight("questions-answered", f"/orders/{order.number}/questions/", SAM)
    actions.take_over(order=order, by=sam)
    yield Sight("taken-over", f"/orders/{order.number}/taken-over/", CUSTOMER)
    yield Sight("together", f"/orders/{order.number}/services/meetings/", SAM)
    yield Sight("hand-back", f"/orders/{order.number}/hand-back/", SAM)


def setting_up() -> Scene:
    """Both services, three sites, and everything that can be mistaken on the way."""
    customer = an_organization("Contoso", administrators=[KIM], country="DE")
    order = a_mapped_order(contact=KIM, customer=customer, meetings=1250, calling=40)
    browser = signed_in(KIM)
    wizard, other = Wizard(browser, order, "set_up"), Wizard(browser, order, "set_up")
    wizard.open()
    yield Sight("subscription", _at(wizard), KIM, dark=True)
    wizard.fill("subscription", choice="now")
    yield Sight("meetings", _at(wizard), KIM, dark=True)
    wizard.fill("meetings", site_name="admin", time_zone="")
    yield Sight("meetings-error", _at(wizard), KIM, dark=True)
    other.open("meetings", "?kept")
    wizard.open("meetings", "?kept")
    wizard.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no", additional_urls=True)
    path = _at(wizard)
    early = {"early_release": "yes", "early_release_confirmed": True}
    other.fill("meetings", site_name="contoso-emea", time_zone="Europe/Paris", **early)
    yield Sight("meetings-changed", _at(other), KIM)
    yield Sight("additional", path, KIM)
    wizard.fill("additional", add="1")
    wizard.fill("additional", **{"0__name": "contoso"})
    yield Sight("additional-error", _at(wizard), KIM)
    rows = {"0__name": "contoso-lab", **{f"0__{name}": value for name, value in early.items()}}
    rows |= {"1__name": "contoso-events-in-regensburg-and-vienna", "1__time_zone": "Europe/Vienna"}
    wizard.fill("additional", **rows, **{"1__early_release": "no"})
    yield Sight("licenses", _at(wizard), KIM, dark=True)
    shares = {"site_contoso": "1000", "site_contoso-lab": "50", "site_contoso-events-in-regensburg-and-vienna": "0"}
    wizard.fill("licenses", **shares)
    yield Sight("licenses-error", _at(wizard), KIM)
    wizard.fill("licenses", split="1")
    wizard.fill("licenses")
    yield Sight("location", _at(wizard), KIM)
    wizard.fill("location", name="", country="")
    yield Sight("location-error", _at(wizard), KIM)
    wizard.fill("location", name="Zentrale", country="JP")
    yield Sight("address-japan", _at(wizard), KIM)
    wizard.answer("location", name="Zentrale", country="CN")
    wizard.fill("address", country_area="广东省", city="广州市", emergency="other", show="city")
    yield Sight("address-china", _at(wizard).partition("#")[0], KIM)
    wizard.answer("location", name="Zentrale", country="DE")
    yield Sight("address", _at(wizard), KIM)
    wizard.fill("address", street_address="", city="", postal_code="1", time_zone="", main_number="12")
    yield Sight("address-error", _at(wizard), KIM)
    wizard.fill(
        "address", street_address="Unter den Linden 1", city="Berlin", postal_code="10117", main_number="030 12345678",
        time_zone="Europe/Berlin", emergency="other", emergency_street_address="Tor 3", emergency_city="Berlin",
        emergency_postal_code="10117",
    )  # fmt: skip
    yield Sight("review", _at(wizard), KIM, dark=True)
    lines = [Line(line.service, line.licenses, 36) for line in order.lines.all()]
    actions.correct_order(order=order, lines=lines)
    wizard.fill("review")
    yield Sight("review-changed", _at(wizard), KIM)
    wizard.fill("review")
    yield Sight("summary", _at(wizard), KIM, dark=True)


TAKEN = "contoso.meet.example.com: 409 Conflict (contoso)."


def being_set_up() -> Scene:
    """After the confirmation: what waits, runs, is refused, out of reach, late, failed, and taken back."""
    with override_settings(PROVISIONING={"meetings": scripted.PATH, "calling": scripted.PATH}):
        yield from _being_set_up()
    scripted.forget()


def _being_set_up() -> Scene:
    partner = an_organization("Partner Networks", administrators=[SAM], partner=True)
    contoso = an_organization("Contoso", administrators=[CUSTOMER], country="DE")
    order = actions.map_order(
        order=an_order(contact=SAM, customer_email=CUSTOMER, meetings=1250, calling=40),
        by=links.user_for(SAM),
        audience="customer",
        partner=actions.Existing(partner.public_id),
        customer=actions.Existing(contoso.public_id),
        delegate_to=CUSTOMER,
    )
    wizard = scripted.confirmed(order, CUSTOMER, more=("contoso-lab", "contoso-events-in-regensburg-and-vienna"))
    path, stop = f"/orders/{order.number}/progress/", f"/orders/{order.number}/progress/stop/"
    yield Sight("waiting", path, CUSTOMER, dark=True)
    yield Sight("stop", stop, CUSTOMER)
    scripted.script("meetings", Running(description="3/5"), Rejected("/sites/0/name", TAKEN))
    scripted.script("calling", *[Unreachable("HTTP 503")] * 3)
    work()
    yield Sight("running", path, CUSTOMER)
    yield Sight("stop-begun", stop, CUSTOMER)
    yield Sight("my-orders-running", "/orders/", CUSTOMER)
    work()
    yield Sight("refused", path, CUSTOMER, dark=True)
    yield Sight("refused-watching", path, SAM)
    yield Sight("my-orders-refused", "/orders/", CUSTOMER)
    wizard.open()
    yield Sight("refused-step-error", _at(wizard), CUSTOMER, dark=True)
    wizard.fill("meetings", site_name="contoso-europe")
    wizard.fill("additional")
    wizard.fill("licenses", split="1")
    wizard.fill("licenses")
    yield Sight("refused-review", _at(wizard), CUSTOMER)
    wizard.fill("review")
    ProvisioningRequest.objects.update(requested_at=F("requested_at") - timedelta(hours=1))
    transitions.note_late()
    scripted.script("meetings", Running())
    scripted.script("calling", Failed("quota", "HTTP 507"))
    work()
    yield Sight("failed-and-late", path, CUSTOMER, dark=True)
    yield Sight("my-orders-failed", "/orders/", SAM)
    actions.stop_set_up(order=order, by=links.user_for(CUSTOMER))
    yield Sight("taken-back", path, CUSTOMER)
    yield Sight("history", f"/orders/{order.number}/history/", SAM)
    actions.cancel_order(order=order, by=None)
    yield Sight("cancelled", f"/orders/{order.number}/", SAM)


def several_lines() -> Scene:
    """An order with several lines of one service, one of them refused."""
    lines = (
        Line("meetings", 1000, 24, "Meetings for Europe, the Middle East and Africa", 10),
        Line("meetings", 50, 12, "Meetings APAC", 20),
        Line("calling", 40, 24, "Calling", 30),
        Line("calling", 5, 24, "Calling for reception desks", 40),
    )
    with override_settings(PROVISIONING={"meetings": scripted.PATH, "calling": scripted.PATH}):
        order = a_mapped_order(contact=KIM, lines=lines)
        wizard = Wizard(signed_in(KIM), order, "set_up")
        wizard.open()
        yield Sight("subscription", _at(wizard), KIM)
        wizard.fill("subscription", choice="now")
        wizard.fill(
            "meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no", additional_urls=True
        )
        wizard.fill("additional", **{"0__name": "contoso-apac", "0__early_release": "no"})
        wizard.fill("licenses", **{"site_contoso": "1010", "site_contoso-apac": "40"})
        wizard.fill_headquarters()
        yield Sight("review", _at(wizard), KIM)
        wizard.fill("review")
        scripted.script("meetings", Done(), Rejected("/sites/1/name", TAKEN))
        work()
        yield Sight("progress", f"/orders/{order.number}/progress/", KIM)
        yield Sight("my-orders", "/orders/", KIM)
        wizard.open()
        wizard.fill("additional", **{"0__name": "contoso-asia"})
        wizard.fill("licenses", **{"site_contoso": "1010", "site_contoso-asia": "40"})
        yield Sight("refused-review", _at(wizard), KIM)
        wizard.fill("review")
        work()
        yield Sight("summary", f"/orders/{order.number}/summary/", KIM)
        yield Sight("history", f"/orders/{order.number}/history/", KIM)
    scripted.SCRIPT.clear()


def verifying() -> Scene:
    """The download that has to wait, and the page that says what a code is worth."""
    order = a_mapped_order(contact=KIM)
    plans = {"meetings": [SitePlan("contoso-main", "Europe/Berlin", False, 250)]}
    actions.set_up(order=order, by=links.user_for(KIM), plans=plans)
    with all_turns_taken():
        yield Sight("being-made", f"/orders/{order.number}/summary.pdf", KIM, status=202)
    yield Sight("nothing-typed", "/verify/", dark=True)
    yield Sight("no-code", "/verify/?code=hello")
    yield Sight("unknown", "/verify/?code=0000-0000-0000")
    code = documents.issue(order)[2]
    yield Sight("current", f"/verify/{code}/", dark=True)
    Organization.objects.update(name="Contoso Holding")
    yield Sight("changed", f"/verify/{code}/")


def many_orders() -> Scene:
    """*My orders* of a partner with sixty, and one answer for several of them."""
    an_organization("Partner Networks", domains=["partnernet.com"], administrators=[SAM], partner=True)
    for number in range(58):
        an_order(contact=SAM, customer=LONG_NAME if number == 3 else f"Customer {number}", number=f"CRM-{number:04d}")
    yield Sight("same-partner-none-yet", "/same-partner/", SAM)
    first = an_order(contact=SAM, number="CRM-1000")
    wizard = Wizard(signed_in(SAM), first)
    wizard.open()
    wizard.fill("intent", audience="customer")
    wizard.fill("partner")
    handed = an_order(contact=SAM, number="CRM-2000")
    actions.hand_over(order=handed, by=links.user_for(SAM), email=KIM)
    actions.cancel_order(order=an_order(contact=SAM, number="CRM-3000"), by=None)
    yield Sight("order-list", "/orders/", SAM, dark=True)
    yield Sight("order-list-last-page", "/orders/?page=4", SAM)
    yield Sight("order-list-searched", "/orders/?q=customer+1&show=mine", SAM)
    yield Sight("order-list-nothing-found", "/orders/?q=unknown", SAM)
    yield Sight("same-partner", "/same-partner/", SAM, dark=True)
    yield Sight("same-partner-error", "/same-partner/", SAM, act=_press("Use it for these orders"))


def my_orders() -> Scene:
    """The list: nothing in it, then an order in each state."""
    links.user_for(KIM)
    yield Sight("none", "/orders/", KIM)
    organization = an_organization("Contoso", administrators=[KIM])
    an_own_order(contact=KIM)
    begun = an_own_order(contact=KIM, sold_to=LONG_NAME)
    wizard = Wizard(signed_in(KIM), begun)
    wizard.open()
    wizard.fill("intent", audience="own")
    later = a_mapped_order(contact=KIM, customer=organization)
    setup = Wizard(wizard.client, later, "set_up")
    setup.open()
    setup.fill("subscription", choice="later")
    yield Sight("postponed", _at(setup), KIM)
    actions.hand_over(order=an_own_order(contact=KIM), by=links.user_for(KIM), email="alex@contoso.com")
    actions.cancel_order(order=an_own_order(contact=KIM), by=None)
    held = Wizard(wizard.client, an_own_order(contact=KIM))
    Member.objects.filter(email=KIM).update(role=Member.Role.USER)
    held.open()
    held.fill("intent", audience="own")
    held.fill("customer")
    held.fill("administrator")
    Member.objects.filter(email=KIM).update(role=Member.Role.FULL)
    done = a_mapped_order(contact=KIM, customer=organization)
    setup = Wizard(wizard.client, done, "set_up")
    setup.open()
    setup.fill("subscription", choice="now")
    setup.fill("meetings", site_name="contoso", time_zone="Europe/Berlin", early_release="no")
    setup.fill("review")
    soon = an_own_order(contact=KIM, sold_to="Contoso Fair")
    Order.objects.filter(pk=soon.pk).update(closes_at=timezone.now() + timedelta(days=2))
    _close(an_own_order(contact=KIM, sold_to="Contoso Trial"))
    a_delegated_order(contact=KIM, customer="Fabrikam", customer_email="it-administration@fabrikam.example.com")
    yield Sight("several", "/orders/", KIM, dark=True)


def demo() -> Scene:
    """The demo's tour, mailbox and outside world, and the documentation of the API."""
    an_order(contact=SAM)
    mailbox.deliver()
    yield Sight("tour", "/", dark=True, demo=True)
    yield Sight("mailbox", "/mailbox/", demo=True)
    yield Sight("mail", "/mailbox/", act=_open_mail, dark=True, demo=True)
    yield Sight("order", "/orders/", SAM, demo=True)
    yield Sight("outside-world", "/outside-world/", demo=True)
    yield Sight("api", "/api/docs/")


def _open_mail(page: Page) -> None:
    page.get_by_role("link", name="Provisioning information required").first.click()
    page.locator("iframe").wait_for()


def errors() -> Scene:
    """Pages for what went wrong."""
    order = an_order(contact=SAM)
    yield Sight("404", "/nothing-here/", status=404)
    yield Sight("404-signed-in", f"/orders/{order.number}/", KIM, status=404)
    yield Sight("403", "/admin/login/", KIM, status=403)
    yield Sight("403-csrf", _link(order), act=_forged, status=403)
    yield Sight("400", "/crash/400/", status=400)
    yield Sight("500", "/crash/500/", dark=True, status=500)
    yield Sight("503", "/crash/503/", dark=True, status=503)
    yield Sight("503-sent", _link(order), act=_sent_while_away, dark=True, status=503)


def _forged(page: Page) -> None:
    page.locator("main input[name=csrfmiddlewaretoken]").evaluate("field => field.remove()")
    _press("Send me a code")(page)


def _sent_while_away(page: Page) -> None:
    page.locator("main form").evaluate("form => { form.action = '/crash/503/' }")
    _press("Send me a code")(page)
    page.get_by_role("button", name="Send again").wait_for()


SCENES: dict[str, Callable[[], Scene]] = {
    scene.__name__.replace("_", "-"): scene
    for scene in (
        sign_in,
        link,
        finding_candidates,
        finding_unusual,
        finding_exact,
        finding_none,
        finding_limits,
        own_company,
        asking,
        stopped,
        full_rights,
        desk_help,
        handing_on,
        setting_up,
        being_set_up,
        several_lines,
        verifying,
        my_orders,
        many_orders,
        demo,
        errors,
    )
}
