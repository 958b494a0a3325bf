"""Schemathesis calls every operation with what the description allows and with what it doesn't: 2,000 cases in all.

SCHEMATHESIS_CASES sets another number; tests/long/test_api_schemathesis.py runs 20,000.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from provisioning.api.routers import openapi_document
from tests.factories import an_order
from tests.provisioning.api.client import a_key

CASES: Final = int(os.environ.get("SCHEMATHESIS_CASES", "2000"))
SCHEMA: Final = schemathesis.openapi.from_dict(json.loads(json.dumps(openapi_document())))
SCHEMA.app = WSGIHandler()
OPERATIONS: Final = [found.ok() for found in SCHEMA.get_all_operations()]  # type: ignore[union-attr]  # or it is no schema
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@schemathesis.serializer("application/x-ndjson", "text/csv")
def as_lines(_context: Any, value: Any) -> bytes:
    """Return a body that isn't JSON: what was generated, on a line."""
    return json.dumps(value).encode()


@pytest.fixture(autouse=True)
def _connection_of_the_test() -> Iterator[None]:
    """Keep the connection of the test between requests, as Django's own client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_operation_answers_as_the_description_says(operation: Any, settings: Settings) -> None:
    settings.API_CALLS_A_MINUTE = 1_000_000
    headers = {"Authorization": f"Bearer {a_key()}"}
    an_order(number="T-1")
    # A batch is accepted as a whole; its report says which rows are refused.
    by_row = operation.path.endswith("/batches")
    checks = [check for check in CHECKS if not (by_row and check is negative_data_rejection)]
    allowed = operation.as_strategy(GenerationMode.POSITIVE)
    kinds = [allowed, operation.as_strategy(GenerationMode.NEGATIVE)]
    if "{number}" in operation.path:
        kinds.append(operation.as_strategy(GenerationMode.POSITIVE, path_parameters={"number": "T-1"}))

    @given(case=st.one_of(kinds))
    @hypothesis_settings(
        max_examples=math.ceil(CASES / len(OPERATIONS)), deadline=None, suppress_health_check=list(HealthCheck)
    )
    def call(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=checks)

    call()
