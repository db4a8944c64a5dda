"""Compiled code that no folder takes is a matter for a person."""

from __future__ import annotations

from typing import Any

import pytest
from numba import njit

from rt_predictor_core.compiled import FOLDER_VARIABLE, unkept


def test_numbas_complaint_says_what_to_do() -> None:
    nowhere: dict[str, Any] = {}
    exec(compile("def one(): return 1", "<nowhere>", "exec"), nowhere)  # noqa: S102 # a function without a file
    with pytest.raises(RuntimeError) as caught:
        njit(cache=True)(nowhere["one"])
    problem = unkept(caught.value)
    assert (problem.code, problem.place) == ("COMPILED_NOT_WRITABLE", FOLDER_VARIABLE)


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="another"):
        unkept(RuntimeError("another"))
