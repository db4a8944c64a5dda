"""The promotion gate: a model that is worse than the current one is not published.

Both are measured on the same jobs, which neither had seen: those of the newest fold that were submitted after the
last job that the current model's log held. Both read the same history, that of the candidate's replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rt_predictor_core.artifact.load import Artifact, newest_and_refused
from rt_predictor_core.artifact.manifest import PromotionEntry
from rt_predictor_core.models.forecast import Forecaster
from rt_predictor_core.requests import TEXTS, Requests
from rt_predictor_core.scores import HOUR, pinball_losses
from rt_predictor_formats.errors import Problem
from rt_predictor_training.findings import ISSUE, Finding
from rt_predictor_training.newest import Newest

TOLERANCE = 0.05
"""A candidate may be worse by this share of the current model's error: two of one recipe, a week apart, differ so."""

REFIT_TOLERANCE = 0.10
"""The same for a candidate that is fitted again after it was measured: the current one knows newer jobs by then."""

FEWEST_NEWER_JOBS = 200
"""On fewer jobs than this that are new to both models, chance decides which of them is better."""

FEWEST_USER_WEEKS = 20
"""The same for the weeks of single users, as whose jobs are alike."""

GROSS = 0.50
"""A candidate that is worse by more than this share is refused whether or not it could be chance."""

CERTAINTY = 0.95
"""Share of resamples in which a candidate that is less than grossly worse must be worse to be refused."""

RESAMPLES = 1_000

_WEEK = 7 * 24 * 3600


@dataclass(frozen=True)
class Candidate:
    """What asks to be published: the model as it was measured, and whether it is fitted again afterwards."""

    forecaster: Forecaster
    refit: bool

    @property
    def tolerance(self) -> float:
        """The share by which it may be worse."""
        return REFIT_TOLERANCE if self.refit else TOLERANCE


@dataclass(frozen=True)
class Decision:
    """The gate's decision for the manifest, and what a person should know of it."""

    promotion: PromotionEntry
    notes: tuple[str, ...]


def decide(models: Path, candidate: Candidate, newest: Newest, findings: Sequence[Finding], *, force: bool) -> Decision:
    """Decide whether the candidate, which has not seen the jobs of ``newest``, may be published.

    Without a current model, or without enough jobs that are new to both, it is published; then ``findings``, which
    compare it with the baselines, are all that there is.

    Raises Problem MODEL_WORSE if the candidate is worse than the current model, unless ``force``.
    """
    current, refused = newest_and_refused(models)
    promotion = PromotionEntry(findings=tuple(finding.code for finding in findings if finding.section == ISSUE))
    notes = tuple(f"not compared with {problem.place}: {problem.thing} [{problem.code}]" for problem in refused)
    if current is None:
        return Decision(promotion, notes)
    unseen = newest.take(newest.requests.submit_time > current.manifest.last_submit)
    blocks = user_weeks(unseen.requests)
    if len(unseen) < FEWEST_NEWER_JOBS or len(np.unique(blocks)) < FEWEST_USER_WEEKS:
        return Decision(promotion, (*notes, _too_few(current, len(unseen), len(np.unique(blocks)))))
    compared, worse = _compare(current, candidate, unseen, blocks)
    promotion = replace(compared, findings=promotion.findings, forced=worse and force)
    if not worse:
        return Decision(promotion, notes)
    if not force:
        raise _refusal(promotion, candidate.tolerance, models)
    return Decision(promotion, (*notes, f"published although {_difference(promotion)} [MODEL_WORSE]"))


def user_weeks(requests: Requests) -> np.ndarray:
    """Return which user's week each job belongs to, int64[n] from 0: jobs of one are alike, so they are one draw."""
    weeks = (requests.submit_time // _WEEK).astype(np.uint64)
    pairs = np.stack([requests.texts[:, TEXTS.index("user")], weeks], axis=1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].ravel()


def clearly_worse(new: np.ndarray, old: np.ndarray, blocks: np.ndarray, tolerance: float) -> bool:
    """Return whether the losses ``new`` are higher than ``old`` by more than the tolerance, and hardly by chance.

    Both are float64[n] for the same jobs; ``blocks`` int64[n] as of ``user_weeks``. Chance is judged by a paired
    bootstrap over whole blocks, which gives the same answer for the same losses.
    """
    ratio = float(new.sum()) / max(float(old.sum()), np.finfo(float).tiny)
    if ratio <= 1.0 + tolerance or ratio > 1.0 + GROSS:
        return ratio > 1.0 + GROSS
    random = np.random.default_rng(0)
    excess = np.bincount(blocks, new - old)
    draws = (excess[random.integers(0, len(excess), len(excess))].sum() for _ in range(RESAMPLES))
    return sum(bool(draw > 0.0) for draw in draws) >= CERTAINTY * RESAMPLES


def _compare(
    current: Artifact, candidate: Candidate, unseen: Newest, blocks: np.ndarray
) -> tuple[PromotionEntry, bool]:
    levels = np.intersect1d(candidate.forecaster.levels, current.forecaster.levels)
    new, old = (_losses(unseen, model, levels) for model in (candidate.forecaster, current.forecaster))
    worse = any(clearly_worse(ours, theirs, blocks, candidate.tolerance) for ours, theirs in zip(new, old, strict=True))
    (mae, pinball), (current_mae, current_pinball) = ([float(loss.mean()) for loss in losses] for losses in (new, old))
    entry = PromotionEntry(
        compared_with=current.path.name,
        jobs=len(unseen),
        mae_h=mae,
        current_mae_h=current_mae,
        pinball_h=pinball,
        current_pinball_h=current_pinball,
    )
    return entry, worse


def _losses(unseen: Newest, model: Forecaster, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the absolute errors and the pinball losses over ``levels``, float64[n] each [h]."""
    forecasts = unseen.forecast(model)
    quantiles = forecasts.quantiles[:, np.searchsorted(forecasts.levels, levels)]
    return np.abs(forecasts.median - unseen.run) / HOUR, pinball_losses(quantiles, unseen.run, levels) / HOUR


def _too_few(current: Artifact, jobs: int, blocks: int) -> str:
    return (
        f"compared with the baselines only, not with the current model {current.path.name}: {jobs} of the newest jobs, "
        f"of {blocks} user-weeks, are later than its log; {FEWEST_NEWER_JOBS} of {FEWEST_USER_WEEKS} are needed"
    )


def _difference(promotion: PromotionEntry) -> str:
    return (
        f"its mean absolute error is {promotion.mae_h:.3f} h and its pinball loss {promotion.pinball_h:.3f} h, against "
        f"{promotion.current_mae_h:.3f} h and {promotion.current_pinball_h:.3f} h of the current model "
        f"{promotion.compared_with}, on {promotion.jobs} newest jobs that neither has seen"
    )


def _refusal(promotion: PromotionEntry, tolerance: float, models: Path) -> Problem:
    return Problem(
        "MODEL_WORSE",
        f"the new model is not published: {_difference(promotion)}; more than {tolerance:.0%} worse is refused",
        place=str(models),
        remedy="the current model stays; train on a longer log or with a larger profile, or publish with --force",
    )
