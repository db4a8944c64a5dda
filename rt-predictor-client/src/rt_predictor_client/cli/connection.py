"""From the options that all commands share to a client."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rt_predictor_client.config import Flags, load_config
from rt_predictor_formats.errors import Problem

if TYPE_CHECKING:
    from rt_predictor_client.client import Client

LOWEST_RISK, HIGHEST_RISK = 0.01, 0.5
"""Bounds of the accepted risk in the contract."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What the options before the command said; None where they were not given."""

    address: str | None
    timeout_seconds: float | None
    flags: Flags

    def client(self, rows: int | None = None) -> Client:
        """Return a client; with ``rows``, its streams may take the time-out for each message of that many rows.

        It has no circuit breaker: a command makes one call and ends. Raises Problem CONFIG_INVALID.
        """
        # gRPC's own log would stand between our lines; whoever looks for it can set the variable
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        from rt_predictor_client.client import CHUNK_ROWS, STREAM_TIMEOUT_SECONDS, Client

        config = replace(load_config(self.address, self.timeout_seconds, **self.flags), breaker=None)
        chunks = None if rows is None else rows // CHUNK_ROWS + 1
        stream = STREAM_TIMEOUT_SECONDS if chunks is None else config.timeout_seconds * chunks
        return Client.from_config(config, stream)


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
