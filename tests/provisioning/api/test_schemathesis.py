"""Schemathesis calls every operation with what the description allows and with what it doesn't: 2,000 cases in all.

SCHEMATHESIS_CASES sets another number; tests/long/test_api_schemathesis.py runs 20,000.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any, Final

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
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


@pytest.mark.django_db
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_operation_answers_as_the_description_says(operation: Any, settings: Settings) -> None:
    settings.API_CALLS_A_MINUTE = 1_000_000
    headers = {"Authorization": f"Bearer {a_key()}"}
    an_order(number="T-1")
    allowed = operation.as_strategy(GenerationMode.POSITIVE)
    kinds = [allowed, operation.as_strategy(GenerationMode.NEGATIVE)]
    if "{number}" in operation.path:
        kinds.append(operation.as_strategy(GenerationMode.POSITIVE, path_parameters={"number": "T-1"}))

    @given(case=st.one_of(kinds))
    @hypothesis_settings(
        max_examples=math.ceil(CASES / len(OPERATIONS)), deadline=None, suppress_health_check=list(HealthCheck)
    )
    def call(case: Any) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    call()
