"""The public names, the contract behind them, and what importing them costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from google.protobuf.descriptor import ServiceDescriptor

import rt_predictor_client
from rt_predictor_client.channel import REPEATABLE, SERVICE_CONFIG
from rtpredictor.v1 import history_service_pb2, model_service_pb2, prediction_service_pb2

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service
    for module in (prediction_service_pb2, history_service_pb2, model_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
)
SLOW = ("google.protobuf", "grpc", "pydantic", "rich", "rtpredictor")


def imported_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after running code."""
    script = f"import json, sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(ran.stdout.splitlines()[-1]))


def test_every_call_was_thought_about_before_it_is_tried_again() -> None:
    known = {service.full_name: {method.name for method in service.methods} for service in SERVICES}
    # a new call fails here until someone has decided whether it may be sent twice
    assert {service: set(names) for service, names in REPEATABLE.items()} == {
        **known,
        "grpc.health.v1.Health": {"Check"},
    }
    (rule,) = SERVICE_CONFIG["methodConfig"]
    assert rule["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE", "CANCELLED"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Clinet"):
        _ = rt_predictor_client.Clinet


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["predict", "--help"],
        ["remaining", "--help"],
        ["batch", "--help"],
        ["report", "--help"],
        ["jobs", "--help"],
    ],
)
def test_help_and_version_import_nothing_slow(arguments: list[str]) -> None:
    modules = imported_by(f"from rt_predictor_client.cli import main; main({arguments!r})")
    assert not {name for name in modules if name.startswith(SLOW)}
    assert len(modules) < 350


def test_the_package_itself_imports_nothing_slow() -> None:
    assert not {name for name in imported_by("import rt_predictor_client") if name.startswith(SLOW)}
