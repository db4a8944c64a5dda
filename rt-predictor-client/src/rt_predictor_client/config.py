"""Where the service is: flags, then the environment, then ``~/.config/rtp.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rt_predictor_formats.errors import Problem, shown

DEFAULT_ADDRESS = "localhost:50051"
DEFAULT_TIMEOUT_SECONDS = 10.0
ADDRESS_VARIABLE = "RT_PREDICTOR_ADDRESS"
TIMEOUT_VARIABLE = "RT_PREDICTOR_TIMEOUT_SECONDS"
FILE = "rtp.toml"
_KEYS = ("address", "timeout_seconds")


@dataclass(frozen=True, slots=True)
class Config:
    """Address as ``host:port``, and the deadline of a call [s]."""

    address: str = DEFAULT_ADDRESS
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS


def load_config(
    address: str | None = None,
    timeout_seconds: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """Return the configuration; arguments beat the environment (``os.environ`` if None), which beats the file.

    Raises Problem CONFIG_INVALID whose place names the file or the variable.
    """
    found = os.environ if environment is None else environment
    path = config_path(found)
    stored = _read(path)
    place = str(path)
    given: tuple[tuple[Any, str], ...] = (
        (timeout_seconds, "--timeout"),
        (found.get(TIMEOUT_VARIABLE) or None, TIMEOUT_VARIABLE),
        (stored.get("timeout_seconds"), f"{place}: timeout_seconds"),
    )
    timeout = next((_seconds(value, source) for value, source in given if value is not None), DEFAULT_TIMEOUT_SECONDS)
    chosen = address or found.get(ADDRESS_VARIABLE) or stored.get("address") or DEFAULT_ADDRESS
    if not isinstance(chosen, str):
        raise _invalid(f"{place}: address", chosen, 'write address = "host:port"')
    return Config(chosen, timeout)


def config_path(environment: Mapping[str, str]) -> Path:
    """Return the path of the configuration file, below XDG_CONFIG_HOME or ``~/.config``; it need not exist."""
    folder = environment.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path(environment.get("HOME") or "~").expanduser() / ".config") / FILE


def _read(path: Path) -> dict[str, Any]:
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RuntimeError) as error:
        raise Problem("CONFIG_INVALID", str(error), place=str(path), remedy="correct or remove the file") from None
    for key in stored:
        if key not in _KEYS:
            raise _invalid(str(path), key, f"known keys are {' and '.join(_KEYS)}")
    return stored


def _seconds(value: object, source: str) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise _invalid(source, value, "write a number of seconds above 0")
    return seconds


def _invalid(place: str, value: object, remedy: str) -> Problem:
    return Problem("CONFIG_INVALID", f"{shown(value)} is not accepted", place=place, remedy=remedy)
