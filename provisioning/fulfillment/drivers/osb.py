"""The driver *osb*: any Open Service Broker, version 2.17, with this product as the platform.

The specification is https://github.com/openservicebrokerapi/servicebroker/blob/v2.17/spec.md; its sections are named
where a reaction comes from them. In the catalog the service is the one named like ours, the plan the one named like
the product, or the only one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import uuid4

import jsonschema
from django.conf import settings

from provisioning.fulfillment.outcomes import Done, Failed, Job, Outcome, Refused, Running, Unreachable
from provisioning.integration.http_client import Answer, Limits, NoAnswer, request

VERSION: Final = "2.17"
PLATFORM: Final = "subscription-provisioning"
# A catalog of a few services with their schemas; what is longer is none.
MAX_BODY: Final = 1_000_000
# The specification's own example of when a platform times out ("typically 60 seconds") is longer than our lease.
LIMITS: Final = Limits(connect=5, read=20, whole=25)
_MAX_OPERATION: Final = 10_000  # characters: section "Provisioning", body


class _Problem(Exception):
    """The outcome of a call whose answer is no success."""

    def __init__(self, outcome: Refused | Failed | Unreachable) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True)
class _Plan:
    """A plan of the broker's catalog: the ids, how long it may take, its version and its JSON schema."""

    service_id: str
    plan_id: str
    longest: int | None
    version: str
    schema: dict[str, Any] | None


class OpenServiceBroker:
    """One service at one broker."""

    name = "osb"

    def __init__(self, service: str, url: str, user: str, password: str) -> None:
        self.service = service
        self.url = url.rstrip("/")
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    # The driver's calls

    def check(self, job: Job) -> Refused | None:
        """Compare the parameters with the JSON schema that the broker publishes for the plan."""
        try:
            plan = self._plan(job.product)
        except _Problem:
            return None  # that the broker is away, or its catalog wrong, is not this person's to mend
        return _refused_by_schema(plan, job)

    def start(self, job: Job) -> Outcome:
        """Provision: PUT /v2/service_instances/:instance_id."""
        try:
            plan = self._plan(job.product)
            if refused := _refused_by_schema(plan, job):
                return refused
            return self._provision(job, plan)
        except _Problem as problem:
            return problem.outcome

    def poll(self, job: Job) -> Outcome:
        """Poll the last operation of a provisioning."""
        try:
            answer = self._last_operation(job)
        except _Problem as problem:
            return problem.outcome
        if answer.status == 404:
            return Failed("forgotten", "The broker does not know the instance any more.", True, _text(answer))
        body = _object(answer)
        state = body.get("state") if answer.status == 200 else None
        said = _sentence(body)
        if state == "succeeded":
            return Done(said, job.external, _text(answer))
        if state == "failed":
            # "Orphan Mitigation": last operation 200 with state failed.
            if (field := body.get("field")) is not None or body.get("error") == "InvalidParameters":
                return Refused(_pointer(field), said or _NO_WORDS, "refused", True, _text(answer))
            return Failed("failed", said or _NO_WORDS, True, _text(answer))
        if state == "in progress":
            return Running(job.operation, answer.retry_after, said, job.external, answer=_text(answer))
        # Everything else is an invalid response: polling goes on until the maximum polling duration.
        return Unreachable(_status(answer), answer.retry_after, is_outage=answer.status >= 500, answer=_text(answer))

    def undo(self, job: Job, *, deleting: bool) -> Outcome:
        """Deprovision, or poll the last operation of a deprovisioning."""
        try:
            if deleting:
                return self._deletion(job)
            external = dict(job.external)
            if not external.get("service_id"):
                plan = self._plan(job.product)
                external |= {"service_id": plan.service_id, "plan_id": plan.plan_id}
            query = {"service_id": external["service_id"], "plan_id": external["plan_id"], "accepts_incomplete": "true"}
            answer = self._call("DELETE", self._instance(job), query)
        except _Problem as problem:
            return problem.outcome
        if answer.status == 410 or (answer.status == 200 and _is_object(answer)):
            return Done(answer=_text(answer))
        if answer.status == 202 and _is_object(answer):
            return Running(_operation(_object(answer)), answer.retry_after, external=external, answer=_text(answer))
        # "Deprovisioning": any other status is a failure, and the platform must remember the instance.
        return Unreachable(_status(answer), answer.retry_after, is_outage=answer.status >= 500, answer=_text(answer))

    def problems(self) -> list[str]:
        """Ask for the catalog, find the service in it, and compare the plans' schemas with the pack's."""
        try:
            offered = self._offered()
        except _Problem as problem:
            return [f"The broker of {self.service} can't be used: {problem.outcome.sentence}"]
        plans = [plan for plan in offered.get("plans", ()) if isinstance(plan, dict)]
        if not plans:
            return [f"The broker's catalog has no plan for the service {self.service}."]
        return []

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
            },
            "parameters": dict(job.parameters),
        }
        if plan.version:
            body["maintenance_info"] = {"version": plan.version}
        external: dict[str, Any] = {"service_id": plan.service_id, "plan_id": plan.plan_id}
        answer = self._call(
            "PUT", self._instance(job), {"accepts_incomplete": "true"}, body, by=job.requested_by, made=True
        )
        found, said = _object(answer), _sentence(_object(answer))
        if answer.status in {200, 201}:
            if not _is_object(answer):
                # "Orphan Mitigation": 200 with a malformed response is a failure without it, 201 is one with it.
                return Unreachable(_MALFORMED, abandon=answer.status == 201, is_outage=False, answer=_text(answer))
            return Done(said, external | _dashboard(found), _text(answer))
        if answer.status == 202:
            operation = found.get("operation")
            if not _is_object(answer) or not isinstance(operation, str | None) or len(operation or "") > _MAX_OPERATION:
                return Unreachable(_MALFORMED, abandon=True, is_outage=False, answer=_text(answer))
            external |= _dashboard(found)
            return Running(operation or "", answer.retry_after, said, external, plan.longest, _text(answer))
        return _rejected(answer, found, said)

    def _deletion(self, job: Job) -> Outcome:
        answer = self._last_operation(job)
        body = _object(answer)
        state = body.get("state") if answer.status == 200 else None
        if answer.status in {404, 410} or state == "succeeded":
            return Done(answer=_text(answer))
        if state == "in progress":
            return Running(job.operation, answer.retry_after, external=job.external, answer=_text(answer))
        if state == "failed":  # "should keep trying to delete them until the broker responds with a success"
            return Failed("not_deleted", _sentence(body) or _NO_WORDS, answer=_text(answer))
        return Unreachable(_status(answer), answer.retry_after, is_outage=answer.status >= 500, answer=_text(answer))

    def _last_operation(self, job: Job) -> Answer:
        names = ("service_id", "plan_id")
        query = {name: str(job.external[name]) for name in names if job.external.get(name)}
        if job.operation:
            query["operation"] = job.operation
        return self._call("GET", f"{self._instance(job)}/last_operation", query)

    def _plan(self, product: str) -> _Plan:
        """The plan for a product, as the catalog is now. Raises _Problem."""
        offered = self._offered()
        plans = [plan for plan in offered.get("plans", ()) if isinstance(plan, dict)]
        named = [plan for plan in plans if str(plan.get("name", "")).casefold() == product.casefold()]
        chosen = named[0] if named else plans[0] if len(plans) == 1 else None
        if chosen is None or not isinstance(chosen.get("id"), str):
            raise _Problem(Failed("no_plan", f"The broker's catalog has no plan named {product}."))
        longest = chosen.get("maximum_polling_duration", offered.get("maximum_polling_duration"))
        schema = _dig(chosen, "schemas", "service_instance", "create", "parameters")
        return _Plan(
            service_id=offered["id"],
            plan_id=chosen["id"],
            longest=longest if isinstance(longest, int) and longest > 0 else None,
            version=str(_dig(chosen, "maintenance_info", "version") or ""),
            schema=schema if isinstance(schema, dict) else None,
        )

    def _offered(self) -> Mapping[str, Any]:
        """The service's object in the catalog. Raises _Problem."""
        answer = self._call("GET", "/v2/catalog", {})
        if answer.status != 200:
            raise _Problem(Unreachable(_status(answer), answer.retry_after, answer=_text(answer)))
        services = _object(answer).get("services")
        if not isinstance(services, list):
            raise _Problem(Unreachable(_MALFORMED, is_outage=False, answer=_text(answer)))
        for each in services:
            if isinstance(each, dict) and each.get("name") == self.service and isinstance(each.get("id"), str):
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
        made: bool = False,
    ) -> Answer:
        """Make one call. ``made``: it may make an instance. Raises _Problem for what is the same in every call."""
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
                limits=LIMITS,
                keep=MAX_BODY,
            )
        except NoAnswer as problem:
            # "Orphan Mitigation": a timeout of a provisioning. What was never sent has made nothing.
            raise _Problem(Unreachable(str(problem), abandon=made and problem.sent)) from problem
        if answer.status in {401, 403}:
            raise _Problem(
                Unreachable("The broker refuses the user or the password.", answer.retry_after, answer=_text(answer))
            )
        if answer.status == 412:
            raise _Problem(Failed("version", _sentence(_object(answer)) or _status(answer), answer=_text(answer)))
        if answer.status in {408, 429}:  # the request was not received, or not accepted for now
            raise _Problem(Unreachable(_status(answer), answer.retry_after, answer=_text(answer)))
        return answer

    def _instance(self, job: Job) -> str:
        return f"/v2/service_instances/{quote(job.instance_id, safe='')}"


_MALFORMED: Final = "The broker's answer is not what the specification says."
_NO_WORDS: Final = "The broker gave no reason."


def _rejected(answer: Answer, body: Mapping[str, Any], said: str) -> Outcome:
    """Return the outcome of a provisioning that was not accepted ("Service Broker Errors", "Orphan Mitigation")."""
    error, text = body.get("error"), _text(answer)
    if answer.status == 400:
        return Refused(_pointer(body.get("field")), said or _NO_WORDS, answer=text)
    if answer.status == 409:
        if "field" in body:
            return Refused(_pointer(body["field"]), said or _NO_WORDS, "conflict", answer=text)
        return Failed("conflict", said or "The broker has an instance of this id with other attributes.", answer=text)
    if answer.status == 422:
        if error in {"ConcurrencyError", "MaintenanceInfoConflict"}:  # wait, or read the catalog anew: try again
            return Unreachable(said or str(error), answer.retry_after, is_outage=False, answer=text)
        if error == "AsyncRequired":
            return Failed("async_required", said or "The broker asks for what was sent already.", answer=text)
        return Refused(_pointer(body.get("field")), said or _NO_WORDS, answer=text)
    if answer.status >= 500 or 200 <= answer.status < 300:
        return Unreachable(said or _status(answer), answer.retry_after, abandon=True, answer=text)
    return Failed("rejected", said or _status(answer), answer=text)


def _refused_by_schema(plan: _Plan, job: Job) -> Refused | None:
    """Return what the broker's own schema says of the parameters. A schema that is none refuses nothing."""
    if plan.schema is None:
        return None
    try:
        validator = jsonschema.validators.validator_for(plan.schema, default=jsonschema.Draft4Validator)
        validator.check_schema(plan.schema)
        first = jsonschema.exceptions.best_match(validator(plan.schema).iter_errors(dict(job.parameters)))
    except (jsonschema.SchemaError, LookupError, TypeError, ValueError, RecursionError):
        return None
    if first is None:
        return None
    field = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in first.absolute_path)
    return Refused(field, first.message[:500], "schema")


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_object(answer: Answer) -> bool:
    return answer.body.strip().startswith(b"{") and (bool(_object(answer)) or answer.body.strip() == b"{}")


def _sentence(body: Mapping[str, Any]) -> str:
    said = body.get("description")
    return " ".join(said.split())[:500] if isinstance(said, str) else ""


def _operation(body: Mapping[str, Any]) -> str:
    operation = body.get("operation")
    return operation[:_MAX_OPERATION] if isinstance(operation, str) else ""


def _dashboard(body: Mapping[str, Any]) -> dict[str, str]:
    url = body.get("dashboard_url")
    return {"dashboard_url": url[:2000]} if isinstance(url, str) and url.startswith(("https://", "http://")) else {}


def _pointer(field: object) -> str:
    return field[:200] if isinstance(field, str) else ""


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
