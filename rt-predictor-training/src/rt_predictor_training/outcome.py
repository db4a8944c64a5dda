"""The outcome of a backtest: what every method said of every evaluated job, and what came true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["ensemble", "member", "model", "baseline"]
"""The ensemble, one of its members, another trained model, or what a site has without training."""


@dataclass(frozen=True)
class Method:
    """What one method said of the evaluated jobs.

    Attributes
    ----------
    point: float64[n], run times [s]. quantiles: float64[n, levels], run times [s] at ``Outcome.levels``, and interval:
    float64[n, 2], ends of a 90 % interval [s]; None for a method that gives none.
    """

    name: str
    kind: Kind
    point: np.ndarray
    quantiles: np.ndarray | None = None
    interval: np.ndarray | None = None


@dataclass(frozen=True)
class Ablation:
    """The error [h] of one model with one family of features among the others, and without it, on the same jobs."""

    family: str
    mae_h: float
    mae_h_without: float


@dataclass(frozen=True)
class Outcome:
    """A backtest of one log.

    Attributes
    ----------
    trace: name of the log. jobs: accepted rows. left_out: rows that are not evaluated, by reason.
    blocks: how often the models were trained. seconds: wall time of the whole backtest.
    levels: quantile levels, rising; 0.5 is among them.
    submit_time: int64[n], seconds since 1970, never falling. run: float64[n], run times [s].
    wallclock_req: float64[n], requested wallclock [s], NaN if unknown.
    tier: uint8[n], index into ``features.keys.TIERS``. block: int32[n], the block that the job fell into.
    at_limit: bool[n], whether the job ran into its limit, so that its own run time would have been longer.
    methods: the ensemble first.
    exceeds: float64[n], the ensemble's probability that the job runs past its request; NaN without a request.
    most_likely: float64[n], the ensemble's second point answer [s].
    bounds: by accepted risk, the wallclock float64[n] in seconds that the ensemble recommends.
    leeway: [s], see ``models.target.Target``.
    ablations: empty where none were asked for.
    """

    trace: str
    jobs: int
    left_out: dict[str, int]
    blocks: int
    seconds: float
    levels: tuple[float, ...]
    submit_time: np.ndarray
    run: np.ndarray
    wallclock_req: np.ndarray
    tier: np.ndarray
    block: np.ndarray
    at_limit: np.ndarray
    methods: tuple[Method, ...]
    exceeds: np.ndarray
    most_likely: np.ndarray
    bounds: dict[float, np.ndarray]
    leeway: float = 0.0
    ablations: tuple[Ablation, ...] = ()

    def __len__(self) -> int:
        return len(self.run)
