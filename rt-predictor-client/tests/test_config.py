"""Arguments beat the environment, which beats the file; a bad value is named by where it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rt_predictor_client.config import (
    ADDRESS_VARIABLE,
    DEFAULT_ADDRESS,
    DEFAULT_TIMEOUT_SECONDS,
    TIMEOUT_VARIABLE,
    BreakerPolicy,
    Config,
    Security,
    config_path,
    load_config,
    variable,
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


def test_each_place_may_say_how_the_connection_is_protected(home: dict[str, str]) -> None:
    write(home, 'tls = true\nca_file = "file.pem"\nserver_name = "file"\n')
    assert load_config(environment=home).security == Security(tls=True, ca_file="file.pem", server_name="file")
    given = {**home, variable("ca_file"): "environment.pem", variable("tls"): "no"}
    assert load_config(environment=given).security == Security(False, "environment.pem", server_name="file")
    flagged = load_config(environment=given, ca_file="flag.pem", tls=True)
    assert flagged.security == Security(tls=True, ca_file="flag.pem", server_name="file")


@pytest.mark.parametrize(
    "security",
    [
        Security(tls=True),
        Security(ca_file="ca"),
        Security(server_name="name"),
        Security(cert_file="c", key_file="k"),
    ],
)
def test_a_file_or_a_name_means_tls_unless_it_is_switched_off(security: Security) -> None:
    assert security.encrypted
    assert not replace(security, tls=False).encrypted


@pytest.mark.parametrize("security", [Security(), Security(token="t")])
def test_a_token_alone_means_no_tls(security: Security) -> None:
    assert not security.encrypted


def test_the_token_comes_from_the_first_place_that_has_it_or_its_file(home: dict[str, str], tmp_path: Path) -> None:
    for name in ("flag", "environment", "file"):
        (tmp_path / name).write_text(f"{name}-file\n")

    def token(environment: dict[str, str], flag: str | None = None) -> str | None:
        return load_config(environment=environment, token_file=flag).security.token

    write(home, f'token_file = "{tmp_path / "file"}"\n')
    assert token(home) == "file-file"
    write(home, f'token = "file"\ntoken_file = "{tmp_path / "file"}"\n')
    assert token(home) == "file"
    filed = {**home, variable("token_file"): str(tmp_path / "environment")}
    assert token(filed) == "environment-file"
    assert token({**filed, variable("token"): "environment"}) == "environment"
    assert token({**filed, variable("token"): "environment"}, str(tmp_path / "flag")) == "flag-file"


@pytest.mark.parametrize("content", [b"", b"two words", "späß".encode(), b"\xff", b"a\nb"])
def test_a_file_that_holds_no_token_is_refused_without_showing_it(
    home: dict[str, str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(Problem) as caught:
        load_config(environment=home, token_file=str(tmp_path / "token"))
    assert caught.value.code == "CONFIG_INVALID"
    assert not content or content.decode("latin-1") not in str(caught.value)


def test_a_token_file_that_is_not_there_is_named(home: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Problem, match="No such file") as caught:
        load_config(environment=home, token_file=str(tmp_path / "nonesuch"))
    assert caught.value.place == str(tmp_path / "nonesuch")


def test_the_breaker_is_set_or_switched_off(home: dict[str, str]) -> None:
    assert load_config(environment=home).breaker == BreakerPolicy()
    write(home, "breaker_failures = 3\nbreaker_seconds = 1.5\n")
    assert load_config(environment=home).breaker == BreakerPolicy(3, 1.5)
    assert load_config(environment={**home, variable("breaker_failures"): "0"}).breaker is None


@pytest.mark.parametrize(
    ("name", "text"),
    [("tls", "perhaps"), ("breaker_failures", "-1"), ("breaker_failures", "2.5"), ("breaker_seconds", "0")],
)
def test_a_bad_value_is_named_by_its_variable(home: dict[str, str], name: str, text: str) -> None:
    with pytest.raises(Problem) as caught:
        load_config(environment={**home, variable(name): text})
    assert (caught.value.code, caught.value.place) == ("CONFIG_INVALID", variable(name))


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_bad_timeout_is_named_by_its_variable(home: dict[str, str], text: str) -> None:
    with pytest.raises(Problem) as caught:
        load_config(environment={**home, TIMEOUT_VARIABLE: text})
    assert (caught.value.code, caught.value.place) == ("CONFIG_INVALID", TIMEOUT_VARIABLE)


@pytest.mark.parametrize(
    "text",
    [
        "address = ",
        "adress = 'x:1'",
        "address = 7",
        "timeout_seconds = 'soon'",
        "breaker_failures = true",
        "ca_file = 7",
    ],
)
def test_a_bad_file_is_named(home: dict[str, str], text: str) -> None:
    path = write(home, text)
    with pytest.raises(Problem) as caught:
        load_config(environment=home)
    assert caught.value.place.startswith(str(path))
