"""The sample orders of the tour: who gets them, and how far each one has come when the demo starts.

They are placed by the product's own actions, for organizations of the sample directory. Their members' addresses are
made up; in the demo no mail leaves the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.http import HttpRequest
from django.http.request import QueryDict
from django.utils import timezone

from orgs.actions import add_member
from orgs.models import Member, Organization
from provisioning import actions
from provisioning.actions import Existing
from provisioning.bulk import batches
from provisioning.models import OrderBatch, User
from provisioning.people import links
from provisioning.wizard.draft_storage import DraftStorage
from provisioning.wizard.set_up_lookups import SetUpLookups
from provisioning.wizard.steps import SETUP
from subscriptions.models import Order
from subscriptions.rules.validation import Line

DESK: Final = "desk@northwind.example"  # an operator of the order desk
FILE: Final = Path(__file__).with_name("data") / "orders.csv"

FULL, USER = Member.Role.FULL.value, Member.Role.USER.value

# What the demo's broker does with these orders, as the tour says (provisioning.local.demo.broker).
FAULTS = {"TOUR-601": "slow", "TOUR-602": "fails_twice", "TOUR-603": "refuses_name", "TOUR-604": "down"}


@dataclass(frozen=True)
class Person:
    """Somebody who has to be a member of an organization (by its external id) for an order to go as the tour says."""

    organization: str
    email: str
    role: str = FULL


@dataclass(frozen=True)
class SampleOrder:
    """One order: as it was placed, who has to be a member of what, and what happened to it since.

    ``meetings`` and ``calling`` are licenses of one line each, ``lines`` are others; ``then`` gets the order and its
    contact.
    """

    number: str
    sold_to: str
    contact: str
    customer: str = ""
    customer_email: str = ""
    meetings: int = 0
    calling: int = 0
    lines: tuple[Line, ...] = ()
    people: tuple[Person, ...] = ()
    then: Callable[[Order, User], object] | None = None


def load() -> int:
    """Place the sample orders that aren't there yet; how many those were. The sample directory has to be loaded.

    A file of orders is checked, and waits at the order desk to be applied.
    """
    operator = links.user_for(DESK)
    if not operator.is_superuser:
        operator.is_staff = operator.is_superuser = True
        operator.save(update_fields=["is_staff", "is_superuser"])
    content = FILE.read_bytes()
    if not OrderBatch.objects.filter(file_hash=batches.hash_of(content)).exists():
        batches.create(name=FILE.name, content=content, by=operator)
    return sum(_place(sample) for sample in ORDERS)


@transaction.atomic
def _place(sample: SampleOrder) -> bool:
    """Place one order, with all that happened to it since, unless there is one of this number."""
    if Order.objects.filter(number=sample.number).exists():
        return False
    for person in sample.people:
        _make_member(person)
    bought = (("meetings", sample.meetings), ("calling", sample.calling))
    order, created = actions.place_order(
        number=sample.number,
        sold_to=sample.sold_to,
        contact_email=sample.contact,
        customer_name=sample.customer,
        customer_email=sample.customer_email,
        lines=[*(Line(service, licenses) for service, licenses in bought if licenses), *sample.lines],
    )
    if created and sample.then:
        sample.then(order, links.user_for(sample.contact))
    return created


def _make_member(person: Person) -> None:
    organization = _organization(person.organization)
    member = Member.objects.filter(organization=organization, email=person.email).first()
    if member is None or member.role != person.role:
        add_member(organization=organization, email=person.email, role=person.role)


def _organization(external_id: str) -> Organization:
    return Organization.objects.get(external_id=external_id)


# What happened to an order since it was placed


def _mapped(*, customer: str, partner: str = "", delegate_to: str = "") -> Callable[[Order, User], Order]:
    """The organizations are confirmed: what is left is the set-up."""

    def then(order: Order, contact: User) -> Order:
        return actions.map_order(
            order=order,
            by=contact,
            audience="customer" if partner else "own",
            partner=Existing(_organization(partner).public_id) if partner else None,
            customer=Existing(_organization(customer).public_id),
            delegate_to=delegate_to,
        )

    return then


def _half_set_up(order: Order, contact: User) -> None:
    """The organization is confirmed and Meetings answered; then *Set up later* was chosen."""
    order = _mapped(customer="R00a7wgt63")(order, contact)
    _answer(order, contact, "subscription", choice="now")
    _answer(order, contact, "meetings", site_name="winterthur-museum", time_zone="America/New_York", early_release="no")
    actions.postpone(order=order, by=contact)


def _answer(order: Order, by: User, step: str, **fields: str) -> None:
    """Keep an answer of the set-up part as the wizard does."""
    request = HttpRequest()
    request.user = by
    storage = DraftStorage(f"set_up.{order.pk}", request)
    form_class: type[Any] = next(each.form for each in SETUP if each.name == step)
    data = QueryDict(mutable=True)
    data.update({f"{step}-{name}": value for name, value in fields.items()})
    earlier = {"order": {"services": [line.service for line in order.lines.all()]}, **storage.answers()}
    form = form_class(data, prefix=step, order=order, answers=earlier, **SetUpLookups(order=order).form_facts(step))
    if not form.is_valid():
        raise ValueError(f"{step} of {order.number}: {form.errors.as_json()}")
    display = [[str(label), str(value)] for label, value in form.summary()]
    storage.keep(step, data, form.answers(), display, by=by.email)


def _expired(order: Order, contact: User) -> None:
    """Its link was made forty days ago, and worked for thirty."""
    then = timezone.now() - timedelta(days=40)
    order.links.update(issued_at=then, expires_at=then + timedelta(days=30))
    # So that asking for the link again doesn't count as asking twice in a short time.
    order.mails.update(created_at=then)


def _resent(order: Order, contact: User) -> None:
    """The order desk sent the link again: the first one is replaced."""
    actions.resend_link(order=order, by=links.user_for(DESK))


def _closing_soon(order: Order, contact: User) -> None:
    """Twenty-eight of its thirty days are over."""
    _date(order, closes_at=timezone.now() + timedelta(days=2))


def _closed(order: Order, contact: User) -> None:
    """Its set-up-by date was yesterday."""
    _date(order, closes_at=timezone.now() - timedelta(days=1))


def _date(order: Order, *, closes_at: datetime) -> None:
    order.placed_at = order.date_set_at = closes_at - timedelta(days=30)
    order.closes_at = closes_at
    order.save(update_fields=["placed_at", "date_set_at", "closes_at"])


def _cancelled(order: Order, contact: User) -> None:
    actions.cancel_order(order=order, by=links.user_for(DESK))


ORDERS: Final = (
    # A partner, for a customer: all three results of looking for the two organizations.
    SampleOrder(
        number="TOUR-101",
        sold_to="Indoc Systems",
        contact="anna.santos@indocsystems.com",
        customer="Chester Zoo",
        customer_email="elif.nguyen@chesterzoo.org",
        meetings=120,
        people=(
            Person("R01jt3k523", "anna.santos@indocsystems.com"),
            Person("R01ysrp540", "elif.nguyen@chesterzoo.org"),
        ),
    ),
    SampleOrder(
        number="TOUR-102",
        sold_to="McKinsey & Company",
        contact="jo.larsen@mckinsey.com",
        customer="Siemens Healthineers",
        customer_email="rene.vogel@siemens-healthineers.com",
        meetings=400,
    ),
    SampleOrder(
        number="TOUR-103",
        sold_to="Quillfeather Managed IT",
        contact="dana.reyes@quillfeather.example",
        customer="Zephyrine Harbour Hotels",
        customer_email="office@zephyrine-harbour.example",
        meetings=60,
        calling=25,
    ),
    SampleOrder(
        number="TOUR-104",
        sold_to="Littoral Power Systems",
        contact="nina.weber@littoralpower.com",
        customer="Zoo Hannover",
        customer_email="office@zoo-hannover.example",  # a former domain that the sample makes up
        meetings=90,
        people=(Person("R04rh0vg05", "nina.weber@littoralpower.com"),),
    ),
    # A company, for itself.
    SampleOrder(
        number="TOUR-201",
        sold_to="Metropolitan Museum of Art",
        contact="kenji.wang@metmuseum.org",
        meetings=300,
        people=(Person("R03cm0t424", "kenji.wang@metmuseum.org"),),
    ),
    SampleOrder(
        number="TOUR-202",
        sold_to="Oakmoss & Thimble Ceramics",
        contact="robin@oakmoss-thimble.example",
        meetings=10,
    ),
    SampleOrder(
        number="TOUR-203",
        sold_to="Deutsches Museum",
        contact="jo.brandt@deutsches-museum.de",
        meetings=150,
        people=(
            Person("R00a7n7g54", "jo.brandt@deutsches-museum.de", USER),
            Person("R00a7n7g54", "hana.martin@deutsches-museum.de"),
        ),
    ),
    # Somebody else, or later.
    SampleOrder(
        number="TOUR-301",
        sold_to="Australian National Botanic Gardens",
        contact="sara.patel@anbg.gov.au",
        meetings=80,
        people=(Person("R00bx52076", "sara.patel@anbg.gov.au"), Person("R00bx52076", "chen.santos@anbg.gov.au")),
    ),
    SampleOrder(
        number="TOUR-302",
        sold_to="Winterthur Museum, Garden and Library",
        contact="hana.wang@winterthur.org",
        meetings=90,
        calling=40,
        people=(Person("R00a7wgt63", "hana.wang@winterthur.org"),),
        then=_half_set_up,
    ),
    SampleOrder(
        number="TOUR-303",
        sold_to="Software Information Center",
        contact="priya.ito@softic.or.jp",
        customer="Houston Museum of Natural Science",
        customer_email="jana.wang@hmns.org",
        meetings=75,
        people=(Person("R00tydck69", "priya.ito@softic.or.jp"), Person("R02vtdx988", "jana.wang@hmns.org")),
        then=_mapped(customer="R02vtdx988", partner="R00tydck69", delegate_to="jana.wang@hmns.org"),
    ),
    # Setting services up: the organizations are confirmed.
    SampleOrder(
        number="TOUR-401",
        sold_to="Silex Technology",
        contact="tom.jensen@silex.jp",
        customer="Museum of London Archaeology",
        customer_email="george.kumar@mola.org.uk",
        meetings=50,
        people=(Person("R0229m6042", "tom.jensen@silex.jp"), Person("R01qedwh63", "george.kumar@mola.org.uk")),
        then=_mapped(customer="R01qedwh63", partner="R0229m6042"),
    ),
    SampleOrder(
        number="TOUR-402",
        sold_to="Carabiner Systems",
        contact="amira.walker@carabiner.jp",
        customer="New York Public Library",
        customer_email="lara.bauer@nypl.org",
        calling=200,
        people=(Person("R01gwp4678", "amira.walker@carabiner.jp"), Person("R02eysy271", "lara.bauer@nypl.org")),
        then=_mapped(customer="R02eysy271", partner="R01gwp4678"),
    ),
    SampleOrder(
        number="TOUR-403",
        sold_to="Physiolab Technologies",
        contact="noah.abe@physiolab.com",
        customer="Crystal Bridges Museum of American Art",
        customer_email="jonas.diaz@crystalbridges.org",
        meetings=100,
        calling=35,
        people=(Person("R03hgz7n58", "noah.abe@physiolab.com"), Person("R015hj0r78", "jonas.diaz@crystalbridges.org")),
        then=_mapped(customer="R015hj0r78", partner="R03hgz7n58"),
    ),
    SampleOrder(
        number="TOUR-404",
        sold_to="Littoral Power Systems",
        contact="leo.abe@littoralpower.com",
        customer="National Tropical Botanical Garden",
        customer_email="vera.brown@ntbg.org",
        meetings=250,
        people=(Person("R04rh0vg05", "leo.abe@littoralpower.com"), Person("R029h2vx94", "vera.brown@ntbg.org")),
        then=_mapped(customer="R029h2vx94", partner="R04rh0vg05"),
    ),
    SampleOrder(
        number="TOUR-405",
        sold_to="Australian National Botanic Gardens",
        contact="liam.reid@anbg.gov.au",
        lines=(
            Line("meetings", 100, 24, "Meetings for staff", 10),
            Line("meetings", 50, 12, "Meetings for volunteers", 20),
            Line("calling", 40, 24, "Calling", 30),
            Line("calling", 5, 24, "Calling for reception desks", 40),
        ),
        people=(Person("R00bx52076", "liam.reid@anbg.gov.au"),),
        then=_mapped(customer="R00bx52076"),
    ),
    # Set up by a system outside: slow, failing twice, refusing a name, and down.
    SampleOrder(
        number="TOUR-601",
        sold_to="National Tropical Botanical Garden",
        contact="ines.costa@ntbg.org",
        meetings=60,
        people=(Person("R029h2vx94", "ines.costa@ntbg.org"),),
        then=_mapped(customer="R029h2vx94"),
    ),
    SampleOrder(
        number="TOUR-602",
        sold_to="Crystal Bridges Museum of American Art",
        contact="otto.kim@crystalbridges.org",
        meetings=45,
        people=(Person("R015hj0r78", "otto.kim@crystalbridges.org"),),
        then=_mapped(customer="R015hj0r78"),
    ),
    SampleOrder(
        number="TOUR-603",
        sold_to="Museum of London Archaeology",
        contact="maya.singh@mola.org.uk",
        meetings=70,
        calling=20,
        people=(Person("R01qedwh63", "maya.singh@mola.org.uk"),),
        then=_mapped(customer="R01qedwh63"),
    ),
    SampleOrder(
        number="TOUR-604",
        sold_to="New York Public Library",
        contact="luca.rossi@nypl.org",
        meetings=500,
        people=(Person("R02eysy271", "luca.rossi@nypl.org"),),
        then=_mapped(customer="R02eysy271"),
    ),
    # Links that no longer work.
    SampleOrder(
        number="TOUR-501",
        sold_to="Nuremberg Zoo",
        contact="felix.kovacs@nuernberg.de",
        meetings=30,
        people=(Person("R01m4er335", "felix.kovacs@nuernberg.de"),),
        then=_expired,
    ),
    SampleOrder(
        number="TOUR-502",
        sold_to="Baden State Library",
        contact="maria.miller@blb-karlsruhe.de",
        meetings=45,
        people=(Person("R00nxdn656", "maria.miller@blb-karlsruhe.de"),),
        then=_resent,
    ),
    SampleOrder(
        number="TOUR-503",
        sold_to="State Library of Oregon",
        contact="elif.tanaka@oregon.gov",
        calling=15,
        people=(Person("R00w035z87", "elif.tanaka@oregon.gov"),),
        then=_cancelled,
    ),
    # The set-up-by date.
    SampleOrder(
        number="TOUR-504",
        sold_to="Fernleigh Glassworks",
        contact="mika@fernleigh-glass.example",
        meetings=12,
        then=_closing_soon,
    ),
    SampleOrder(
        number="TOUR-505",
        sold_to="Larkspur & Tansy Nurseries",
        contact="noor@larkspur-tansy.example",
        meetings=8,
        then=_closed,
    ),
)
