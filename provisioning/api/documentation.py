"""The OpenAPI document of the API, with what every operation has in common, and the sections of its page."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from ninja import NinjaAPI

from provisioning.api.auth import Key
from provisioning.api.changelog import VERSIONS
from provisioning.api.entry import DEPRECATED_SINCE, MAX_BODY_OF, SUNSET
from provisioning.models import SCOPES

Document = dict[str, Any]

SAMPLES: Final = "x-codeSamples"
_SCOPES: Final = "x-scopes"
# The statuses of problems that any operation may answer with, those that only some have, and those that may come where
# no key was counted.
_ALWAYS: Final = (400, 401, 403, 404, 413, 422, 429, 503)
_SOMETIMES: Final = (409, 412)
_UNCOUNTED: Final = (401, 403, 503)
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457. `errors` names the faults: `pointer` into the body, or `parameter` of the address.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Names the problem; it never changes."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "A JSON pointer (RFC 6901)."},
                    "parameter": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_HEADERS: Final = {
    "Api-Version": ("string", "The version of the answer."),
    "RateLimit-Limit": ("integer", "Calls of this key in a minute."),
    "RateLimit-Remaining": ("integer", "Calls that are left in this minute."),
    "RateLimit-Reset": ("integer", "Seconds until the next minute begins."),
}
_LIMITS: Final = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}


def example(
    *curl: str,
    max_body: int | None = None,
    deprecated_since: str = "",
    sunset: str = "",
    not_modified: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return the ``openapi_extra`` of an operation.

    :param curl: runnable commands, in which ``$API`` is the address of the version, such as
        https://setup.example.com/api/v1, and ``$KEY`` a key. A test runs them in the order of the documentation.
    :param max_body: how many bytes its body may have, if not as many as usual.
    :param deprecated_since: ISO date; the answers have the header Deprecation.
    :param sunset: ISO date from which on it may be gone; the answers have the header Sunset.
    :param not_modified: it answers If-None-Match.
    :param more: other entries of the operation, such as ``parameters``.
    """
    found: dict[str, Any] = {SAMPLES: [{"lang": "curl", "source": command} for command in curl], **more}
    if max_body:
        found[MAX_BODY_OF] = max_body
    if deprecated_since:
        found |= {DEPRECATED_SINCE: deprecated_since, "deprecated": True}
    if sunset:
        found[SUNSET] = sunset
    if not_modified:
        found["parameters"] = [_header("If-None-Match", "The ETag of before: 304 where nothing has changed.")]
        found.setdefault("responses", {})[304] = {"description": "Not Modified"}
    return found


def if_match() -> dict[str, Any]:
    """Return the parameter If-Match, for ``example(..., parameters=[if_match()])``."""
    return _header("If-Match", "The ETag that was read: 412 where it has changed since.")


def _header(name: str, text: str) -> dict[str, Any]:
    return {"in": "header", "name": name, "required": False, "schema": {"type": "string"}, "description": text}


def document_of(api: NinjaAPI) -> Document:
    """Return the OpenAPI 3.1 document, with the headers and problems that every operation has."""
    document: Document = dict(api.get_openapi_schema(path_prefix="/api/v1/"))
    scopes = _scopes_of(api)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operation[_SCOPES] = list(scopes[operation["operationId"]])
            _complete(path, method, operation)
    components = document["components"]
    components["schemas"]["Problem"] = _PROBLEM
    components["headers"] = {
        name: {"required": True, "schema": {"type": kind}, "description": text}
        for name, (kind, text) in _HEADERS.items()
    }
    components["responses"] = {str(status): _problem_response(status) for status in (*_ALWAYS, *_SOMETIMES)}
    components["securitySchemes"]["Key"] |= {"description": "A key made at the order desk or by make_api_key."}
    document["servers"] = [{"url": "/", "description": "PUBLIC_URL"}]
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add to an operation what ``provisioning.api.entry`` does for it."""
    operation.setdefault("parameters", [])
    operation["parameters"].append(
        {
            "in": "header",
            "name": "Api-Version",
            "required": False,
            "schema": {"type": "string", "enum": list(VERSIONS)},
            "description": "The version that the client was written for.",
        }
    )
    if method == "post":
        operation["parameters"].append(
            {
                "in": "header",
                "name": "Idempotency-Key",
                "required": False,
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
                "description": "The same request with the same key gets the same answer for 48 hours.",
            }
        )
    statuses = set(_ALWAYS)
    if method != "get" or "{" in path:
        statuses.add(409)
    if any(parameter["name"] == "If-Match" for parameter in operation["parameters"]):
        statuses.add(412)
    for response in operation["responses"].values():
        response["headers"] = _LIMITS
    operation["responses"] |= {status: {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _problem_response(status: int) -> dict[str, Any]:
    """Return the answer with a problem of this status, the same for all operations."""
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    return response if status in _UNCOUNTED else response | {"headers": _LIMITS}


def _scopes_of(api: NinjaAPI) -> dict[str, tuple[str, ...]]:
    """Return the scopes by operation: a key needs one of them."""
    return {
        operation.operation_id or "": tuple(
            scope for callback in operation.auth_callbacks if isinstance(callback, Key) for scope in callback.scopes
        )
        for router in api._get_bound_routers()
        for path_view in router.path_operations.values()
        for operation in path_view.operations
    }


def sections(document: Document) -> list[dict[str, Any]]:
    """Return the operations for the page, by subject: what each does, needs, takes and answers."""
    found: dict[str, list[dict[str, Any]]] = {"Orders": []}  # first, although batches of them are matched before
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            shown = {
                "id": operation["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": operation["summary"],
                "text": _paragraphs(operation.get("description", "")),
                "scopes": [(scope, SCOPES[scope]) for scope in operation[_SCOPES]],
                "samples": [sample["source"] for sample in operation.get(SAMPLES, ())],
                "parameters": [_parameter(each) for each in operation["parameters"] if each["in"] == "query"],
                "fields": _fields(document, operation),
                "answer": _answer_fields(document, operation),
                "statuses": [(status, HTTPStatus(int(status)).phrase) for status in operation["responses"]],
            }
            found.setdefault(operation["tags"][0], []).append(shown)
    return [{"title": title, "operations": operations} for title, operations in found.items()]


def _paragraphs(text: str) -> list[str]:
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip() and ":raises" not in part]
    return [_with_code(part) for part in parts]


def _with_code(text: str) -> str:
    """Return a text as HTML, with what is between grave accents as code."""
    parts = ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in enumerate(text.split("`")))
    return format_html_join("", "{}", parts)


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "text": _with_code(parameter.get("description", "")),
        "required": parameter["required"],
    }


def _fields(document: Document, operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of an operation's JSON body; nested ones with a full stop between the names."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return _fields_of(document, content["schema"], "") if content else []


def _answer_fields(document: Document, operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of the JSON that an operation answers with where it does what was asked."""
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json")
        if content and int(status) < 300:
            return _fields_of(document, content["schema"], "")
    return []


def _fields_of(document: Document, schema: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    schema = _resolved(document, schema)
    found: list[dict[str, Any]] = []
    for name, field in schema.get("properties", {}).items():
        inner = _resolved(document, field)
        found.append(
            {
                "name": prefix + name,
                "text": _with_code(field.get("description") or inner.get("description", "")),
                "kind": inner.get("format") or inner.get("type", ""),
                "required": name in schema.get("required", ()),
            }
        )
        items = inner.get("items")
        found += _fields_of(document, items if items else inner, f"{prefix}{name}{'[]' if items else ''}.")
    return found


def _resolved(document: Document, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema behind its references; of several alternatives with null the other one."""
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(options) == 1:
        return _resolved(document, options[0])
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema
