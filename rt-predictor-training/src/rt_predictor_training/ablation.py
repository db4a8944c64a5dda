"""Ablation: what each family of features is worth, by leaving it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import lightgbm as lgb
import numpy as np

from rt_predictor_core.features import queued, request
from rt_predictor_core.features.neighbours import WIDTHS
from rt_predictor_core.features.table import NAMES, used_columns
from rt_predictor_core.models.target import Target
from rt_predictor_core.scores import point_scores
from rt_predictor_training.course import Course
from rt_predictor_training.outcome import Ablation
from rt_predictor_training.profiles import Profile
from rt_predictor_training.walk import Block, training_rows

CALENDAR: Final = ("hour_of_day", "day_of_week")

QUEUED: Final = "queued jobs"

FAMILIES: Final = ("request", "calendar", "statistics by key", "neighbours", "running jobs", QUEUED)
"""Families in reports; the statistics by key include the user's, the account's, the partition's and the site's."""


def family_of(name: str) -> str:
    """Return the family of a feature."""
    if name in CALENDAR:
        return "calendar"
    if name in request.FEATURES:
        return "request"
    if name in queued.FEATURES:
        return QUEUED
    if name.startswith("now_"):
        return "running jobs"
    return "neighbours" if name.startswith(tuple(f"{width}_" for width in WIDTHS)) else "statistics by key"


def ablations(
    course: Course, profile: Profile, target: Target, blocks: Sequence[Block], on_fit: Callable[[], None]
) -> tuple[Ablation, ...]:
    """Return the error of one LightGBM for the median with and without each family of features, on some blocks.

    "With" is with those that the profile uses; where queued jobs are not among them, they are added for their own row.
    """
    families = np.array([family_of(name) for name in NAMES])
    truth = np.concatenate([course.run[block.first : block.last] for block in blocks])

    def mae(columns: np.ndarray) -> float:
        said = np.concatenate([_medians(course, profile, target, block, columns) for block in blocks])
        on_fit()
        return point_scores(said, truth)["mae_h"]

    used = np.arange(used_columns(queued=profile.queued))
    everything = mae(used)

    def worth(family: str) -> Ablation:
        others = used[families[used] != family]
        if len(others) < len(used):
            return Ablation(family, everything, mae(others))
        return Ablation(family, mae(np.arange(len(NAMES))), everything)

    return tuple(map(worth, FAMILIES))


def _medians(course: Course, profile: Profile, target: Target, block: Block, columns: np.ndarray) -> np.ndarray:
    rows = training_rows(course, block.first, profile)
    request_ = course.wallclock_req
    limit = target.limit(request_)
    y = target.forward(np.minimum(course.run[rows], limit[rows]), request_[rows])
    parameters = {
        "objective": "quantile",
        "alpha": 0.5,
        "metric": "none",
        "num_threads": profile.threads,
        "seed": profile.seed,
        "verbosity": -1,
        **profile.members["lightgbm"],
    }
    train = lgb.Dataset(course.table[np.ix_(rows, columns)], y, params=parameters)
    booster = lgb.train(parameters, train, num_boost_round=profile.trees)
    own = slice(block.first, block.last)
    raw = np.asarray(booster.predict(course.table[own][:, columns]))[:, None]
    return np.asarray(np.minimum(target.backward(raw, request_[own])[:, 0], limit[own]))
