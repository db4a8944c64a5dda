import errno
import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rt_predictor_core.artifact import publish as publishing
from rt_predictor_core.artifact.files import CHANCE, HISTORY, KNOWN, PROBES, UNFINISHED, member_arrays
from rt_predictor_core.artifact.load import load, newest, versions
from rt_predictor_core.artifact.manifest import FORMAT, Manifest, MemberEntry, TargetEntry
from rt_predictor_core.artifact.probes import ROWS
from rt_predictor_core.artifact.publish import arrays_to_bytes, new_version, publish
from rt_predictor_core.features import history
from rt_predictor_core.features.table import FINGERPRINT, NAMES
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.state import State, asked_of
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_core.requests import Requests
from rt_predictor_formats.errors import Problem

LEVELS = (0.05, 0.5, 0.95)
FOREST = BinaryForest(
    *(np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, bool)),
    leaf=np.array([0.1, 0.5, 0.9]),
    root=np.array([~0, ~1, ~2], np.int32),
    output=np.array([0, 1, 2], np.int32),
    base=np.zeros(3),
)
CHANCE_FOREST = replace(
    FOREST, leaf=np.zeros(1), root=np.array([~0], np.int32), output=np.zeros(1, np.int32), base=np.log([0.25 / 0.75])
)


def manifest(version: str) -> Manifest:
    return Manifest(
        format=FORMAT,
        version=version,
        created=1_700_000_000,
        features=FINGERPRINT,
        profile="quick",
        sources=("log.swf (swf)",),
        jobs=10,
        rejected=0,
        first_submit=0,
        last_submit=9,
        levels=LEVELS,
        members=(MemberEntry("one", "1.0", 1.0, (1.0,) * 3, "binary", ("members/one.txt",)),),
        target=TargetEntry(1.0, 3600.0, 0.0),
        calibration=tuple(map(tuple, Calibration(np.array(LEVELS)).read.tolist())),
        known_from=0,
        scores=({"name": "ensemble", "mae_h": float("nan")},),
    )


def probes() -> dict[str, np.ndarray]:
    """Rows, and what libraries would have said of them."""
    rows = np.zeros((4, len(NAMES)), np.float32)
    return {ROWS: rows, "one": FOREST.evaluate(rows), "chance": CHANCE_FOREST.evaluate(rows)}


def files(state: State | None = None) -> dict[str, bytes]:
    return {
        HISTORY: arrays_to_bytes({**(state or State()).snapshot(), KNOWN: np.zeros(0, np.uint64)}),
        CHANCE: arrays_to_bytes(CHANCE_FOREST.arrays()),
        member_arrays("one"): arrays_to_bytes(FOREST.arrays()),
        PROBES: arrays_to_bytes(probes()),
    }


def put(models: Path, version: str, state: State | None = None) -> Path:
    return publish(models, manifest(version), files(state))


def test_what_was_published_is_what_is_loaded(tmp_path: Path) -> None:
    artifact = load(put(tmp_path, "v1"))
    assert replace(artifact.manifest, sha256={}, scores=()) == replace(manifest("v1"), scores=())
    requests = Requests.from_rows([{"user": "ada", "wallclock_req": 1000.0, "submit_time": 5}])
    forecasts = artifact.forecaster.forecast(requests, artifact.history().read(requests))
    np.testing.assert_allclose(forecasts.quantiles, [[100.0, 500.0, 900.0]], rtol=1e-12)
    np.testing.assert_allclose(forecasts.exceeds, [0.25])


def test_the_newest_valid_version_counts_and_old_ones_are_pruned(tmp_path: Path) -> None:
    for i in range(7):
        put(tmp_path, f"v{i}")
    assert versions(tmp_path) == ["v6", "v5", "v4", "v3", "v2"]
    (tmp_path / "v6" / HISTORY).write_bytes(b"")
    assert newest(tmp_path).manifest.version == "v5"


def test_versions_sort_by_time() -> None:
    names = [new_version(moment, b"\xff" * 4) for moment in (0.0, 1e9, 1.7e9)]
    assert names == sorted(names)
    assert names[2] == "20231114T221320Z-ffffffff"


@pytest.mark.parametrize("name", [HISTORY, CHANCE, PROBES, member_arrays("one")])
def test_a_flipped_byte_is_found(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, "v1") / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Problem, match=name) as caught:
        load(tmp_path / "v1")
    assert caught.value.code == "ARTIFACT_CORRUPT"
    with pytest.raises(Problem, match="NO_MODEL"):
        newest(tmp_path)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"format": 99}, "ARTIFACT_FORMAT"),
        ({"features": "other"}, "ARTIFACT_FEATURES"),
        ({"sha256": {"../../etc/passwd": "0"}}, "ARTIFACT_CORRUPT"),
        ({"sha256": {}}, "ARTIFACT_CORRUPT"),
        ({"members": 5}, "ARTIFACT_CORRUPT"),
        ({"calibration": "x"}, "ARTIFACT_CORRUPT"),
        ({"calibration": [[0.5] * 9] * 4}, "ARTIFACT_CORRUPT"),
        ({"calibration": [[0.5] * 9] * 4 + [[0.5] * 8]}, "ARTIFACT_CORRUPT"),
        ({"calibration": [[0.5] * 8 + [None]] * 5}, "ARTIFACT_CORRUPT"),
        ({"calibration": [[0.5] * 8 + [1.5]] * 5}, "ARTIFACT_CORRUPT"),
        ({"members": [{"name": "one"}]}, "ARTIFACT_CORRUPT"),
        ({"format": 1}, "ARTIFACT_FORMAT"),
        ({"format": FORMAT - 1}, "ARTIFACT_FORMAT"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(tmp_path: Path, change: dict[str, object], code: str) -> None:
    path = put(tmp_path, "v1") / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(Problem) as caught:
        load(tmp_path / "v1")
    assert caught.value.code == code


def test_a_manifest_from_before_the_dial_was_measured_is_read(tmp_path: Path) -> None:
    path = put(tmp_path, "v1") / "manifest.json"
    document = json.loads(path.read_text())
    del document["dial"]
    path.write_text(json.dumps(document))
    assert load(tmp_path / "v1").manifest.dial == ()


def test_the_dial_comes_back_as_it_was_published(tmp_path: Path) -> None:
    dial = ({"risk": 0.1, "measured_rate": 0.09, "bound_to_request": 0.7},)
    path = publish(tmp_path, replace(manifest("v1"), dial=dial), files())
    assert load(path).manifest.dial == dial


@pytest.mark.parametrize("name", ["one", "chance"])
@pytest.mark.parametrize("off", [2e-5, np.nan])
def test_a_member_that_answers_other_than_its_library_did_is_refused(tmp_path: Path, name: str, off: float) -> None:
    told = probes()
    told[name] = told[name].copy()
    told[name][2, 0] += off * np.abs(told[name]).max()
    path = publish(tmp_path, manifest("v1"), {**files(), PROBES: arrays_to_bytes(told)})
    with pytest.raises(Problem, match=f"{name} answers its probes") as caught:
        load(path)
    assert caught.value.code == "ARTIFACT_DIFFERS"


def test_a_difference_within_rounding_is_none(tmp_path: Path) -> None:
    told = {**probes(), "one": probes()["one"].astype(np.float32)}
    assert load(publish(tmp_path, manifest("v1"), {**files(), PROBES: arrays_to_bytes(told)})).path.name == "v1"


@pytest.mark.parametrize(
    "change",
    [{"one": None}, {ROWS: None}, {ROWS: np.zeros((4, 2), np.float32)}, {ROWS: np.zeros((4, len(NAMES)))}],
)
def test_probes_that_do_not_fit_are_refused(tmp_path: Path, change: dict[str, np.ndarray | None]) -> None:
    told = {name: array for name, array in {**probes(), **change}.items() if array is not None}
    with pytest.raises(Problem) as caught:
        load(publish(tmp_path, manifest("v1"), {**files(), PROBES: arrays_to_bytes(told)}))
    assert caught.value.code == "ARTIFACT_CORRUPT"


def test_an_artifact_without_probes_is_refused(tmp_path: Path) -> None:
    without = {name: content for name, content in files().items() if name != PROBES}
    with pytest.raises(Problem, match=PROBES) as caught:
        load(publish(tmp_path, manifest("v1"), without))
    assert caught.value.code == "ARTIFACT_CORRUPT"


def test_nodes_in_a_circle_are_refused_before_anyone_asks(tmp_path: Path) -> None:
    circle = replace(
        FOREST,
        feature=np.zeros(1, np.int32),
        threshold=np.zeros(1, np.float32),
        left=np.zeros(1, np.int32),
        right=np.zeros(1, np.int32),
        missing_left=np.zeros(1, bool),
        root=np.array([0, ~1, ~2], np.int32),
    )
    with pytest.raises(Problem, match="does not fit") as caught:
        load(publish(tmp_path, manifest("v1"), {**files(), member_arrays("one"): arrays_to_bytes(circle.arrays())}))
    assert caught.value.code == "ARTIFACT_CORRUPT"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (put(tmp_path, "v1") / HISTORY).unlink()
    with pytest.raises(Problem, match=HISTORY) as caught:
        load(tmp_path / "v1")
    assert caught.value.code == "ARTIFACT_INCOMPLETE"


@pytest.mark.parametrize("step", range(12))
def test_a_crash_at_any_step_leaves_the_old_version_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    put(tmp_path, "v1")
    taken, real = 0, os.fsync

    def crash(descriptor: int) -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            raise KeyboardInterrupt
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(publishing.os, "fsync", crash)
        with suppress(KeyboardInterrupt):
            put(tmp_path, "v2")
    assert newest(tmp_path).manifest.version in {"v1", "v2"}
    put(tmp_path, "v3")
    assert not list(tmp_path.glob(f"{UNFINISHED}*"))


def test_a_full_disk_is_a_problem_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(publishing.os, "fsync", full)
    with pytest.raises(Problem, match="DISK_FULL"):
        put(tmp_path, "v1")
    assert list(tmp_path.iterdir()) == []


def event(**change: object) -> Event:
    values = {
        "cluster": "",
        "job_id": "1",
        "submit_time": 100,
        "start_time": 110,
        "end_time": 170,
        "state": "COMPLETED",
        "job": {"user": "ada", "wallclock_req": 600.0},
    }
    return Event(**{**values, **change})  # type: ignore[arg-type]


def test_a_reported_job_counts_once_and_is_read_at_once(tmp_path: Path) -> None:
    store = load(put(tmp_path, "v1")).history()
    asked = Requests.from_rows([{"user": "ada", "submit_time": 200}])
    started = event(end_time=None, state=None)
    assert store.observe([started, started]) == [True, False]
    assert store.observe([event(), event(), started]) == [True, False, False]
    rows = store.read(asked)
    assert (rows.tier[0], rows.jobs[0]) == (1, 1)


def test_a_job_that_the_log_held_already_does_not_count_again() -> None:
    from rt_predictor_core.history.store import MemoryStore
    from rt_predictor_core.requests import identity

    store = MemoryStore(State(), np.array([identity("1", 100)], np.uint64), known_from=50)
    assert store.observe([event(), event(job_id="2", end_time=49), event(job_id="2")]) == [False, False, True]


def test_what_waits_is_unknown_until_a_submission_is_reported(tmp_path: Path) -> None:
    lived = State()
    lived.observe_submit(asked_of(Requests.from_rows([{"user": "ada", "submit_time": 5}])), 0)
    store = load(put(tmp_path, "v1", state=lived)).history()
    asked = Requests.from_rows([{"user": "ada", "submit_time": 200}])
    jobs = history.FEATURES.index("queued_user_jobs")
    store.observe([event(job_id="2", end_time=None, state=None)])
    assert np.isnan(store.read(asked).features[0, jobs])
    store.observe([event(start_time=None, end_time=None, state=None)])
    assert store.read(asked).features[0, jobs] == 1.0
