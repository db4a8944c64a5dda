"""Settings: from the environment and flags, checked, and all of them described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rt_predictor_api.settings import Settings, read, variable
from rt_predictor_formats.errors import Problem

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable(field), raising=False)


def test_a_flag_overrides_the_environment_which_overrides_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read({}).port == 50_051
    monkeypatch.setenv("RT_PREDICTOR_PORT", "7001")
    assert read({"port": None}).port == 7_001
    assert read({"port": 7_002}).port == 7_002


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RT_PREDICTOR_PORT", "")
    assert read({}).port == 50_051


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("no", False)])
def test_a_switch_reads_words(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:  # noqa: FBT001 - a case
    monkeypatch.setenv("RT_PREDICTOR_WAIT_FOR_MODEL", text)
    assert read({}).wait_for_model is value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", "65536"),
        ("port", "grpc"),
        ("default_risk", "0"),
        ("max_active_calls", "0"),
        ("max_message_bytes", "12"),
        ("log_level", "loud"),
        ("reflection", "perhaps"),
        ("watch_interval_seconds", "0"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, field: str, value: str) -> None:
    monkeypatch.setenv(variable(field), value)
    with pytest.raises(Problem) as caught:
        read({})
    assert caught.value.code == "SETTING_INVALID"
    assert caught.value.place == variable(field)
    assert value in caught.value.thing


def test_streams_must_leave_room_for_calls() -> None:
    with pytest.raises(Problem, match="RT_PREDICTOR_MAX_STREAMS") as caught:
        read({"max_streams": 8, "max_concurrent_calls": 8})
    assert caught.value.code == "SETTING_INVALID"


def default(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "empty" if value is None else f"`{text}`"


def rows() -> list[str]:
    """Return the README's table of settings, made from the model."""
    return [
        f"| `{variable(name)}` | {default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def test_the_readme_lists_every_setting_as_it_is() -> None:
    listed = [line for line in README.read_text().splitlines() if re.match(r"\| `RT_PREDICTOR_", line)]
    assert listed == rows()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_a_sentence(name: str) -> None:
    assert (Settings.model_fields[name].description or "").endswith(".")
