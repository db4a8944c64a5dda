"""Where the service is and how it is called: flags, then the environment, then ``~/.config/rtp.toml``."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

from rt_predictor_formats.errors import Problem, shown

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_TIMEOUT_SECONDS = 10.0
"""Deadline of a call with one answer [s]."""

ADDRESS_VARIABLE = "RT_PREDICTOR_ADDRESS"
TIMEOUT_VARIABLE = "RT_PREDICTOR_TIMEOUT_SECONDS"
FILE = "rtp.toml"

_SPOKEN = re.compile(r"[!-~]+")
"""What a token may hold: printable ASCII."""

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Security:
    """How the connection is protected, and who asks; raises Problem CONFIG_INVALID for half of a pair.

    Attributes
    ----------
    tls: whether the connection is encrypted; None: if any of the files or ``server_name`` is given.
    ca_file: PEM file of the authorities that may have signed the service's certificate; None: those that gRPC knows.
    cert_file, key_file: PEM files of the caller's own certificate and its private key, for mutual TLS.
    server_name: name that the service's certificate must be for, where that is not the name it is reached by.
    token: who asks, sent with every call as ``authorization: Bearer``.
    """

    tls: bool | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            given, lacking = ("cert_file", "key_file") if self.cert_file else ("key_file", "cert_file")
            raise Problem("CONFIG_INVALID", f"{given} without {lacking}", place=lacking, remedy="give both or none")
        if self.token is not None and not _SPOKEN.fullmatch(self.token):
            remedy = "give the token alone, without blanks or line breaks"
            raise Problem("CONFIG_INVALID", "this is no token", place="token", remedy=remedy)

    @property
    def encrypted(self) -> bool:
        """Whether the connection is encrypted."""
        return any((self.ca_file, self.cert_file, self.server_name)) if self.tls is None else self.tls


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a client stops calling a service that does not answer.

    Attributes
    ----------
    failures: calls in a row that were UNAVAILABLE or DEADLINE_EXCEEDED, after which calls fail at once; at least 1.
    seconds: how long, until one call tries whether the service is back [s].
    """

    failures: int = 5
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Config:
    """Address as ``host:port``, several separated by commas; the deadline of a call [s]; no ``breaker`` if None."""

    address: str = DEFAULT_ADDRESS
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    security: Security = Security()
    breaker: BreakerPolicy | None = BreakerPolicy()


class Flags(TypedDict, total=False):
    """What ``load_config`` takes besides address and time-out; None is not given."""

    tls: bool | None
    ca_file: str | None
    cert_file: str | None
    key_file: str | None
    server_name: str | None
    token_file: str | None


def load_config(
    address: str | None = None,
    timeout_seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
    **flags: Unpack[Flags],
) -> Config:
    """Return the configuration; arguments beat the environment (``os.environ`` if None), which beats the file.

    Raises Problem CONFIG_INVALID whose place names the file or the variable.
    """
    found = os.environ if environment is None else environment
    path = config_path(found)
    places = (
        _Place({"address": address or None, "timeout_seconds": timeout_seconds, **flags}, _flag),
        _Place({name: found.get(variable(name)) or None for name in _OPTIONS}, variable),
        _Place(_read(path), lambda name: f"{path}: {name}"),
    )
    chosen = {name: _chosen(name, places) for name in _OPTIONS if name not in _TOKEN}
    failures, seconds = chosen.pop("breaker_failures"), chosen.pop("breaker_seconds")
    return Config(
        chosen.pop("address"),
        chosen.pop("timeout_seconds"),
        Security(token=_token(places), **chosen),
        BreakerPolicy(failures, seconds) if failures else None,
    )


def config_path(environment: Mapping[str, str]) -> Path:
    """Return the path of the configuration file, below XDG_CONFIG_HOME or ``~/.config``; it need not exist."""
    folder = environment.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path(environment.get("HOME") or "~").expanduser() / ".config") / FILE


def variable(name: str) -> str:
    """Return the environment variable of an option."""
    return f"RT_PREDICTOR_{name.upper()}"


@dataclass(frozen=True, slots=True)
class _Place:
    """One of the places that may give options, and what it calls each."""

    values: Mapping[str, Any]
    called: Callable[[str], str]


def _flag(name: str) -> str:
    return f"--{name.removesuffix('_seconds').replace('_', '-')}"


def _chosen(name: str, places: Iterable[_Place]) -> Any:
    """Return the value of an option, checked, from the first place that gives one."""
    check, default = _OPTIONS[name]
    given = ((place.values.get(name), place.called(name)) for place in places)
    return next((check(value, called) for value, called in given if value is not None), default)


def _token(places: Iterable[_Place]) -> str | None:
    """Return the token from the first place that gives it or its file."""
    for place in places:
        token, file = (_chosen(name, [place]) for name in _TOKEN)
        if token is not None or file is not None:
            return _said(file) if token is None else token
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RuntimeError) as error:
        raise Problem("CONFIG_INVALID", str(error), place=str(path), remedy="correct or remove the file") from None
    for key in stored:
        if key not in _OPTIONS:
            raise _invalid(str(path), key, f"known keys are {', '.join(_OPTIONS)}")
    return stored


def _said(path: str) -> str:
    """Return what a file says, without the line break at its end."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise Problem("CONFIG_INVALID", reason, place=path, remedy="give a readable file with the token") from None


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(place, value, f'write {place.rpartition(" ")[2]} = "..."')
    return value


def _file(value: object, place: str) -> str:
    try:
        return str(Path(_text(value, place)).expanduser())
    except RuntimeError:  # nobody of that name
        raise _invalid(place, value, "give a path that exists") from None


def _seconds(value: object, place: str) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise _invalid(place, value, "write a number of seconds above 0")
    return seconds


def _count(value: object, place: str) -> int:
    if isinstance(value, bool) or not str(value).isdecimal():
        raise _invalid(place, value, "write a whole number; 0 is never")
    return int(str(value))


def _switch(value: object, place: str) -> bool:
    word = str(value).lower()
    if word not in (*_TRUE, *_FALSE):
        raise _invalid(place, value, "write true or false")
    return word in _TRUE


def _invalid(place: str, value: object, remedy: str) -> Problem:
    return Problem("CONFIG_INVALID", f"{shown(value)} is not accepted", place=place, remedy=remedy)


_OPTIONS: Mapping[str, tuple[Callable[[object, str], Any], Any]] = {
    "address": (_text, DEFAULT_ADDRESS),
    "timeout_seconds": (_seconds, DEFAULT_TIMEOUT_SECONDS),
    "tls": (_switch, None),
    "ca_file": (_file, None),
    "cert_file": (_file, None),
    "key_file": (_file, None),
    "server_name": (_text, None),
    "token": (_text, None),
    "token_file": (_file, None),
    "breaker_failures": (_count, BreakerPolicy().failures),
    "breaker_seconds": (_seconds, BreakerPolicy().seconds),
}
"""Every option with what checks it and its default: a key of the file, and a variable of the environment."""

_TOKEN = ("token", "token_file")
"""Two options that say one thing: the first place that gives either decides."""
