"""Walking forward through a log: fit on what had ended, forecast what comes next, learn from how it ends, go on.

Training and backtest walk the same way, training with few blocks at the end of the log. Nothing sees a job that had
not ended when the jobs it is used on were submitted: members, blend weights and target are learnt from jobs that had
ended before a block's first submit, calibration follows each end within the block as the service does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Protocol

import numpy as np

from rt_predictor_core.features.history import END, START, SUBMIT
from rt_predictor_core.models.blend import blend, monotone
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.forecast import Forecaster, Forecasts, Said
from rt_predictor_core.models.neighbours import WIDTHS, Neighbours
from rt_predictor_core.models.target import Target
from rt_predictor_training.blending import everyone, learn_weights
from rt_predictor_training.course import Course
from rt_predictor_training.members import LOCAL, Engine
from rt_predictor_training.members.chance import constant
from rt_predictor_training.members.member import Fitted, Fold, Task
from rt_predictor_training.profiles import Profile

ENFORCED_SHARE = 0.25
"""A scheduler that lets more than this share of jobs run past their request is taken not to enforce it."""

FEWEST_ENDED = 50
"""With fewer ended jobs before a block, all jobs submitted before it have to do: a log whose jobs all overlap."""

_CHANCE = "chance"
_RARE = 0.01
_GRACE_QUANTILE = 0.95
_LEEWAY_QUANTILE = 0.5
_USUAL_QUANTILE = 0.95


@dataclass(frozen=True)
class Block:
    """Jobs ``first`` to ``last``, exclusive, of those that ran, in submit order; ``fit`` members anew before them."""

    first: int
    last: int
    fit: bool = True


class Memory(Protocol):
    """Where what was said of a block is kept, so that an interrupted walk goes on where it was."""

    def load(self, block: Block) -> dict[str, np.ndarray] | None:
        """Return what the members said of the block, None if that is not known."""
        ...

    def save(self, block: Block, said: dict[str, np.ndarray]) -> None:
        """Keep what the members said of the block."""
        ...


class Walk:
    """A walk through consecutive blocks, and what it brought out for the jobs from the first block's first on.

    The first block is for learning blend weights and calibration; its own forecasts are neither weighed nor calibrated.

    Attributes
    ----------
    first: the first job, of those that ran.
    said: the members' quantiles float64[n, levels] in units of the target, by name; ``raw`` their blend.
    read: float64[n, levels], the levels that calibration read. block: int32[n].
    log_odds: float64[n], to run into the request.
    forecaster: as it stands after the last step. fitted, chance: its members, as the libraries gave them.
    """

    def __init__(
        self,
        course: Course,
        profile: Profile,
        blocks: Sequence[Block],
        on_tree: Callable[[str], None],
        memory: Memory | None = None,
        engine: Engine = LOCAL,
    ) -> None:
        first, last = blocks[0].first, blocks[-1].last
        self._course, self._profile, self._on_tree, self._memory = course, profile, on_tree, memory
        self._engine = engine
        self.first = first
        self._kinds, self._jobs = training_events(course, first, last)
        self._past = 0
        levels = np.array(profile.levels)
        names = [*profile.members, *WIDTHS]
        target = target_of(course, training_rows(course, first, profile), profile)
        calibration = Calibration(levels)
        self.chance = constant(0.5)
        self.forecaster = Forecaster(levels, {}, everyone(names, len(levels)), self.chance.forest, calibration, target)
        self.fitted: dict[str, Fitted] = {}
        shape = (last - first, len(levels))
        self.said = {name: np.full(shape, np.nan) for name in names}
        self.raw, self.log_odds = np.full(shape, np.nan), np.full(shape[0], np.nan)
        self.read = np.tile(calibration.levels, (shape[0], 1))
        self.block = np.full(shape[0], -1, np.int32)
        self._level_of_run = np.full((shape[0], 3), np.nan)

    def step(self, number: int, block: Block) -> None:
        """Forecast a block, and follow what ends until its last job is submitted."""
        own = slice(block.first - self.first, block.last - self.first)
        if number:
            self._learn_weights(block)
        said = self._members_say(block)
        self.log_odds[own] = said.pop(_CHANCE)[:, 0]
        for name, quantiles in said.items():
            self.said[name][own] = quantiles
        heard = np.stack([self.forecaster.weights[name] > 0.0 for name in self.said])
        self.raw[own] = self._blended(own, heard)
        self.block[own] = number
        course, forecaster = self._course, self.forecaster
        wallclock, run = (column[block.first : block.last] for column in (course.wallclock_req, course.run))
        plain = forecaster.target.backward(self.raw[own], wallclock)
        self._level_of_run[own] = forecaster.level_of(plain, wallclock, run)
        if number:
            self._calibrate(block)
        else:
            self._start_calibration(block)

    def forecasts(self, rows: slice, member: str | None = None) -> Forecasts:
        """Return the ensemble's forecasts of some of the jobs, or those of one member alone, not calibrated."""
        course = self._course
        at = slice(self.first + rows.start, self.first + rows.stop)
        if member is None:
            raw, read = self.raw[rows], self.read[rows]
        else:
            alone = np.array([name == member for name in self.said])
            raw = self._blended(rows, np.tile(alone[:, None], self.raw.shape[1]))
            read = np.tile(self.forecaster.calibration.levels, (len(raw), 1))
        said = Said(raw, self.log_odds[rows])
        return self.forecaster.finish(said, course.requests.take(at), course.history.take(at), read)

    def fit(self, rows: np.ndarray) -> None:
        """Fit the members anew on rows of the course, int64."""
        course, profile, target = self._course, self._profile, self.forecaster.target
        limited = np.minimum(course.run[rows], target.limit(course.wallclock_req[rows]))
        inputs = partial(course.inputs, queued=profile.queued)
        train = Fold(inputs(rows), target.forward(limited, course.wallclock_req[rows]))
        self.fitted = {name: self._engine.member(name, self._task(train, name)) for name in profile.members}
        asked = rows[~np.isnan(course.wallclock_req[rows])]
        reached = (course.run[asked] >= course.wallclock_req[asked]).astype(np.float64)
        self.chance = self._engine.chance(self._task(Fold(inputs(asked), reached), "lightgbm"))
        members = {
            **{name: member.forest for name, member in self.fitted.items()},
            **{name: Neighbours.of(self.forecaster.levels, target, width) for name, width in WIDTHS.items()},
        }
        self.forecaster = replace(self.forecaster, members=members, chance=self.chance.forest)

    def _task(self, train: Fold, name: str) -> Task:
        profile = self._profile
        return Task(
            train=train,
            levels=profile.levels,
            trees=profile.trees,
            parameters=profile.members[name],
            threads=profile.threads,
            seed=profile.seed,
            on_tree=partial(self._on_tree, name),
        )

    def _members_say(self, block: Block) -> dict[str, np.ndarray]:
        said = self._memory.load(block) if self._memory else None
        if said is not None:
            return said
        if block.fit or not self.fitted:
            self.fit(training_rows(self._course, block.first, self._profile))
        table = self._course.table[block.first : block.last]
        said = {name: member.evaluate(table) for name, member in self.forecaster.members.items()}
        said[_CHANCE] = self.forecaster.chance.evaluate(table)
        if self._memory:
            self._memory.save(block, said)
        return said

    def _blended(self, own: slice, heard: np.ndarray) -> np.ndarray:
        return monotone(blend([said[own] for said in self.said.values()], heard))

    def _learn_weights(self, block: Block) -> None:
        known = self._course.ended(block.first, self.first)
        if len(known) < FEWEST_ENDED:
            return
        said = {name: quantiles[known - self.first] for name, quantiles in self.said.items()}
        forecaster, course = self.forecaster, self._course
        weights = learn_weights(
            said, forecaster.target, course.run[known], course.wallclock_req[known], forecaster.levels
        )
        self.forecaster = replace(forecaster, weights=weights)

    def _start_calibration(self, block: Block) -> None:
        events = slice(self._past, self._until(block.last))
        known = self._jobs[events][self._kinds[events] == END]
        tier = self._course.history.tier[self.first + known]
        self.forecaster.calibration.start(tier, self._level_of_run[known])
        self._past = events.stop

    def _calibrate(self, block: Block) -> None:
        events = slice(self._past, self._until(block.last))
        self.forecaster.calibration.track(
            self._kinds[events] == END,
            self._jobs[events],
            self._course.history.tier[self.first :],
            self._level_of_run,
            self.read,
        )
        self._past = events.stop

    def _until(self, last: int) -> int:
        """Return the number of events before job ``last`` is submitted."""
        at = np.flatnonzero((self._jobs == last - self.first) & (self._kinds == SUBMIT))
        return int(at[0]) if len(at) else len(self._jobs)


def training_rows(course: Course, first: int, profile: Profile) -> np.ndarray:
    """Return the newest jobs to fit members on before job ``first`` is submitted, int64."""
    ended = course.ended(first) if first < len(course) else np.arange(first)
    if len(ended) < FEWEST_ENDED:
        ended = np.arange(first)
    return ended[-profile.train_jobs :]


def target_of(course: Course, rows: np.ndarray, profile: Profile) -> Target:
    """Learn from some jobs what stands in for a missing request, and how strictly requests are enforced."""
    run, request = course.run[rows], course.wallclock_req[rows]
    known = request[~np.isnan(request)]
    usual = float(np.quantile(known if len(known) else run, _USUAL_QUANTILE))
    over = (run - request)[run > request]
    share = len(over) / max(len(known), 1)
    if not len(known) or share > ENFORCED_SHARE:
        grace, leeway = inf, 0.0
    else:
        grace, leeway = np.quantile(over, [_GRACE_QUANTILE, _LEEWAY_QUANTILE]) if share > _RARE else (0.0, 0.0)
    return Target(profile.target_power, max(usual, 1.0), float(grace), float(leeway))


def training_events(course: Course, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Return submits and ends of the jobs ``first`` to ``last`` in order: kinds, and jobs counted from ``first``."""
    kinds, rows = course.events.events()
    place = np.full(len(course), -1)
    place[first:last] = np.arange(last - first)
    wanted = (place[rows] >= 0) & (kinds != START)
    return kinds[wanted], place[rows[wanted]]
