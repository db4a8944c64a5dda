"""Training profiles: TOML files beside this module, or a path to one's own."""

from __future__ import annotations

import math
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rt_predictor_formats.errors import Problem

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds that the processes of a container may compute, in so many (control groups, version 2)."""

_FOLDER = Path(__file__).parent
SHIPPED = ("quick", "standard", "m2max")
"""Names of the profiles that come with the package."""


@dataclass(frozen=True)
class Folds:
    """Shares of the log given to each purpose, by submit time, oldest first; what is left is for training.

    No fold has more than ``most_jobs``.
    """

    calibration: float
    score: float
    most_jobs: int


@dataclass(frozen=True)
class Profile:
    """How to train.

    Attributes
    ----------
    levels: quantile levels, rising, 0.05, 0.5 and 0.95 among them. target_power: see ``models.target``.
    chunk_rows: rows read at a time. threads: per library. memory_gib: what training may use.
    trees: boosting rounds. train_jobs: members are fitted on at most this many of the newest ended jobs; the history
    features and the neighbours still know all of them.
    refit: whether to fit again on the newest jobs after scoring. members: parameters of each library.
    queued: whether members know what waits at a job's submission, which the service then has to be told.
    """

    name: str
    levels: tuple[float, ...]
    target_power: float
    chunk_rows: int
    threads: int
    memory_gib: float
    trees: int
    train_jobs: int
    seed: int
    refit: bool
    folds: Folds
    members: dict[str, dict[str, Any]]
    queued: bool = False


def load_profile(name: str) -> Profile:
    """Return a shipped profile by name, or the one in a TOML file by its path.

    Raises Problem PROFILE_UNKNOWN or PROFILE_INVALID, which names the key.
    """
    path = _FOLDER / f"{name}.toml" if name in SHIPPED else Path(name)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
        values: dict[str, Any] = {**document, "levels": tuple(document["levels"]), "folds": Folds(**document["folds"])}
        profile = Profile(name=path.stem, **values)
        _check(profile)
    except OSError:
        raise Problem(
            "PROFILE_UNKNOWN",
            f"no training profile {name!r}",
            place="--profile",
            remedy=f"use one of {', '.join(SHIPPED)}, or the path of a TOML file",
        ) from None
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise Problem(
            "PROFILE_INVALID", str(error), place=str(path), remedy=f"compare the file with {_FOLDER / 'quick.toml'}"
        ) from error
    if profile.threads:
        return profile
    return Profile(**{**profile.__dict__, "threads": _usable_cores()})


def _check(profile: Profile) -> None:
    if list(profile.levels) != sorted(set(profile.levels)) or not {0.05, 0.5, 0.95} <= set(profile.levels):
        raise ValueError("levels must rise and contain 0.05, 0.5 and 0.95")
    if not 0.0 < profile.levels[0] <= profile.levels[-1] < 1.0:
        raise ValueError("levels must lie between 0 and 1")
    if not 0.0 < profile.target_power <= 1.0:
        raise ValueError("target_power must lie in (0, 1]")
    if not isinstance(profile.queued, bool):
        raise ValueError("queued must be true or false")  # noqa: TRY004 # a value of the file, as those above
    shares = (profile.folds.calibration, profile.folds.score)
    if min(shares) <= 0.0 or sum(shares) >= 1.0:
        raise ValueError("the folds' shares must be positive and leave something for training")
    least = {key: getattr(profile, key) for key in ("chunk_rows", "trees", "train_jobs")}
    for key, value in {**least, "folds.most_jobs": profile.folds.most_jobs}.items():
        if value < 1:
            raise ValueError(f"{key} must be at least 1")


def _usable_cores() -> int:
    """Return the cores that this process may use at a time: those that it may run on, or less where it has a quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _quota(cores))


def _quota(cores: int) -> int:
    """Return how many cores the limit of a container is, rounded up; ``cores`` where there is none."""
    try:
        allowed, period = _QUOTA.read_text("ascii").split()
        return max(1, math.ceil(int(allowed) / int(period)))
    except (OSError, ValueError):  # no Linux, or "max"
        return cores
