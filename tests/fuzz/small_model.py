"""A model with every shape of member, small enough to be published in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rt_predictor_core.artifact.evaluation import (
    BaselineEntry,
    Evaluation,
    FeatureEntry,
    ImportanceEntry,
    PartEntry,
    ReliabilityEntry,
)
from rt_predictor_core.artifact.files import (
    CHANCE,
    EVALUATION,
    HISTORY,
    KNOWN,
    PROBES,
    REFERENCE,
    TRAINING,
    member_arrays,
)
from rt_predictor_core.artifact.manifest import (
    FORMAT,
    FoldEntry,
    Manifest,
    MemberEntry,
    PromotionEntry,
    TargetEntry,
    TierEntry,
)
from rt_predictor_core.artifact.probes import ROWS
from rt_predictor_core.artifact.publish import arrays_to_bytes, publish
from rt_predictor_core.features.table import FINGERPRINT, NAMES
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.state import State
from rt_predictor_core.history.store import MemoryStore
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.neighbours import Neighbours
from rt_predictor_core.models.reference import Reference
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import BinaryForest, ObliviousForest
from rt_predictor_core.requests import NUMBERS, Requests

VERSION = "20240101T000000Z-00000000"
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NOW = 1_700_000_000
"""When the model's jobs end [s since 1970]."""

_SHAPES = {"binary": "binary", "oblivious": "oblivious", "neighbours": "neighbours"}


def publish_small(models: Path) -> Path:
    """Publish the model and return its folder."""
    return publish(models, _manifest(), files())


def files() -> dict[str, bytes]:
    """Return the contents of the model's files by name."""
    binary, oblivious, chance = _binary(), _oblivious(), _chance()
    rows = np.random.default_rng(3).normal(size=(70, len(NAMES))).astype(np.float32)
    probes = {ROWS: rows, "binary": binary.evaluate(rows), "chance": chance.evaluate(rows)}
    probes["oblivious"] = oblivious.evaluate(rows)
    neighbours = Neighbours.of(np.array(LEVELS), Target(1.0, 3600.0, 60.0), "near")
    arrays = {
        HISTORY: {**_lived().snapshot(), KNOWN: np.array([3, 9], np.uint64)},
        CHANCE: chance.arrays(),
        PROBES: probes,
        REFERENCE: _reference(rows).arrays(),
        TRAINING: {"anything": np.zeros(2)},
        member_arrays("binary"): binary.arrays(),
        member_arrays("oblivious"): oblivious.arrays(),
        member_arrays("neighbours"): neighbours.arrays(),
    }
    texts = {"members/binary.json": b"{}", EVALUATION: _evaluation().to_json().encode()}
    return {**{name: arrays_to_bytes(held) for name, held in arrays.items()}, **texts}


def event(number: int, **change: object) -> Event:
    """Return the end of a job of one of three users."""
    job = {"user": f"u{number % 3}", "name": f"run_{number % 2}", "wallclock_req": 3600.0, "processors_req": 4.0}
    moment = NOW - 10_000 + number
    told = {"submit_time": moment, "start_time": moment + 5, "end_time": moment + 600, "state": "COMPLETED"}
    return Event(**{"cluster": "", "job_id": str(number), "job": job, **told, **change})  # type: ignore[arg-type]


def _manifest() -> Manifest:
    members = tuple(
        MemberEntry(
            name, "1.0", 1.0, (1.0,) * len(LEVELS), shape, () if name == "neighbours" else ("members/binary.json",)
        )
        for name, shape in _SHAPES.items()
    )
    return Manifest(
        format=FORMAT,
        version=VERSION,
        created=NOW,
        features=FINGERPRINT,
        profile="quick",
        sources=("log.swf (swf)",),
        jobs=10,
        rejected=0,
        first_submit=0,
        last_submit=NOW,
        levels=LEVELS,
        members=members,
        target=TargetEntry(1.0, 3600.0, 60.0),
        calibration=tuple(map(tuple, Calibration(np.array(LEVELS)).read.tolist())),
        known_from=0,
        scores=({"name": "ensemble", "mae_h": 1.0, "median_ae_min": 2.0, "under_rate": 0.2, "coverage_90": 0.9},),
        dial=({"risk": 0.1, "measured_rate": 0.09, "bound_to_request": 0.7},),
        stage_seconds={"fit": 1.0},
        libraries={"numpy": "2"},
        fold=FoldEntry(0, 9, 10, (TierEntry("none", 10, 1.0, 0.9),)),
        promotion=PromotionEntry(findings=("RTP101",)),
    )


def _binary() -> BinaryForest:
    """Return three trees: two questions one below the other, another one, and a leaf alone."""
    return BinaryForest(
        feature=np.array([0, 5, 1], np.int32),
        threshold=np.array([0.1, -0.3, 0.2], np.float32),
        left=np.array([1, ~0, ~3], np.int32),
        right=np.array([~1, ~2, ~4], np.int32),
        missing_left=np.array([True, False, True]),
        leaf=np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        root=np.array([0, 2, ~5], np.int32),
        output=np.array([0, 2, 4], np.int32),
        base=np.linspace(0.1, 0.5, len(LEVELS)),
    )


def _oblivious() -> ObliviousForest:
    """Return two trees, of two questions and of one."""
    return ObliviousForest(
        feature=np.array([0, 3, 2], np.int32),
        threshold=np.array([0.0, 0.5, -0.5], np.float32),
        missing_high=np.array([True, False, True]),
        first_split=np.array([0, 2, 3], np.int32),
        first_leaf=np.array([0, 4], np.int32),
        leaf=np.linspace(0.0, 1.0, 6 * len(LEVELS)).reshape(6, len(LEVELS)),
        base=np.zeros(len(LEVELS)),
    )


def _reference(rows: np.ndarray) -> Reference:
    made = np.random.default_rng(4).uniform(1.0, 100.0, (len(rows), len(NUMBERS)))
    return Reference.of(Requests(np.zeros((len(rows), 7), np.uint64), made, NOW + np.arange(len(rows))), rows)


def _evaluation() -> Evaluation:
    part = PartEntry("all", 10, 1.0, 2.0, 0.9, 3.0, (BaselineEntry("request", 4.0, 5.0),))
    importance = ImportanceEntry("ensemble", (FeatureEntry(NAMES[0], 0.7), FeatureEntry(NAMES[1], 0.3)))
    parts = (part,)
    return Evaluation(0, 9, part, parts, parts, parts, parts, (ReliabilityEntry(0.5, 0.4),), (importance,))


def _chance() -> BinaryForest:
    return BinaryForest(
        feature=np.array([4], np.int32),
        threshold=np.array([0.0], np.float32),
        left=np.array([~0], np.int32),
        right=np.array([~1], np.int32),
        missing_left=np.array([False]),
        leaf=np.array([-1.0, 1.0]),
        root=np.array([0], np.int32),
        output=np.zeros(1, np.int32),
        base=np.zeros(1),
    )


def _lived() -> State:
    """Return a state that knows jobs that ended, one that runs and one that waits."""
    state = State()
    store = MemoryStore(state, np.zeros(0, np.uint64), 0)
    store.observe([event(number) for number in range(80)])
    store.observe([event(90, end_time=None, state=None), event(91, start_time=None, end_time=None, state=None)])
    return state
