"""What a call asks for, once its rows have been checked: good rows as columns, bad rows with their reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rt_predictor_api.live import Identity
from rt_predictor_api.settings import variable
from rt_predictor_api.validation import InvalidRequest, Violation
from rt_predictor_core.requests import Requests


@dataclass(frozen=True)
class Asked:
    """The rows of one message.

    Attributes
    ----------
    requests: the good rows, in order; a row without a submit time has that of the call.
    good: int64[len(requests)], their positions among all rows.
    errors: what is wrong with each other row, by position.
    identities: of the good rows, where they tell it.
    """

    requests: Requests
    good: np.ndarray
    errors: Mapping[int, Sequence[Violation]]
    identities: Sequence[Identity | None]

    def __len__(self) -> int:
        return len(self.good) + len(self.errors)


def limit_rows(field: str, rows: int, most: int, setting: str) -> None:
    """Do nothing while ``rows`` is at most ``most``, the value of ``setting``.

    Raises
    ------
    InvalidRequest
        Naming ``field``, the limit and its setting.
    """
    if rows > most:
        text = f"{rows} rows are more than {most}; split them, or raise {variable(setting)} of the service"
        raise InvalidRequest([Violation(field, text)])
