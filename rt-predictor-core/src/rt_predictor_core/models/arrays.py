"""Models that are nothing but arrays: written to and read from an artifact by the arrays' names.

Compiled code follows what the arrays say without looking whether it leads anywhere, so that all of it is checked when
they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

LARGEST_ANSWER = 1e12
"""No leaf and no base lies further from 0: a run time is at most some ten million times what was requested."""


def held(kind: type[np.generic], *axes: str) -> Any:
    """Return the field of an array: its type, and the names of its axes; those of one name are of one length."""
    return field(metadata={"kind": kind, "axes": axes})


@dataclass(frozen=True)
class Flat:
    """Arrays that are written and read by their names."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the forest that the arrays describe.

        Raises KeyError, which names an array that is missing, and ValueError where one does not fit.
        """
        lengths: dict[str, int] = {}
        for one in fields(cls):
            _check_form(one.name, arrays[one.name], one.metadata["kind"], one.metadata["axes"], lengths)
        made = cls(**{field.name: np.ascontiguousarray(arrays[field.name]) for field in fields(cls)})
        made.check()
        return made

    def check(self) -> None:
        """Do nothing where the contents of the arrays, whose forms fit, fit each other; raise ValueError else."""


def within(name: str, array: np.ndarray, low: float, high: float) -> None:
    """Do nothing where ``low`` <= element <= ``high`` holds of all elements; raise ValueError else."""
    if not ((array >= low) & (array <= high)).all():
        raise ValueError(f"{name}: an element does not fit {low} to {high}")


def _check_form(
    name: str, array: np.ndarray, kind: type[np.generic], axes: tuple[str, ...], lengths: dict[str, int]
) -> None:
    if array.dtype != kind or array.ndim != len(axes):
        raise ValueError(f"{name}: {array.dtype}{array.shape} does not fit {np.dtype(kind)}[{', '.join(axes)}]")
    for axis, length in zip(axes, array.shape, strict=True):
        if lengths.setdefault(axis, length) != length:
            raise ValueError(f"{name}: {length} does not fit {lengths[axis]} {axis}")
