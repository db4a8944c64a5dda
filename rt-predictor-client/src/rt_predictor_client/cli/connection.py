"""From the options that all commands share to a client."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_predictor_client.config import load_config
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from rt_predictor_client.client import Client

LOWEST_RISK, HIGHEST_RISK = 0.01, 0.5
"""Bounds of the accepted risk in the contract."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What ``--address`` and ``--timeout`` said; None where they were not given."""

    address: str | None
    timeout_seconds: float | None

    def client(self, rows: int | None = None) -> Client:
        """Return a client; with ``rows``, its streams may take the time-out for each message of that many rows.

        Raises Problem CONFIG_INVALID.
        """
        from rt_predictor_client.client import CHUNK_ROWS, STREAM_TIMEOUT_SECONDS, Client

        config = load_config(self.address, self.timeout_seconds)
        chunks = None if rows is None else rows // CHUNK_ROWS + 1
        stream = STREAM_TIMEOUT_SECONDS if chunks is None else config.timeout_seconds * chunks
        return Client(config.address, timeout_seconds=config.timeout_seconds, stream_timeout_seconds=stream)


def current_user() -> str | None:
    """Return the login name ($USER or its like); None if there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def checked_risk(risk: float | None) -> float | None:
    """Return the accepted risk as it is; raises Problem RISK_INVALID outside [0.01, 0.5]."""
    if risk is not None and not LOWEST_RISK <= risk <= HIGHEST_RISK:
        remedy = f"give a probability from {LOWEST_RISK} to {HIGHEST_RISK}"
        raise Problem("RISK_INVALID", f"{risk:g} is no risk to accept", place="--risk", remedy=remedy)
    return risk
