"""Arguments beat the environment, which beats the file; a bad value is named by where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_predictor_client.config import (
    ADDRESS_VARIABLE,
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_SECONDS,
    TIMEOUT_VARIABLE,
    Config,
    config_path,
    load_config,
)
from rt_predictor_formats.errors import Problem


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Return an environment whose home has no configuration yet."""
    (tmp_path / ".config").mkdir()
    return {"HOME": str(tmp_path)}


def write(environment: dict[str, str], text: str) -> Path:
    path = config_path(environment)
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_means_the_defaults(home: dict[str, str]) -> None:
    assert load_config(environment=home) == Config(DEFAULT_ADDRESS, DEFAULT_TIMEOUT_SECONDS)


def test_each_place_beats_the_next(home: dict[str, str]) -> None:
    write(home, 'address = "file:1"\ntimeout_seconds = 5\n')
    assert load_config(environment=home) == Config("file:1", 5.0)
    given = {**home, ADDRESS_VARIABLE: "environment:2", TIMEOUT_VARIABLE: "2.5"}
    assert load_config(environment=given) == Config("environment:2", 2.5)
    assert load_config("flag:3", 3.0, given) == Config("flag:3", 3.0)


def test_an_empty_variable_is_not_given(home: dict[str, str]) -> None:
    empty = {**home, ADDRESS_VARIABLE: "", TIMEOUT_VARIABLE: ""}
    assert load_config(environment=empty) == Config(DEFAULT_ADDRESS, DEFAULT_TIMEOUT_SECONDS)


def test_xdg_moves_the_file(tmp_path: Path) -> None:
    assert config_path({"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nowhere"}) == tmp_path / "rtp.toml"


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_bad_timeout_is_named_by_its_variable(home: dict[str, str], text: str) -> None:
    with pytest.raises(Problem) as caught:
        load_config(environment={**home, TIMEOUT_VARIABLE: text})
    assert (caught.value.code, caught.value.place) == ("CONFIG_INVALID", TIMEOUT_VARIABLE)


@pytest.mark.parametrize("text", ["address = ", "adress = 'x:1'", "address = 7", "timeout_seconds = 'soon'"])
def test_a_bad_file_is_named(home: dict[str, str], text: str) -> None:
    path = write(home, text)
    with pytest.raises(Problem) as caught:
        load_config(environment=home)
    assert caught.value.place.startswith(str(path))
