"""Memory: how many jobs a training run has room for.

Two moments decide: the replay, when the whole log is in memory and its events are being sorted, and the fit, when the
libraries hold copies of the jobs that members and folds rest on. What a job takes was measured on synthetic logs of one
and eleven million jobs and is rounded up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from rt_predictor_formats.errors import Problem
from rt_predictor_training.profiles import Profile

GIB: Final = 2**30


@dataclass(frozen=True)
class Peak:
    """Bytes at a moment: of the libraries, per job of the log, and per job that members and folds rest on."""

    base: float
    per_job: float
    per_kept: float


PEAKS: Final = (Peak(300e6, 640.0, 1_000.0), Peak(900e6, 200.0, 3_000.0))
"""Replay and fit."""

FEWEST_TRAINED: Final = 50_000
"""Members are not fitted on fewer jobs for want of memory; a log that leaves no room for so many is refused."""


def most_jobs(profile: Profile) -> int:
    """Return how many jobs a log may have."""
    fewest = FEWEST_TRAINED + 2 * profile.folds.most_jobs
    return max(0, min(_most_jobs(peak, profile.memory_gib * GIB - peak.base, fewest) for peak in PEAKS))


def _most_jobs(peak: Peak, left: float, fewest: int) -> int:
    # of a small log all jobs are kept
    small = left / (peak.per_job + peak.per_kept)
    return int(small if small < fewest else (left - peak.per_kept * fewest) / peak.per_job)


def fitting(profile: Profile, jobs: int) -> Profile:
    """Return the profile with no more jobs to fit on than a log of ``jobs`` leaves room for."""
    left = [(profile.memory_gib * GIB - peak.base - peak.per_job * jobs) / peak.per_kept for peak in PEAKS]
    room = int(min(left))
    members = max(room - 2 * profile.folds.most_jobs, FEWEST_TRAINED)
    if jobs <= room or profile.train_jobs <= members:
        return profile
    return replace(profile, train_jobs=members)


def guard(profile: Profile, place: str) -> Callable[[int], None]:
    """Return what raises Problem LOG_TOO_LARGE for a number of jobs above ``most_jobs``."""
    most = most_jobs(profile)

    def check(jobs: int) -> None:
        if jobs > most:
            raise Problem(
                "LOG_TOO_LARGE",
                f"more than the {most} jobs that {profile.memory_gib:g} GiB have room for",
                place=place,
                remedy="allow more memory with --memory, or train on the newest jobs with --sample-size",
            )

    return check
