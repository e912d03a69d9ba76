"""The OpenAPI description holds: requests made of it, whole and broken, are answered as it says."""

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from stillspeak.serving.server import create_app
from stillspeak.serving.service import Settings

SIMPLE = "GET /health", "GET /settings", "GET /metrics"  # there is nothing to get wrong
FILMS = "POST /animate", "GET /animate/{job}", "DELETE /animate/{job}", "GET /animate/{job}/events"
OPERATIONS = (*SIMPLE, "POST /faces", *FILMS, "POST /dub", "POST /offer")


@pytest.fixture(scope="module")
def schema(tiny_model: Path) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(Settings(str(tiny_model), job_seconds=2)))


def test_every_operation_is_tried(schema: schemathesis.BaseSchema):
    assert {found.ok().label for found in schema.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_that_is_described(schema: schemathesis.BaseSchema, label: str, mode: GenerationMode):
    (operation,) = [found.ok() for found in schema.get_all_operations() if found.ok().label == label]
    if mode is GenerationMode.NEGATIVE and label in SIMPLE:
        pytest.skip("there is nothing to get wrong")

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def answered(case: schemathesis.Case) -> None:
        case.call_and_validate(excluded_checks=[positive_data_acceptance])  # any bytes are a file, but not a photo

    answered()
