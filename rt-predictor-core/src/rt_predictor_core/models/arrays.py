"""Models that are nothing but arrays: written to and read from an artifact by the arrays' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Flat:
    """Arrays that are written and read by their names."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return the forest that the arrays describe; KeyError names one that is missing."""
        return cls(**{field.name: np.ascontiguousarray(arrays[field.name]) for field in fields(cls)})
