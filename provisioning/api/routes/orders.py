"""Orders: place, read, list, correct, cancel, extend; their contact, email, history, provisioning and summary."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase, HttpResponseNotModified, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router, Status

from orgs.text.normalize import email_key
from provisioning import actions
from provisioning.actions.orders import differing_facts, lock
from provisioning.api.auth import Key, KeyedRequest
from provisioning.api.documentation import example, if_match
from provisioning.api.errors import POINTERS, Problem, problem_of
from provisioning.api.etags import is_unchanged, require_match
from provisioning.api.fields import OrderNumber
from provisioning.api.pagination import Paging, expanded, page_of
from provisioning.api.routes import order_schemas as schemas
from provisioning.api.routes.provisioning import Request
from provisioning.fulfillment import transitions
from provisioning.history import event_sentences
from provisioning.models import Event
from provisioning.rules import refusals
from subscriptions.models import UNFINISHED, Order
from subscriptions.rules.deadlines import MAX_DAYS
from subscriptions.rules.validation import Problem as Rule
from subscriptions.rules.validation import Refused
from subscriptions.summary import build_summary, documents, pdf_cache

router = Router(tags=["Orders"])

_EXPANDABLE: Final = frozenset({"history", "provisioning", "summary"})
_ONE_OF_TWO = _("Send either “set_up_by” or “days”.")
_UNKNOWN_LANGUAGE = _("There is no such language.")
_UNKNOWN_STATE = _("There is no such state.")
_READ: Final = Key("orders:read")
_WRITE: Final = Key("orders:write")
# Seconds to wait for a turn to make a document.
_LONGEST_WAIT: Final = 2


@router.post(
    "",
    auth=_WRITE,
    response={201: schemas.Order, 200: schemas.Order},
    operation_id="placeOrder",
    exclude_unset=True,
    summary="Place an order",
    openapi_extra=example(
        """curl "$API/orders" -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -H "Idempotency-Key: crm-1001" -d '{
    "number": "CRM-1001", "sold_to": "Partner Networks", "contact_email": "sam@partner.example.net",
    "customer": {"name": "Contoso", "email": "it@contoso.example.org"},
    "lines": [{"service": "meetings", "product": "Meetings", "licenses": 250, "term_months": 12}]
  }'""",
    ),
)
def place(request: KeyedRequest, response: HttpResponse, order: schemas.NewOrder) -> Status[schemas.Order]:
    """Place an order; its provisioning contact gets the welcome email. 201: it was placed now.

    The same number again with the same facts answers 200 with the order as it is, and does nothing. With other facts
    it is refused (order-differs). Without a number it gets the next one.
    """
    customer = order.customer or schemas.Customer(name="", email="")
    facts: dict[str, Any] = {
        "sold_to": order.sold_to,
        "contact_email": order.contact_email,
        "customer_name": customer.name,
        "customer_email": customer.email,
        "lines": [line.as_bought() for line in order.lines],
        "set_up_by": order.set_up_by,
    }
    try:
        placed, created = actions.place_order(number=order.number, **facts)
    except Refused as refused:
        raise _at_its_address(refused, order.contact_email) from refused
    if not created and (names := differing_facts(order=placed, **facts)):
        detail = str(_("The order has another value."))
        raise Problem("order-differs", errors=[{"pointer": _POINTERS[name], "detail": detail} for name in names])
    response["Location"] = f"{settings.PUBLIC_URL}/api/v1/orders/{placed.number}"
    return Status(201 if created else 200, _shown(placed, response))


_POINTERS: Final = {**POINTERS, "lines": "/lines"}


def _at_its_address(refused: Refused, contact_email: str) -> Problem:
    """Return the problem of a refusal; of several addresses with the field that has them."""
    if refused.problem != Rule.SEVERAL_ADDRESSES:
        return problem_of(refused)
    pointer = "/contact_email" if contact_email.count("@") > 1 else "/customer/email"
    sentence = refusals.sentence(refused)
    return Problem("not-valid", detail=sentence, errors=[{"pointer": pointer, "detail": sentence}])


class Filters(Paging):
    """Which orders to list."""

    state: schemas.StateFilter = ""
    placed_from: schemas.From | None = None
    placed_before: schemas.Before | None = None
    set_up_by_from: schemas.From | None = None
    set_up_by_before: schemas.Before | None = None
    contact: schemas.ContactFilter = ""
    customer: schemas.CustomerFilter = ""
    q: schemas.TextFilter = ""


@router.get(
    "",
    auth=_READ,
    response=schemas.OrderPage,
    operation_id="listOrders",
    summary="List orders",
    openapi_extra=example(
        'curl "$API/orders?state=placed,held&q=contoso&limit=20" -H "Authorization: Bearer $KEY"',
    ),
)
def list_orders(request: KeyedRequest, filters: Query[Filters]) -> schemas.OrderPage:
    """The orders, the newest first, a page at a time. Filters are combined: an order has to meet all of them."""
    rows = Order.objects.select_related("partner", "customer").prefetch_related("lines")
    page, cursor = page_of(_filtered(rows, filters), filters)
    return schemas.OrderPage(data=[schemas.ListedOrder.of(order) for order in page], next_cursor=cursor)


def _filtered(rows: QuerySet[Order], filters: Filters) -> QuerySet[Order]:
    states = set(filters.state.split(",")) - {""}
    if states - {*Order.State.values, schemas.CLOSED, schemas.ON_HOLD}:
        raise Problem("not-valid", errors=[{"parameter": "state", "detail": str(_UNKNOWN_STATE)}])
    if states:
        wanted = Q(state__in=states)
        if schemas.CLOSED in states:
            wanted |= Q(state__in=UNFINISHED, on_hold_at=None, closes_at__lte=timezone.now())
        if schemas.ON_HOLD in states:
            wanted |= Q(state__in=UNFINISHED, on_hold_at__isnull=False)
        rows = rows.filter(wanted)
    between: dict[str, datetime | None] = {
        "placed_at__gte": filters.placed_from,
        "placed_at__lt": filters.placed_before,
        "closes_at__gte": filters.set_up_by_from,
        "closes_at__lt": filters.set_up_by_before,
    }
    rows = rows.filter(**{name: moment for name, moment in between.items() if moment is not None})
    if filters.contact:
        rows = rows.filter(contact_email=email_key(filters.contact))
    if filters.customer:
        rows = rows.filter(Q(customer_name__icontains=filters.customer) | Q(customer_email=email_key(filters.customer)))
    for word in filters.q.split():
        names = ("number", "sold_to", "customer_name", "contact_email", "customer_email")
        anywhere = Q()
        for name in names:
            anywhere |= Q(**{f"{name}__icontains": word})
        rows = rows.filter(anywhere)
    return rows


class Expanding(schemas.Plain):
    """What to include with an order."""

    expand: schemas.ExpandOrder = ""


@router.get(
    "/{number}",
    auth=_READ,
    response=schemas.Order,
    operation_id="readOrder",
    exclude_unset=True,
    summary="Read an order",
    openapi_extra=example(
        'curl "$API/orders/CRM-1001" -H "Authorization: Bearer $KEY"',
        'curl "$API/orders/CRM-1001?expand=history,provisioning" -H "Authorization: Bearer $KEY"',
        not_modified=True,
    ),
)
def read(
    request: KeyedRequest, response: HttpResponse, number: OrderNumber, parameters: Query[Expanding]
) -> schemas.Order | HttpResponseBase:
    """An order as it is now. With `If-None-Match` and the ETag of before, 304 where it has not changed."""
    names = expanded(parameters.expand, _EXPANDABLE)
    order = _find(number)
    shown = _shown(order, response)
    if not names and is_unchanged(request, response["ETag"]):
        return HttpResponseNotModified(headers={"ETag": response["ETag"]})
    if "history" in names:
        shown.history = _history(order.events.order_by("-position")[:200])
    if "provisioning" in names:
        shown.provisioning = _provisioning(order)
    if "summary" in names:
        shown.summary = _summary(order)
    return shown


@router.patch(
    "/{number}",
    auth=_WRITE,
    response=schemas.Order,
    operation_id="correctOrder",
    exclude_unset=True,
    summary="Correct an order",
    openapi_extra=example(
        """curl -X PATCH "$API/orders/CRM-1001" -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" -H "If-Match: *" -d '{"sold_to": "Partner Networks Ltd"}'""",
        parameters=[if_match()],
    ),
)
def correct(
    request: KeyedRequest, response: HttpResponse, number: OrderNumber, changes: schemas.Correction
) -> schemas.Order:
    """Change what is given, and leave the rest. Another contact gets the welcome email.

    Until the organizations are confirmed everything can be corrected; then only who bought it and the lines, until the
    set-up begins. With `If-Match` it is refused (changed-meanwhile) where the order changed since it was read.
    """
    facts: dict[str, Any] = {
        "sold_to": changes.sold_to,
        "contact_email": changes.contact_email,
        "lines": None if changes.lines is None else [line.as_bought() for line in changes.lines],
    }
    if "customer" in changes.model_fields_set:
        customer = changes.customer or schemas.Customer(name="", email="")
        facts |= {"customer_name": customer.name, "customer_email": customer.email}
    try:
        with transaction.atomic():
            order = _matched(request, number)
            actions.correct_order(order=order, **facts)
    except Refused as refused:
        raise _at_its_address(refused, changes.contact_email or "") from refused
    return _shown(_find(number), response)


@router.post(
    "/{number}/contact",
    auth=_WRITE,
    response=schemas.Order,
    operation_id="changeContact",
    exclude_unset=True,
    summary="Change the provisioning contact",
    openapi_extra=example(
        """curl "$API/orders/CRM-1001/contact" -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" -d '{"contact_email": "kim@partner.example.net"}'""",
        parameters=[if_match()],
    ),
)
def change_contact(
    request: KeyedRequest, response: HttpResponse, number: OrderNumber, contact: schemas.Contact
) -> schemas.Order:
    """The new contact gets the welcome email, and the link of the one before ends. Twice is once."""
    with transaction.atomic():
        order = _matched(request, number)
        actions.correct_order(order=order, contact_email=contact.contact_email)
    return _shown(_find(number), response)


@router.post(
    "/{number}/resend",
    auth=_WRITE,
    response=schemas.Order,
    operation_id="resendEmail",
    exclude_unset=True,
    summary="Send the email of an order again",
    openapi_extra=example('curl -X POST "$API/orders/CRM-1001/resend" -H "Authorization: Bearer $KEY"'),
)
def resend(request: KeyedRequest, response: HttpResponse, number: OrderNumber) -> schemas.Order:
    """Whoever has to act now gets an email with a new link; the link before it stops working."""
    actions.resend_link(order=_find(number), by=None)
    return _shown(_find(number), response)


@router.post(
    "/{number}/extend",
    auth=_WRITE,
    response=schemas.Order,
    operation_id="extendOrder",
    exclude_unset=True,
    summary="Give an order more time",
    openapi_extra=example(
        """curl "$API/orders/CRM-1001/extend" -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" -d '{"days": 14, "reason": "The customer is on holiday."}'""",
        parameters=[if_match()],
    ),
)
def extend(request: KeyedRequest, response: HttpResponse, number: OrderNumber, more: schemas.MoreTime) -> schemas.Order:
    """A later set-up-by date: `set_up_by`, or `days` after the one that it has (from now if that has passed).

    An order that had closed continues where it was, and whoever must act gets an email.
    """
    if (more.set_up_by is None) == (more.days is None):
        raise Problem("not-valid", errors=[{"pointer": "", "detail": str(_ONE_OF_TWO)}])
    with transaction.atomic():
        order = _matched(request, number)
        days = timedelta(days=min(more.days or 0, MAX_DAYS + 1))
        closes_at = more.set_up_by or max(order.closes_at, timezone.now()) + days
        actions.extend_order(order=order, closes_at=closes_at, reason=more.reason)
    return _shown(_find(number), response)


@router.post(
    "/{number}/hand-to-desk",
    auth=_WRITE,
    response=schemas.Order,
    operation_id="handToDesk",
    exclude_unset=True,
    summary="Hand an order to the order desk",
    openapi_extra=example(
        """curl "$API/orders/CRM-1001/hand-to-desk" -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" -d '{"reason": "The customer disputes the number of licenses."}'""",
        parameters=[if_match()],
    ),
)
def hand_to_desk(
    request: KeyedRequest, response: HttpResponse, number: OrderNumber, hold: schemas.Hold
) -> schemas.Order:
    """The order is on hold until the order desk, or *release*, lets it go on. Every answer is kept. Twice is once."""
    with transaction.atomic():
        actions.put_on_hold(order=_matched(request, number), by=None, reason=hold.reason, message=hold.message)
    return _shown(_find(number), response)


@router.post(
    "/{number}/release",
    auth=_WRITE,
    response=schemas.Order,
    operation_id="releaseOrder",
    exclude_unset=True,
    summary="Release an order that the order desk holds",
    openapi_extra=example(
        'curl -X POST "$API/orders/CRM-1001/release" -H "Authorization: Bearer $KEY"', parameters=[if_match()]
    ),
)
def release(request: KeyedRequest, response: HttpResponse, number: OrderNumber) -> schemas.Order:
    """It goes on where it was, with as much time as it had left. Whoever must act gets an email. Twice is once."""
    with transaction.atomic():
        actions.end_hold(order=_matched(request, number), by=None)
    return _shown(_find(number), response)


@router.post(
    "/{number}/notes",
    auth=_WRITE,
    response={201: schemas.HistoryEvent},
    operation_id="addNote",
    summary="Add a note for the order desk",
    openapi_extra=example(
        """curl "$API/orders/CRM-1001/notes" -H "Authorization: Bearer $KEY" \\
  -H "Content-Type: application/json" -d '{"text": "The account manager called on Monday."}'""",
    ),
)
def add_note(request: KeyedRequest, number: OrderNumber, note: schemas.Note) -> Status[schemas.HistoryEvent]:
    """A note is an event of the history that only the order desk and the API read. It can't be changed."""
    event = actions.add_note(order=_find(number), by=None, text=note.text)
    return Status(201, _history([Event.objects.get(pk=event.pk)])[0])


@router.get(
    "/{number}/history",
    auth=_READ,
    response=schemas.EventPage,
    operation_id="readHistory",
    exclude_unset=True,
    summary="Read the history of an order",
    openapi_extra=example('curl "$API/orders/CRM-1001/history?limit=20" -H "Authorization: Bearer $KEY"'),
)
def read_history(request: KeyedRequest, number: OrderNumber, paging: Query[Paging]) -> schemas.EventPage:
    """The events of an order, the newest first, as the order desk reads them. Each has the hash of its chain."""
    events, cursor = page_of(_find(number).events.all(), paging)
    return schemas.EventPage(data=_history(events), next_cursor=cursor)


@router.get(
    "/{number}/provisioning",
    auth=_READ,
    response=schemas.ProvisioningRequests,
    operation_id="readProvisioning",
    exclude_unset=True,
    summary="Read how the set-up of an order is going",
    openapi_extra=example('curl "$API/orders/CRM-1001/provisioning" -H "Authorization: Bearer $KEY"'),
)
def read_provisioning(request: KeyedRequest, number: OrderNumber) -> schemas.ProvisioningRequests:
    """The provisioning request of each line that is being set up, or is."""
    return schemas.ProvisioningRequests(data=_provisioning(_find(number)))


@router.get(
    "/{number}/summary",
    auth=Key("orders:read", "documents:read"),
    response=dict[str, Any],
    operation_id="readSummary",
    exclude_unset=True,
    summary="Read the summary of an order",
    openapi_extra=example('curl "$API/orders/$ORDER/summary" -H "Authorization: Bearer $KEY"'),
)
def read_summary(request: KeyedRequest, number: OrderNumber) -> dict[str, Any]:
    """What was ordered and what is set up: the facts of the summary page, the PDF and the webhooks."""
    return _summary(_find(number))


@router.get(
    "/{number}/summary.pdf",
    auth=Key("documents:read"),
    response={200: None, 202: schemas.NotReady},
    operation_id="downloadSummary",
    exclude_unset=True,
    summary="Download the summary of an order as PDF",
    openapi_extra=example(
        'curl "$API/orders/$ORDER/summary.pdf" -H "Authorization: Bearer $KEY" -o summary.pdf',
        responses={200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}},
        not_modified=True,
    ),
)
def download_summary(request: KeyedRequest, number: OrderNumber, parameters: Query[schemas.Language]) -> Any:
    """The document that the provisioning contact downloads, once the set-up was confirmed.

    202 with Retry-After where it is still being made.
    """
    order = _find(number)
    language = parameters.language or settings.LANGUAGE_CODE
    if language not in dict(settings.LANGUAGES):
        raise Problem("not-valid", errors=[{"parameter": "language", "detail": str(_UNKNOWN_LANGUAGE)}])
    if order.state not in {Order.State.SETTING_UP, Order.State.SET_UP}:
        raise Problem("no-summary-yet")
    copy = documents.copy_for(order, reader=email_key(order.contact_email), language=language)
    etag = f'"{copy.key}"'
    if is_unchanged(request, etag):
        return HttpResponseNotModified(headers={"ETag": etag})
    try:
        content = copy.wait(0) or copy.make(wait=_LONGEST_WAIT)
    except pdf_cache.TooManyRenders:
        detail = str(_("The document is being made."))
        return JsonResponse({"detail": detail}, status=202, headers={"Retry-After": "1"})
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="order-summary-{order.number}.pdf"'
    response["ETag"] = etag
    return response


@router.post(
    "/{number}/cancel",
    auth=_WRITE,
    response=schemas.Order,
    operation_id="cancelOrder",
    exclude_unset=True,
    summary="Cancel an order",
    openapi_extra=example(
        'curl -X POST "$API/orders/CRM-1001/cancel" -H "Authorization: Bearer $KEY"', parameters=[if_match()]
    ),
)
def cancel(request: KeyedRequest, response: HttpResponse, number: OrderNumber) -> schemas.Order:
    """Nobody can complete it any more, and its links say so. What was begun outside is undone. Twice is once."""
    with transaction.atomic():
        actions.cancel_order(order=_matched(request, number), by=None)
    return _shown(_find(number), response)


def _find(number: str) -> Order:
    order = Order.objects.select_related("partner", "customer").filter(number=number).first()
    if order is None:
        raise Http404
    return order


def _matched(request: KeyedRequest, number: str) -> Order:
    """Lock the order and return it. Raises Problem where it isn't as the client read it (If-Match)."""
    order = lock(_find(number))
    if "If-Match" in request.headers:
        require_match(request, schemas.Order.of(order).etag())
    return order


def _shown(order: Order, response: HttpResponse) -> schemas.Order:
    shown = schemas.Order.of(order)
    response["ETag"] = shown.etag()
    return shown


def _history(events: Any) -> list[schemas.HistoryEvent]:
    rows: list[Event] = list(events.select_related("by") if isinstance(events, QuerySet) else events)
    told = {line.position: line.sentence for line in event_sentences.sentences_for(rows, event_sentences.DESK)}
    return [
        schemas.HistoryEvent(
            position=event.position,
            at=event.at,
            kind=event.kind,
            sentence=told[event.position],
            person=event.who,
            api_key=str(event.facts.get("key", "")),
            hash=event.hash,
        )
        for event in rows
    ]


def _provisioning(order: Order) -> list[Request]:
    return [Request.of(row) for row in transitions.current(order)]


_IN_UTC: Final = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?)\+00:00")


def _summary(order: Order) -> dict[str, Any]:
    found: dict[str, Any] = _with_z(build_summary(order).as_dict())
    return found


def _with_z(value: Any) -> Any:
    """Return JSON values with times in UTC written as the API does, with a Z."""
    if isinstance(value, dict):
        return {name: _with_z(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_z(each) for each in value]
    found = _IN_UTC.fullmatch(value) if isinstance(value, str) else None
    return f"{found[1]}Z" if found else value
