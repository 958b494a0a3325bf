"""The driver *osb*: any Open Service Broker, version 2.17, with this product as the platform.

The specification is https://github.com/openservicebrokerapi/servicebroker/blob/v2.17/spec.md; its sections are named
where a reaction comes from them. In the catalog the service is the one named like ours, the plan the one named like
the product, or the only one.
"""

from __future__ import annotations

import base64
import json
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import uuid4

import jsonschema
from django.conf import settings
from django.utils.translation import gettext
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from provisioning.fulfillment.outcomes import Done, Failed, Job, Outcome, Rejected, Running, Unreachable
from provisioning.integration.http_client import Answer, Limits, NoAnswer, request
from subscriptions import packs

VERSION: Final = "2.17"
PLATFORM: Final = "subscription-provisioning"
# A catalog of a few services with their schemas; what is longer is none.
MAX_BODY: Final = 1_000_000
# The specification's own example of when a platform times out ("typically 60 seconds") is longer than our lease: a
# start asks for the catalog, provisions, and after a 409 asks for the last operation; all of it takes less.
LIMITS: Final = Limits(connect=5, read=20, whole=25)
QUICK: Final = Limits(connect=4, read=8, whole=8)
# Of the dry run, while a person waits for the page.
DRY_RUN: Final = Limits(connect=0.3, read=0.5, whole=0.6)
# How long the catalog is kept in a process: "Platforms MAY re-query". A conflict drops it.
_CATALOG_SECONDS: Final = 60
_MAX_OPERATION: Final = 10_000  # characters: section "Provisioning", body


class _Problem(Exception):
    """The outcome of a call whose answer is no success."""

    def __init__(self, outcome: Rejected | Failed | Unreachable) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True)
class _Plan:
    """A plan of the broker's catalog: the ids, how many seconds it may take, its version and its JSON schema."""

    service_id: str
    plan_id: str
    longest: int
    version: str
    schema: dict[str, Any] | None

    @property
    def ids(self) -> dict[str, str]:
        """What later calls about an instance of this plan name."""
        return {"service_id": self.service_id, "plan_id": self.plan_id}


class OpenServiceBroker:
    """One service at one broker."""

    name = "osb"

    def __init__(self, service: str, url: str, user: str, password: str) -> None:
        self.service = service
        self.url = url.rstrip("/")
        self._catalog: tuple[float, Mapping[str, Any]] | None = None  # until when, and the service's object in it
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    # The driver's calls

    def check(self, job: Job) -> Rejected | None:
        """Compare the parameters with the JSON schema that the broker publishes for the plan."""
        try:
            plan = self._plan(job.product, DRY_RUN)
        except _Problem:
            return None  # that the broker is away, or its catalog wrong, is not this person's to mend
        return _refused_by_schema(plan, job)

    def start(self, job: Job) -> Outcome:
        """Provision: PUT /v2/service_instances/:instance_id."""
        try:
            plan = self._plan(job.product)
            if refused := _refused_by_schema(plan, job):
                return refused
            outcome = self._provision(job, plan)
        except _Problem as problem:
            outcome = problem.outcome
        if not isinstance(outcome, Done | Running):
            self._catalog = None  # what was asked for may rest on a catalog that has changed since
        return outcome

    def poll(self, job: Job) -> Outcome:
        """Poll the last operation of a provisioning."""
        try:
            answer = self._last_operation(job)
        except _Problem as problem:
            return problem.outcome
        if answer.status == 404:
            # "MUST be returned if the Service Instance being polled does not exist": there is nothing to delete.
            return Failed("forgotten", "The broker does not know the instance any more.", answer=_text(answer))
        return _state_of(answer, job)

    def undo(self, job: Job, *, deleting: bool) -> Outcome:
        """Deprovision, or poll the last operation of a deprovisioning."""
        try:
            if deleting:
                return self._deletion(job)
            external = {name: job.external[name] for name in _IDS if job.external.get(name)}
            if len(external) < len(_IDS):
                external = self._plan(job.product).ids
            query = {name: str(external[name]) for name in _IDS} | {"accepts_incomplete": "true"}
            answer = self._call("DELETE", self._instance(job), query, by=job.requested_by)
        except _Problem as problem:
            return problem.outcome
        found = _object(answer)
        if answer.status == 410 or (answer.status == 200 and found is not None):
            return Done(answer=_text(answer))
        if answer.status == 202 and found is not None and _is_operation(found.get("operation")):
            operation = found.get("operation") or ""
            return Running(operation, answer.retry_after, external=external, answer=_text(answer))
        # "Deprovisioning": any other status is a failure, and the platform must remember the instance.
        return _unusable(answer)

    def problems(self) -> list[str]:
        """Ask for the catalog, find the service and its plans in it, and compare their schemas with the pack's."""
        self._catalog = None
        try:
            offered = self._offered(QUICK)
        except _Problem as problem:
            return [f"The broker of {self.service} can't be used: {problem.outcome.sentence}"]
        plans = [plan for plan in _objects(offered.get("plans")) if _is_text(plan.get("id"))]
        if not plans:
            return [f"The broker's catalog has no plan for the service {self.service}."]
        return [
            f"The broker's plan {plan.get('name')} of the service {self.service} {problem}"
            for plan in plans
            for problem in _schema_problems(_schema(plan), packs.of(self.service).schema)
        ]

    # Calls

    def _provision(self, job: Job, plan: _Plan) -> Outcome:
        body: dict[str, Any] = {
            "service_id": plan.service_id,
            "plan_id": plan.plan_id,
            "organization_guid": job.organization_id,
            "space_guid": job.organization_id,
            "context": {
                "platform": PLATFORM,
                "organization_guid": job.organization_id,
                "organization_name": job.organization_name,
                "order": job.order,
                "line": job.line,
                "product": job.product,
                "licenses": job.licenses,
                "term_months": job.term_months,
            },
            "parameters": dict(job.parameters),
        }
        if plan.version:
            body["maintenance_info"] = {"version": plan.version}
        try:
            answer = self._call(
                "PUT", self._instance(job), {"accepts_incomplete": "true"}, body, by=job.requested_by, made=plan.ids
            )
        except _Problem as problem:
            return problem.outcome
        found, text = _object(answer), _text(answer)
        if answer.status in {200, 201, 202}:
            if found is None or not _is_operation(found.get("operation")) or not _is_url(found.get("dashboard_url")):
                # "Orphan Mitigation": 201 and 202 with a malformed response are deleted; 200 with one is not.
                abandon = answer.status != 200
                return Unreachable(_MALFORMED, None, abandon, is_outage=False, answer=text, external=plan.ids)
            external = plan.ids | _dashboard(found)
            if answer.status == 202:
                operation = found.get("operation") or ""
                return Running(operation, answer.retry_after, _sentence(found), external, plan.longest, text)
            return Done(_sentence(found), external, text)
        if answer.status == 409 and job.repeated and "field" not in (found or {}):
            # "Synchronous Operations": the instance is of an earlier call whose answer was lost; the last operation
            # says how it is.
            asked = replace(job, operation="", external=plan.ids)
            state = _state_of(self._last_operation(asked, QUICK), asked)
            if isinstance(state, Done):
                return state
            if isinstance(state, Running):
                return replace(state, longest=plan.longest)
        return _rejected(answer, plan)

    def _deletion(self, job: Job) -> Outcome:
        answer = self._last_operation(job)
        body = _object(answer) or {}
        state = body.get("state") if answer.status == 200 else None
        if answer.status in {404, 410} or state == "succeeded":
            return Done(answer=_text(answer))
        if state == "in progress":
            return Running(job.operation, answer.retry_after, external=job.external, answer=_text(answer))
        if state == "failed":  # "should keep trying to delete them until the broker responds with a success"
            return Failed("not_deleted", _sentence(body) or _NO_WORDS, answer=_text(answer))
        return _unusable(answer)

    def _last_operation(self, job: Job, limits: Limits | None = None) -> Answer:
        query = {name: str(job.external[name]) for name in _IDS if job.external.get(name)}
        if job.operation:
            query["operation"] = job.operation
        return self._call("GET", f"{self._instance(job)}/last_operation", query, by=job.requested_by, limits=limits)

    def _plan(self, product: str, limits: Limits | None = None) -> _Plan:
        """The plan for a product, as the catalog is. Raises _Problem."""
        offered = self._offered(limits or QUICK)
        plans = [plan for plan in _objects(offered.get("plans")) if _is_text(plan.get("id"))]
        # Names are case-sensitive and without spaces: a plan for "Meetings Pro" is likely called meetings-pro.
        chosen = next(
            (
                found[0]
                for found in (
                    [plan for plan in plans if plan.get("name") == product],
                    [plan for plan in plans if _alike(plan.get("name")) == _alike(product)],
                    plans,
                )
                if len(found) == 1
            ),
            None,
        )
        if chosen is None:
            self._catalog = None
            raise _Problem(Failed("no_plan", f"The broker's catalog has no plan named {product}."))
        longest = chosen.get("maximum_polling_duration")
        ours = settings.PROVISIONING_LONGEST_HOURS * 3600  # "If either the Platform or Service Plan's …"
        version = _dig(chosen, "maintenance_info", "version")
        return _Plan(
            service_id=offered["id"],
            plan_id=chosen["id"],
            longest=min(longest, ours) if type(longest) is int and longest > 0 else ours,
            version=version if isinstance(version, str) else "",
            schema=_schema(chosen),
        )

    def _offered(self, limits: Limits) -> Mapping[str, Any]:
        """The service's object in the catalog, which is asked for again after a minute. Raises _Problem."""
        if self._catalog and time.monotonic() < self._catalog[0]:
            return self._catalog[1]
        answer = self._call("GET", "/v2/catalog", {}, limits=limits)
        if answer.status != 200:
            raise _Problem(_unusable(answer))
        services = (_object(answer) or {}).get("services")
        if not isinstance(services, list):
            raise _Problem(Unreachable(_MALFORMED, is_outage=False, answer=_text(answer)))
        for each in _objects(services):
            if each.get("name") == self.service and _is_text(each.get("id")):
                self._catalog = (time.monotonic() + _CATALOG_SECONDS, each)
                return each
        raise _Problem(Failed("no_service", f"The broker's catalog has no service named {self.service}."))

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        by: str = "",
        made: Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> Answer:
        """Make one call. ``by``: the person whose action it follows from; ``made``: the ids of what it may make.

        Raises _Problem for what is the same in every call.
        """
        headers = {
            "Authorization": self.authorization,
            "X-Broker-API-Version": VERSION,
            "X-Broker-API-Request-Identity": str(uuid4()),
            "Accept": "application/json",
            "User-Agent": PLATFORM,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        if by:
            who = base64.b64encode(json.dumps({"user_id": by}).encode()).decode()
            headers["X-Broker-API-Originating-Identity"] = f"{PLATFORM} {who}"
        url = self.url + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        try:
            answer = request(
                method,
                url,
                json.dumps(body, ensure_ascii=False).encode() if body is not None else b"",
                headers,
                allow=settings.OUTGOING_ALLOW_PRIVATE,
                limits=limits or LIMITS,
                keep=MAX_BODY,
            )
        except NoAnswer as problem:
            # "Orphan Mitigation": a timeout of a provisioning. What was never sent has made nothing.
            abandon = made is not None and problem.sent
            raise _Problem(Unreachable(str(problem), abandon=abandon, external=made or {})) from problem
        if answer.status in {401, 403}:
            sentence = "The broker refuses the user or the password."
            raise _Problem(Unreachable(sentence, answer.retry_after, answer=_text(answer)))
        if answer.status == 412:
            raise _Problem(Failed("version", _sentence(_object(answer)) or _status(answer), answer=_text(answer)))
        if answer.status in {408, 429}:  # the request was not received, or not accepted for now
            raise _Problem(Unreachable(_status(answer), answer.retry_after, answer=_text(answer)))
        return answer

    def _instance(self, job: Job) -> str:
        return f"/v2/service_instances/{quote(job.instance_id, safe='')}"


_IDS: Final = ("service_id", "plan_id")
_MALFORMED: Final = "The broker's answer is not what the specification says."
_NO_WORDS: Final = "The broker gave no reason."


def _state_of(answer: Answer, job: Job) -> Outcome:
    """Return what an answer to last_operation says of a provisioning."""
    body, text = _object(answer) or {}, _text(answer)
    state, said = body.get("state") if answer.status == 200 else None, _sentence(body)
    if state == "succeeded":
        return Done(said, job.external, text)
    if state == "in progress":
        return Running(job.operation, answer.retry_after, said, job.external, answer=text)
    if state == "failed":
        # "Orphan Mitigation": 200 with "state": "failed".
        if _is_about_input(body):
            return Rejected(_pointer(body.get("field")), said or _NO_WORDS, abandon=True, answer=text)
        return Failed("failed", said or _NO_WORDS, abandon=True, answer=text)
    # Everything else is an invalid response: polling goes on until the maximum polling duration.
    return _unusable(answer)


def _rejected(answer: Answer, plan: _Plan) -> Outcome:
    """Return the outcome of a provisioning that was not accepted ("Service Broker Errors", "Orphan Mitigation")."""
    body, text = _object(answer) or {}, _text(answer)
    error, said = body.get("error"), _sentence(body)
    if answer.status >= 500 or 200 <= answer.status < 300:
        sentence = said or _status(answer)
        return Unreachable(sentence, answer.retry_after, abandon=True, answer=text, external=plan.ids)
    if answer.status == 422 and error in {"ConcurrencyError", "MaintenanceInfoConflict"}:
        # "Clients MUST wait until pending requests have completed"; "SHOULD fetch the latest version of the catalog".
        return Unreachable(said or str(error), answer.retry_after, is_outage=False, answer=text)
    if answer.status == 422 and error in {"AsyncRequired", "RequiresApp"}:
        return Failed("rejected", said or f"The broker answered 422: {error}.", answer=text)
    if answer.status in {400, 422} and (said or "field" in body):
        return Rejected(_pointer(body.get("field")), said or _NO_WORDS, answer=text)
    if answer.status == 409:
        if "field" in body:
            return Rejected(_pointer(body["field"]), said or _NO_WORDS, "conflict", answer=text)
        return Failed("conflict", said or "The broker has an instance of this id with other attributes.", answer=text)
    return Failed("rejected", said or _status(answer), answer=text)


def _unusable(answer: Answer) -> Unreachable:
    """Return that an answer says nothing: it is asked again."""
    return Unreachable(
        _MALFORMED if 200 <= answer.status < 300 else _status(answer),
        answer.retry_after,
        is_outage=answer.status >= 500,
        answer=_text(answer),
    )


def _refused_by_schema(plan: _Plan, job: Job) -> Rejected | None:
    """Return what the broker's own schema says of the parameters. A schema that is none refuses nothing."""
    if plan.schema is None:
        return None
    try:
        found = _validator(plan.schema)(plan.schema, registry=EMPTY_REGISTRY).iter_errors(dict(job.parameters))
        first = jsonschema.exceptions.best_match(found)
    except (*_NO_SCHEMA, LookupError, TypeError, ValueError):
        return None
    if first is None:
        return None
    field = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in first.absolute_path)
    limit = first.validator_value
    sentences = {
        "maxLength": gettext("Enter at most %(n)s characters."),
        "maximum": gettext("Enter %(n)s or less."),
        "minimum": gettext("Enter %(n)s or more."),
    }
    sentence = sentences.get(str(first.validator), gettext("The provider does not accept this."))
    return Rejected(field, sentence % {"n": limit}, "schema", answer=first.message[:500])


# "Schemas MUST NOT contain any external references": one that does is none, and nothing is fetched.
_NO_SCHEMA: Final = (jsonschema.SchemaError, Unresolvable, RecursionError)


def _validator(schema: dict[str, Any]) -> Any:
    """Return the validator of the draft that a schema names, draft 4 if none. Raises one of _NO_SCHEMA."""
    found = jsonschema.validators.validator_for(schema, default=jsonschema.Draft4Validator)
    found.check_schema(schema)
    return found


def _schema_problems(theirs: Mapping[str, Any] | None, ours: Mapping[str, Any], at: str = "") -> list[str]:
    """Return what the broker's schema asks for that the pack doesn't send, and what it forbids that the pack sends."""
    if theirs is None:
        return []
    if not at:
        try:
            _validator(dict(theirs))
        except _NO_SCHEMA:
            return ["has a JSON schema that is none."]
    known, offered = _mapping(ours.get("properties")), _mapping(theirs.get("properties"))
    required = theirs.get("required")
    found = [
        f"requires {at}/{name}, which is not sent."
        for name in (required if isinstance(required, list) else ())
        if name not in known
    ]
    if theirs.get("additionalProperties") is False and "patternProperties" not in theirs:
        found += [f"forbids {at}/{name}, which is sent." for name in known if name not in offered]
    for name in known:
        if isinstance(offered.get(name), dict):
            found += _schema_problems(offered[name], known[name], f"{at}/{name}")
    items = theirs.get("items")
    if isinstance(items, dict) and isinstance(ours.get("items"), dict):
        found += _schema_problems(items, ours["items"], f"{at}/0")
    return found


def _schema(plan: Mapping[str, Any]) -> dict[str, Any] | None:
    schema = _dig(plan, "schemas", "service_instance", "create", "parameters")
    return schema if isinstance(schema, dict) else None


def _object(answer: Answer) -> dict[str, Any] | None:
    """The JSON object that the body is; None where it is none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _objects(found: Any) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _mapping(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}


def _is_text(found: Any) -> bool:
    """Say whether it is a text that a URL and the database can have."""
    return isinstance(found, str) and found != "" and "\0" not in found and not _has_surrogates(found)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _is_operation(found: Any) -> bool:
    return found in (None, "") or (_is_text(found) and len(found) <= _MAX_OPERATION)


def _is_url(found: Any) -> bool:
    return found is None or isinstance(found, str)


def _is_about_input(body: Mapping[str, Any]) -> bool:
    return "field" in body or body.get("error") == "InvalidParameters"


def _alike(name: Any) -> str:
    return "-".join(name.casefold().split()) if isinstance(name, str) else ""


def _sentence(body: Mapping[str, Any] | None) -> str:
    """The broker's words for people, without control characters and what turns the direction of text around."""
    said = (body or {}).get("description")
    if not isinstance(said, str):
        return ""
    shown = "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in said if char not in _TURNS)
    return " ".join(shown.split())[:500]


_TURNS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _dashboard(body: Mapping[str, Any]) -> dict[str, str]:
    url = _text_or_none(body.get("dashboard_url"))
    return {"dashboard_url": url} if url and len(url) <= 2000 and url.startswith(("https://", "http://")) else {}


def _pointer(field: object) -> str:
    pointer = _text_or_none(field)
    return pointer if pointer and len(pointer) <= 200 and pointer.startswith("/") else ""


def _text_or_none(found: Any) -> str | None:
    return found if isinstance(found, str) and _is_text(found) else None


def _dig(found: Any, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _status(answer: Answer) -> str:
    return f"The broker answered {answer.status}."


def _text(answer: Answer) -> str:
    """What was received, for the order desk: the status and the beginning of the body, without control characters."""
    body = answer.body[:2000].decode(errors="replace")
    return f"{answer.status} " + "".join(char if char.isprintable() else " " for char in body)
