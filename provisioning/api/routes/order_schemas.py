"""What the API takes and answers of orders."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self
from uuid import UUID

from ninja import Schema
from pydantic import Field, StringConstraints

from provisioning.api.etags import etag_of
from provisioning.api.fields import DayOrMoment, EndOfDayOrMoment, Moment, OrderNumber, Short, Strict, Text
from provisioning.api.pagination import Expand
from provisioning.api.routes.provisioning import Request
from subscriptions import models
from subscriptions.rules import validation

# Of ``state=``: not set up by its date. It is no state of its own.
CLOSED: Final = "closed"
ON_HOLD: Final = "on_hold"  # by the order desk; no state of its own either

OrderState = Annotated[str, Field(json_schema_extra={"enum": list(models.Order.State.values)})]
Email = Annotated[str, StringConstraints(max_length=320, pattern=r"^[^\x00]*$")]


class Plain(Schema):
    """Parameters of an address."""


class Customer(Strict):
    """The end customer of a partner's order."""

    name: Short = Field("", description="Its name.")
    email: Email = Field("", description="The email address of its administrator.")


class LineIn(Strict):
    """One line: a service may have several."""

    service: Short = Field(description="The code of a service that is sold, such as meetings.")
    product: Short = Field("", description="The name of the product; without it, that of the service.")
    licenses: int = Field(ge=1, le=validation.MAX_LICENSES, description="How many: 1 to 1,000,000.")
    term_months: int = Field(12, ge=1, le=validation.MAX_TERM_MONTHS, description="1 to 120; without it, 12.")
    number: int | None = Field(
        None, ge=1, le=validation.MAX_LINE_NUMBER, description="Your number of the line; without it, its position."
    )

    def as_bought(self) -> validation.Line:
        """Return the line as the actions take it."""
        return validation.Line(self.service, self.licenses, self.term_months, self.product, self.number)


Lines = Annotated[list[LineIn], Field(min_length=1, max_length=100, description="What was ordered.")]


class NewOrder(Strict):
    """An order to place."""

    number: Short | None = Field(
        None, description="Your number: up to 40 letters, digits, hyphens, underscores and full stops."
    )
    sold_to: Short = Field(description="The company that bought it.")
    contact_email: Email = Field(description="The provisioning contact, who gets the welcome email.")
    customer: Customer | None = Field(None, description="The end customer, where a partner bought it for one.")
    lines: Lines
    set_up_by: EndOfDayOrMoment | None = Field(
        None, description="When it closes unless it is set up: a day, until its end, or a time."
    )


class Correction(Strict):
    """What to change; what isn't given stays. `customer: null` says that there is none."""

    sold_to: Short | None = None
    contact_email: Email | None = None
    customer: Customer | None = None
    lines: Lines | None = None


class Contact(Strict):
    """Another provisioning contact."""

    contact_email: Email


class MoreTime(Strict):
    """A later date: one of the two."""

    set_up_by: EndOfDayOrMoment | None = Field(None, description="A day, until its end, or a time.")
    days: int | None = Field(None, ge=1, le=10_000, description="So many days more.")
    reason: Text = Field("", description="Why; the history keeps it.")


class Hold(Strict):
    """Why the order desk has to look at an order."""

    reason: Text = Field(description="For the order desk and the history.")
    message: Text = Field("", description="What the people of the order read besides.")


class Note(Strict):
    """A note for the order desk."""

    text: Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")] = Field(
        description="Up to 2,000 characters; it becomes part of the history."
    )


class CustomerOut(Schema):
    """The end customer."""

    name: str
    email: str


class Line(Schema):
    """One line of an order."""

    number: int
    service: str
    product: str
    licenses: int
    term_months: int


class Organization(Schema):
    """An organization that the order is tied to."""

    id: UUID
    name: str


class HistoryEvent(Schema):
    """An event of an order's history."""

    position: int
    at: Moment
    kind: str
    sentence: str = Field(description="What happened, in words.")
    person: str = Field(description="The email address of who did it, or empty.")
    api_key: str = Field(description="The name of the API key with which it was done, or empty.")
    hash: str = Field(description="SHA-256 of the event and the hash of the event before it.")


class ListedOrder(Schema):
    """An order as lists have it."""

    id: UUID
    number: str
    state: OrderState
    is_closed: bool = Field(description="It was not set up by its date, and waits for more time.")
    is_on_hold: bool = Field(description="The order desk holds it; nobody else can do anything with it.")
    sold_to: str
    contact_email: str
    customer: CustomerOut | None
    lines: list[Line]
    set_up_by: Moment
    placed_at: Moment
    mapped_at: Moment | None
    set_up_at: Moment | None
    cancelled_at: Moment | None
    audience: str = Field(description="`customer`, `own`, or empty until somebody said who the order is for.")
    partner_organization: Organization | None
    customer_organization: Organization | None
    delegated_to: str = Field(description="The customer's administrator who sets it up, or empty.")

    @classmethod
    def of(cls, order: models.Order) -> Self:
        """Return a row as the API shows it."""
        has_customer = order.customer_name or order.customer_email
        facts: dict[str, Any] = {
            "id": order.public_id,
            "number": order.number,
            "state": order.state,
            "is_closed": order.is_closed,
            "is_on_hold": order.is_on_hold,
            "sold_to": order.sold_to,
            "contact_email": order.contact_email,
            "customer": CustomerOut(name=order.customer_name, email=order.customer_email) if has_customer else None,
            "lines": [
                Line(
                    number=line.number,
                    service=line.service,
                    product=line.product,
                    licenses=line.licenses,
                    term_months=line.term_months,
                )
                for line in order.lines.all()
            ],
            "set_up_by": order.closes_at,
            "placed_at": order.placed_at,
            "mapped_at": order.mapped_at,
            "set_up_at": order.set_up_at,
            "cancelled_at": order.cancelled_at,
            "audience": order.audience,
            "partner_organization": _organization(order.partner),
            "customer_organization": _organization(order.customer),
            "delegated_to": order.delegated_to,
        }
        return cls(**facts)  # what is expanded isn't set


class Order(ListedOrder):
    """An order as it is now."""

    history: list[HistoryEvent] | None = Field(None, description="With expand=history: the last 200 events.")
    provisioning: list[Request] | None = Field(None, description="With expand=provisioning.")
    summary: dict[str, Any] | None = Field(None, description="With expand=summary.")

    def etag(self) -> str:
        """Return the ETag of the order, which is the same whatever is expanded."""
        return etag_of(self, leave_out=("history", "provisioning", "summary"))


def _organization(organization: Any) -> Organization | None:
    return Organization(id=organization.public_id, name=organization.name) if organization else None


class OrderPage(Schema):
    """A page of orders."""

    data: list[ListedOrder]
    next_cursor: str | None


class EventPage(Schema):
    """A page of events."""

    data: list[HistoryEvent]
    next_cursor: str | None


class ProvisioningRequests(Schema):
    """The provisioning requests of an order."""

    data: list[Request]


class NotReady(Schema):
    """The document is being made; ask again after Retry-After seconds."""

    detail: str


class Language(Plain):
    """In which language."""

    language: Annotated[str, StringConstraints(max_length=10, pattern=r"^[a-z-]*$")] = Field(
        "", description="`en` or `de`; without it, the language of emails."
    )


StateFilter = Annotated[
    str,
    StringConstraints(max_length=100, pattern=r"^[a-z_,]*$"),
    Field(description=f"With commas between them: {', '.join(models.Order.State.values)}, {CLOSED}, {ON_HOLD}."),
]
From = Annotated[DayOrMoment, Field(description="Then or later: a day or a time.")]
Before = Annotated[DayOrMoment, Field(description="Before then: a day or a time.")]
ContactFilter = Annotated[Email, Field(description="The email address of the provisioning contact.")]
CustomerFilter = Annotated[Short, Field(description="A part of the customer's name, or the email address.")]
TextFilter = Annotated[Short, Field(description="Words that number, companies and email addresses contain.")]
ExpandOrder = Annotated[Expand, Field(description="history, provisioning, summary; with commas between them.")]
OrderId = OrderNumber
