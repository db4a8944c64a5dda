"""Members on two worker processes, as on one machine; and what happens when one of them is killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL
from time import monotonic, sleep

import numpy as np
import pytest
from distributed import Client

from rt_predictor_core.artifact.load import Artifact, load
from rt_predictor_core.history.state import State
from rt_predictor_core.scores import pinball
from rt_predictor_core.sources.synthetic import write_parquet
from rt_predictor_training.cluster.crew import Crew
from rt_predictor_training.cluster.engine import DaskEngine
from rt_predictor_training.cluster.start import connections
from rt_predictor_training.course import Course
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.members import LOCAL, MEMBERS, Engine
from rt_predictor_training.members.member import Fitted, Fold, Task
from rt_predictor_training.profiles import load_profile
from rt_predictor_training.train import Order, train

LEVELS = (0.05, 0.5, 0.95)
PROFILE = replace(load_profile("quick"), threads=2, trees=20)
DEADLINE = 60.0
"""How long a new process may take [s] on a machine that does much else."""

# distributed leaves sockets and timers of killed processes to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@dataclass
class Cluster:
    connect: Callable[[], Client]

    def until(self, workers: int) -> None:
        with self.connect() as client:
            end = monotonic() + DEADLINE
            while len(client.scheduler_info(n_workers=-1)["workers"]) != workers:
                assert monotonic() < end, "the workers did not come back"
                sleep(0.1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connections("local", 2, PROFILE) as connect:
        yield Cluster(connect)


@pytest.fixture
def crew(cluster: Cluster) -> Iterator[Crew]:
    cluster.until(2)
    with Crew(cluster.connect, 2, DEADLINE) as crew:
        crew.assemble()
        yield crew


def fold(rows: int, seed: int) -> Fold:
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 6)).astype(np.float32)
    y = 0.3 * np.nan_to_num(x[:, 0]) + (x[:, 1] > 0) + 0.1 * random.normal(size=rows)
    x[random.random(x.shape) < 0.15] = np.nan
    return Fold(x, y)


def task(name: str, on_tree: Callable[[], None] = lambda: None, trees: int = 30) -> Task:
    return Task(fold(4001, 1), LEVELS, trees, PROFILE.members[name], 1, 7, on_tree)


def loss(fitted: Fitted) -> float:
    new = fold(2000, 3)
    return pinball(fitted.forest.evaluate(new.x), new.y, np.array(LEVELS))


def killer(crew: Crew) -> tuple[Callable[[], None], list[str]]:
    """Return what kills the second worker once, when it is called in mid-training, and whom it killed."""
    killed: list[str] = []
    rounds = 0

    def on_tree() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3 and not killed:
            address, process = list(crew.client.run(os.getpid).items())[-1]
            os.kill(process, SIGKILL)
            killed.append(address)

    return on_tree, killed


@pytest.mark.parametrize(("name", "near"), [("xgboost", 0.05), ("lightgbm", 0.1)])
def test_a_member_of_two_workers_is_as_good_as_one_of_this_process(crew: Crew, name: str, near: float) -> None:
    """Not equal to the bit: both libraries find bins in each worker's rows, draw rows on each worker by itself, and
    add up in another order; XGBoost sets a leaf to the mean of the workers' quantiles.

    Measured on this table and one of 16,001 rows, six seeds each: the pinball loss differs by -1.4 to +1.7 % with
    XGBoost and by -7.3 to +1.5 % with LightGBM, whose loss on one machine has a deviation of 1.7 to 2.7 % by the seed.
    """
    rounds: list[int] = []
    alone = MEMBERS[name](task(name))
    together = DaskEngine(crew).member(name, task(name, lambda: rounds.append(1)))
    assert together.shape == alone.shape
    assert set(together.native) == set(alone.native)
    np.testing.assert_array_equal(np.unique(together.forest.output), np.unique(alone.forest.output))
    assert len(together.forest.root) == len(alone.forest.root)
    assert loss(together) == pytest.approx(loss(alone), rel=near)
    assert len(rounds) == 30 * (1 if name == "xgboost" else len(LEVELS))
    assert crew.notes == []


def test_catboost_on_one_worker_is_equal_to_the_bit(crew: Crew) -> None:
    rounds: list[int] = []
    alone = MEMBERS["catboost"](task("catboost"))
    there = DaskEngine(crew).member("catboost", task("catboost", lambda: rounds.append(1)))
    for name, array in alone.forest.arrays().items():
        np.testing.assert_array_equal(there.forest.arrays()[name], array)
    assert len(rounds) == 30


def test_a_fold_is_sent_once_for_all_members(crew: Crew) -> None:
    first = task("catboost")
    dealt = crew.deal(first.train)
    assert crew.deal(first.train) is dealt
    held = crew.client.who_has()
    assert sorted(len(keys) for keys in crew.client.has_what().values()) == [2, 2]
    assert {key for key in held if held[key]} >= {part.key for part in (*dealt.x, *dealt.y)}
    assert crew.deal(fold(100, 2)) is not dealt


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_a_member_begins_anew_when_a_worker_is_killed_in_mid_training(crew: Crew, name: str) -> None:
    on_tree, killed = killer(crew)
    # long enough that the kill comes before the end
    fitted = DaskEngine(crew).member(name, task(name, on_tree, trees=400 if name == "catboost" else 60))
    assert crew.notes == [f"{name} began anew: {killed[0]} was lost"]
    assert loss(fitted) < 0.8 * float(
        pinball(np.tile(np.quantile(fold(4001, 1).y, LEVELS), (2000, 1)), fold(2000, 3).y, np.array(LEVELS))
    )


class Progress:
    """Calls ``on_tree`` on each step of the fit."""

    def __init__(self, on_tree: Callable[[], None] = lambda: None) -> None:
        self._on_tree, self.stages, self.steps = on_tree, [], 0

    def stage(self, name: str, total: int, _unit: str = "") -> None:
        self.stages.append(name)
        self.steps, self.total = 0, total

    def finish(self) -> None:
        self.steps = self.total

    def advance(self, done: int, _total: int | None = None) -> None:
        self.steps = done
        if self.stages[-1] == "fit" and done < self.total:
            self._on_tree()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "synthetic.parquet"
    write_parquet(path, 4000, 7)
    return path


def trained(log: Path, models: Path, engine: Engine, progress: Progress) -> Artifact:
    intake = Intake([log], chunk_rows=100_000)
    return load(train(Order(intake, PROFILE, models, engine=engine), progress).path)


@pytest.fixture(scope="module")
def alone(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return trained(log, tmp_path_factory.mktemp("alone"), LOCAL, Progress())


def losses(artifact: Artifact, log: Path) -> dict[str, float]:
    """Return the pinball losses of the members that may differ, in units of the target, on all jobs of the log."""
    course = Course.of(ingest(Intake([log], chunk_rows=100_000), lambda *_: None), State())
    forecaster, request = artifact.forecaster, course.wallclock_req
    y = forecaster.target.forward(np.minimum(course.run, forecaster.target.limit(request)), request)
    differing = ("xgboost", "lightgbm")
    return {name: pinball(forecaster.members[name].evaluate(course.table), y, forecaster.levels) for name in differing}


@pytest.mark.parametrize("kill", [False, True], ids=["undisturbed", "one-killed"])
def test_the_same_artifact_comes_out(log: Path, alone: Artifact, crew: Crew, tmp_path: Path, *, kill: bool) -> None:
    """CatBoost's arrays are equal to the bit; why the others' are not is said above.

    Measured here: the pinball loss differs by +2.0 % with XGBoost and by -0.6 to -0.1 % with LightGBM.
    """
    on_tree, killed = killer(crew) if kill else (lambda: None, [])
    artifact = trained(log, tmp_path, DaskEngine(crew), Progress(on_tree))
    assert crew.notes == [f"xgboost began anew: {address} was lost" for address in killed]
    assert len(killed) == kill
    ours, theirs = artifact.manifest, alone.manifest
    assert [(entry.name, entry.shape, entry.native_files) for entry in ours.members] == [
        (entry.name, entry.shape, entry.native_files) for entry in theirs.members
    ]
    for name, member in alone.forecaster.members.items():
        arrays, same = member.arrays(), artifact.forecaster.members[name].arrays()
        assert {key: (array.dtype, array.ndim) for key, array in arrays.items()} == {
            key: (array.dtype, array.ndim) for key, array in same.items()
        }
        if name not in {"xgboost", "lightgbm"}:
            for key, array in arrays.items():
                np.testing.assert_array_equal(same[key], array)
    assert losses(artifact, log) == pytest.approx(losses(alone, log), rel=0.05)
