"""Walking forward: nothing sees the future, and a walk that was interrupted goes on to the same answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rt_predictor_core.history.log import EventLog
from rt_predictor_core.history.state import State
from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_training.checkpoint import Checkpoint
from rt_predictor_training.course import Course
from rt_predictor_training.ingest import Intake, Jobs, ingest
from rt_predictor_training.profiles import Profile, load_profile
from rt_predictor_training.walk import Block, Walk, target_of

BLOCKS = (Block(600, 900), Block(900, 1200), Block(1200, 1500))


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    write_parquet(path, 2000, 3)
    return ingest(Intake([path], chunk_rows=1000), lambda *_: None)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return replace(load_profile("quick"), trees=8, threads=1)


def walked(jobs: Jobs, profile: Profile, memory: Checkpoint | None = None, steps: int = len(BLOCKS)) -> Walk:
    course = Course.of(jobs, State())
    walk = Walk(course, profile, BLOCKS, lambda _: None, memory)
    for number, block in enumerate(BLOCKS[:steps]):
        walk.step(number, block)
    return walk


def changed(jobs: Jobs, later: np.ndarray) -> Jobs:
    """Change run time, state and end of some jobs, bool[n]."""
    events = jobs.events
    values = {name: getattr(events, name) for name in EventLog.__dataclass_fields__}
    values["run"] = np.where(later, 7.0 + 3.0 * events.run, events.run)
    values["end"] = np.where(later, events.end + 10**6, events.end)
    values["failed"] = np.where(later, 1.0 - events.failed, events.failed)
    return replace(jobs, events=EventLog(**values))


def test_what_has_not_ended_at_a_submit_moves_no_forecast_by_a_bit(jobs: Jobs, profile: Profile) -> None:
    """The poison test: members, blend, calibration and features alike."""
    honest = walked(jobs, profile)
    course = Course.of(jobs, State())
    for job in (905, 1199, 1200, 1420):
        later = jobs.events.ran & (jobs.events.end > course.submit[job])
        poisoned = walked(changed(jobs, later), profile)
        row = slice(job - BLOCKS[0].first, job - BLOCKS[0].first + 1)
        ours, theirs = honest.forecasts(row), poisoned.forecasts(row)
        np.testing.assert_array_equal(theirs.quantiles, ours.quantiles)
        assert theirs.exceeds == ours.exceeds
        assert theirs.most_likely == ours.most_likely
        assert theirs.wallclock(0.1) == ours.wallclock(0.1)


def test_the_poison_moves_what_may_know_it(jobs: Jobs, profile: Profile) -> None:
    honest, poisoned = walked(jobs, profile), walked(changed(jobs, jobs.events.ran), profile)
    assert (honest.raw != poisoned.raw).any(axis=1).all()


def test_a_walk_that_was_interrupted_goes_on_to_the_same_answers(jobs: Jobs, profile: Profile, tmp_path: Path) -> None:
    whole = walked(jobs, profile)
    memory = Checkpoint(tmp_path, "one")
    walked(jobs, profile, memory, steps=2)
    assert memory.finished() == 2
    (tmp_path / "one" / f"{BLOCKS[0].first:010d}-{BLOCKS[0].last:010d}.npz").write_bytes(b"damaged")
    resumed = walked(jobs, profile, Checkpoint(tmp_path, "one"))
    rows = slice(0, len(whole.raw))
    np.testing.assert_array_equal(resumed.forecasts(rows).quantiles, whole.forecasts(rows).quantiles)
    np.testing.assert_array_equal(resumed.log_odds, whole.log_odds)
    memory.clear()
    assert memory.finished() == 0


def test_the_calibration_that_is_published_has_seen_every_end(jobs: Jobs, profile: Profile) -> None:
    """The levels that the last job was told are those that its block's walk ends with, but for ends in between."""
    walk = walked(jobs, profile)
    last = walk.read[-1]
    now = walk.forecaster.calibration.at(np.array([walk.forecasts(slice(899, 900)).tier[0]], np.uint8))[0]
    assert np.abs(last - now).max() < 0.2
    assert (walk.read[: BLOCKS[0].last - BLOCKS[0].first] == walk.forecaster.calibration.levels).all()


@pytest.mark.parametrize(
    ("share", "late", "grace", "leeway"),
    [(0.0, 0.0, 0.0, 0.0), (0.005, 60.0, 0.0, 0.0), (0.1, 60.0, 60.0, 60.0), (0.5, 60.0, np.inf, 0.0)],
)
def test_how_strictly_requests_are_enforced_is_learnt_from_those_that_were_outrun(
    jobs: Jobs, profile: Profile, share: float, late: float, grace: float, leeway: float
) -> None:
    course = Course.of(jobs, State())
    request = np.full(len(course), 3600.0)
    run = np.full(len(course), 600.0)
    run[: int(share * len(course))] = 3600.0 + late
    course = replace(course, events=replace(course.events, run=run, request=request))
    target = target_of(course, np.arange(len(course)), profile)
    assert (target.grace, target.leeway) == (grace, leeway)


def test_a_few_that_were_let_run_for_hours_are_not_the_rule(jobs: Jobs, profile: Profile) -> None:
    course = Course.of(jobs, State())
    late = np.concatenate([np.full(92, 60.0), np.full(4, 300.0), np.full(4, 36_000.0)])
    run = np.full(len(course), 600.0)
    run[:100] = 3600.0 + late
    events = replace(course.events, run=run, request=np.full(len(course), 3600.0))
    target = target_of(replace(course, events=events), np.arange(len(course)), profile)
    assert target.leeway == 60.0
    assert target.grace == 300.0
