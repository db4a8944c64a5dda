"""How a model did on the newest jobs of its log, part by part: a file of the artifact, in the words of the backtest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from rt_predictor_core.artifact.typed import entry
from rt_predictor_core.features.table import NAMES
from rt_predictor_core.numbers import strict_json
from rt_predictor_core.schema import LATEST_TIME

ENSEMBLE: Final = "ensemble"
"""Name of the blend among the members."""

_LARGEST_COUNT: Final = 1 << 63


@dataclass(frozen=True)
class BaselineEntry:
    """How a baseline did on some of the jobs."""

    name: str
    mae_h: float
    median_ae_min: float


@dataclass(frozen=True)
class PartEntry:
    """How the ensemble and the baselines did on some of the jobs; at least one."""

    label: str
    jobs: int
    mae_h: float
    median_ae_min: float
    coverage_90: float
    width_90_h: float
    baselines: tuple[BaselineEntry, ...]


@dataclass(frozen=True)
class ReliabilityEntry:
    """A quantile's level, and the share of jobs that ran no longer than the quantile."""

    level: float
    measured: float


@dataclass(frozen=True)
class FeatureEntry:
    """A feature, and its share of what a member rests on."""

    feature: str
    share: float


@dataclass(frozen=True)
class ImportanceEntry:
    """What a member rests on: its features with a share, the largest first."""

    name: str
    features: tuple[FeatureEntry, ...]


@dataclass(frozen=True)
class Evaluation:
    """What ``Manifest.scores`` says of all jobs of the newest fold, by parts of them.

    Attributes
    ----------
    first_submit, last_submit: of those jobs [s since 1970]. overall: all of them.
    months, weeks: by submission (UTC), in order; a week's label is its Monday. bands: by true run time.
    tiers: by history tier. Parts without jobs are left out.
    reliability: by rising level. importance: of the blend, then of each member whose library tells it.
    """

    first_submit: int
    last_submit: int
    overall: PartEntry
    months: tuple[PartEntry, ...]
    weeks: tuple[PartEntry, ...]
    bands: tuple[PartEntry, ...]
    tiers: tuple[PartEntry, ...]
    reliability: tuple[ReliabilityEntry, ...]
    importance: tuple[ImportanceEntry, ...]

    def to_json(self) -> str:
        """Return the evaluation as indented JSON."""
        return strict_json(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> Evaluation:
        """Return the evaluation that a file holds. Raises ValueError or TypeError where it is none."""
        try:
            evaluation = entry(cls, json.loads(content))
        except RecursionError as error:
            raise ValueError("evaluation: nested too deeply") from error
        evaluation.check()
        return evaluation

    def check(self) -> None:
        """Do nothing where all of it can be told; raise ValueError else."""
        for name in ("first_submit", "last_submit"):
            if not 0 <= getattr(self, name) < LATEST_TIME:
                raise ValueError(f"{name}: {getattr(self, name)} does not fit")
        for part in (self.overall, *self.months, *self.weeks, *self.bands, *self.tiers):
            if not 0 <= part.jobs < _LARGEST_COUNT:
                raise ValueError(f"jobs: {part.jobs} does not fit")
        for member in self.importance:
            if unknown := {one.feature for one in member.features} - set(NAMES):
                raise ValueError(f"importance: no feature {min(unknown)!r}")
