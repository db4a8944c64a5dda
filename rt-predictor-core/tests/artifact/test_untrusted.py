"""Models that nobody vouches for: refused at load, whatever their hashes say, and before compiled code follows them."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rt_predictor_core.artifact import npz
from rt_predictor_core.artifact.files import CHANCE, HISTORY, KNOWN, PROBES, member_arrays
from rt_predictor_core.artifact.load import load
from rt_predictor_core.artifact.manifest import FORMAT, Manifest, MemberEntry, TargetEntry
from rt_predictor_core.artifact.probes import ROWS
from rt_predictor_core.artifact.publish import arrays_to_bytes, publish
from rt_predictor_core.features.table import FINGERPRINT, NAMES
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.state import State
from rt_predictor_core.history.store import MemoryStore
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.neighbours import Neighbours
from rt_predictor_core.models.target import Target
from rt_predictor_core.models.trees import BinaryForest, ObliviousForest
from rt_predictor_formats.errors import Problem

LEVELS = (0.05, 0.5, 0.95)
BINARY = BinaryForest(
    feature=np.array([0, 1], np.int32),
    threshold=np.zeros(2, np.float32),
    left=np.array([1, ~0], np.int32),
    right=np.array([~1, ~2], np.int32),
    missing_left=np.zeros(2, bool),
    leaf=np.array([0.1, 0.5, 0.9]),
    root=np.array([0, ~1], np.int32),
    output=np.array([0, 2], np.int32),
    base=np.zeros(3),
)
CHANCE_FOREST = replace(BINARY, output=np.zeros(2, np.int32), base=np.zeros(1))
OBLIVIOUS = ObliviousForest(
    feature=np.array([0, 1, 2], np.int32),
    threshold=np.zeros(3, np.float32),
    missing_high=np.zeros(3, bool),
    first_split=np.array([0, 2, 3], np.int32),
    first_leaf=np.array([0, 4], np.int32),
    leaf=np.zeros((6, 3)),
    base=np.zeros(3),
)
NEIGHBOURS = Neighbours.of(np.array(LEVELS), Target(1.0, 3600.0, 0.0), "near")
SHAPES = {"binary": BINARY, "oblivious": OBLIVIOUS, "neighbours": NEIGHBOURS}
JOB = Event("", "1", 100, 110, 170, "COMPLETED", {"user": "ada", "wallclock_req": 600.0})


def arrays() -> dict[str, dict[str, np.ndarray]]:
    state = State()
    MemoryStore(state, np.zeros(0, np.uint64), 0).observe([JOB, replace(JOB, job_id="2", end_time=None, state=None)])
    return {
        HISTORY: {**state.snapshot(), KNOWN: np.array([1, 2], np.uint64)},
        CHANCE: CHANCE_FOREST.arrays(),
        PROBES: {ROWS: np.zeros((0, len(NAMES)), np.float32)},
        **{member_arrays(name): member.arrays() for name, member in SHAPES.items()},
    }


def put(models: Path, held: dict[str, dict[str, np.ndarray]]) -> Path:
    """Publish a model of these arrays, which no library vouches for."""
    manifest = Manifest(
        format=FORMAT,
        version="v1",
        created=1_700_000_000,
        features=FINGERPRINT,
        profile="quick",
        sources=("log.swf (swf)",),
        jobs=10,
        rejected=0,
        first_submit=0,
        last_submit=9,
        levels=LEVELS,
        members=tuple(MemberEntry(name, "1.0", 1.0, (1.0,) * 3, name, ()) for name in SHAPES),
        target=TargetEntry(1.0, 3600.0, 0.0),
        calibration=tuple(map(tuple, Calibration(np.array(LEVELS)).read.tolist())),
        known_from=0,
        scores=({"name": "ensemble", "mae_h": None},),
        dial=({"risk": 0.1},),
    )
    return publish(models, manifest, {name: arrays_to_bytes(one) for name, one in held.items()})


def refused(path: Path) -> Problem:
    with pytest.raises(Problem) as caught:
        load(path)
    return caught.value


def rewrite(path: Path, **change: Any) -> None:
    manifest = path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))


def replace_file(path: Path, name: str, content: bytes) -> None:
    """Put other contents in the place of a file, with the hash that they have."""
    (path / name).write_bytes(content)
    document = json.loads((path / "manifest.json").read_text())
    rewrite(path, sha256={**document["sha256"], name: sha256(content).hexdigest()})


def test_a_model_without_any_of_this_is_loaded(tmp_path: Path) -> None:
    assert load(put(tmp_path, arrays())).manifest.version == "v1"


@pytest.mark.parametrize(
    ("shape", "name", "value"),
    [
        ("binary", "feature", -1),
        ("binary", "feature", len(NAMES)),
        ("binary", "left", 2),
        ("binary", "right", ~3),
        ("binary", "left", 0),  # leads to itself
        ("binary", "root", 2),
        ("binary", "root", ~3),
        ("binary", "output", -1),
        ("binary", "output", 3),
        ("binary", "leaf", np.nan),
        ("binary", "base", np.inf),
        ("oblivious", "feature", -1),
        ("oblivious", "feature", len(NAMES)),
        ("oblivious", "first_split", -1),
        ("oblivious", "first_split", 3),
        ("oblivious", "first_leaf", -1),
        ("oblivious", "first_leaf", 5),
        ("oblivious", "leaf", np.nan),
        ("neighbours", "columns", -1),
        ("neighbours", "columns", len(NAMES)),
        ("neighbours", "target", 0.0),
        ("neighbours", "levels", np.nan),
    ],
)
def test_an_element_that_leads_out_of_a_members_arrays_is_refused(
    tmp_path: Path, shape: str, name: str, value: float
) -> None:
    held = arrays()
    changed = held[member_arrays(shape)][name].copy()
    changed.reshape(-1)[0] = value
    held[member_arrays(shape)][name] = changed
    assert refused(put(tmp_path, held)).code == "ARTIFACT_CORRUPT"


@pytest.mark.parametrize("kind", ["f8", "i8", "S4", "c16"])
@pytest.mark.parametrize("name", ["feature", "threshold", "left", "output"])
def test_an_array_of_another_type_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    held = arrays()
    held[member_arrays("binary")][name] = held[member_arrays("binary")][name].astype(kind)
    assert refused(put(tmp_path, held)).code == "ARTIFACT_CORRUPT"


@pytest.mark.parametrize("name", ["threshold", "left", "missing_left", "output"])
def test_an_array_of_another_length_is_refused(tmp_path: Path, name: str) -> None:
    held = arrays()
    held[member_arrays("binary")][name] = held[member_arrays("binary")][name][:-1]
    assert refused(put(tmp_path, held)).code == "ARTIFACT_CORRUPT"


def test_a_member_of_other_levels_than_the_model_is_refused(tmp_path: Path) -> None:
    held = arrays()
    held[member_arrays("binary")] = replace(BINARY, base=np.zeros(4)).arrays()
    assert refused(put(tmp_path, held)).code == "ARTIFACT_CORRUPT"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("total", -1),
        ("total", 2**63 - 1),
        ("runs", 33),
        ("waiting", -1),
        ("statistics", -1.0),
        ("statistics", np.nan),
        (KNOWN, 3),  # no more sorted
    ],
)
def test_a_snapshot_that_compiled_code_would_stumble_over_is_refused(tmp_path: Path, name: str, value: float) -> None:
    held = arrays()
    if name == "waiting":
        held[HISTORY]["queues"], held[HISTORY]["waiting"] = np.ones(1, np.uint64), np.zeros((1, 4), np.int64)
        held[HISTORY]["seconds"] = np.zeros((1, 16, 3), np.int64)
    held[HISTORY][name] = held[HISTORY][name].copy()
    held[HISTORY][name].reshape(-1)[0] = value
    assert refused(put(tmp_path, held)).code == "ARTIFACT_CORRUPT"


def test_a_weight_of_nothing_that_jobs_ended_with_is_refused(tmp_path: Path) -> None:
    held = arrays()
    held[HISTORY]["statistics"] = held[HISTORY]["statistics"].copy()
    held[HISTORY]["statistics"][0, :2] = 1.0, 0.0
    assert refused(put(tmp_path, held)).code == "ARTIFACT_CORRUPT"


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": []},
        {"sha256": {"chance.npz": 1}},
        {"sha256": {"./chance.npz": ""}},
        {"sha256": {"/etc/passwd": ""}},
        {"sha256": {"members/../chance.npz": ""}},
        {"sha256": {"a\0b": ""}},
        {"sha256": {"\ud800": ""}},
        {"jobs": "many"},
        {"jobs": 2**64},
        {"created": 10**400},
        {"created": -1},
        {"version": "\ud800"},
        {"levels": []},
        {"levels": [0.5]},
        {"levels": [0.5, 0.5, 0.9]},
        {"levels": [0.1, 0.2, 0.3]},
        {"levels": [0.1, float("nan"), 0.9]},
        {"scores": [{"mae_h": 1.0}]},
        {"scores": [{"name": "ensemble", "mae_h": "x"}]},
        {"dial": [{"risk": {}}]},
        {"members": []},
        {"target": {"power": 0.0, "usual_wallclock": 3600.0, "grace": None}},
        {"target": {"power": 1.0, "usual_wallclock": float("inf"), "grace": None}},
    ],
)
def test_a_manifest_that_cannot_be_told_or_followed_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = put(tmp_path, arrays())
    rewrite(path, **change)
    assert refused(path).code == "ARTIFACT_CORRUPT"


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff", b"", b"[]", b"1", b'{"format": 3}'])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path, arrays())
    (path / "manifest.json").write_bytes(content)
    assert refused(path).code == "ARTIFACT_CORRUPT"


def link(place: Path) -> None:
    outside = place.parent.parent / "outside"
    place.rename(outside)
    place.symlink_to(outside)


def fifo(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def device(place: Path) -> None:
    place.unlink()
    place.symlink_to("/dev/zero")


def folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


@pytest.mark.parametrize("name", [CHANCE, "manifest.json"])
@pytest.mark.parametrize("trick", [link, fifo, device, folder])
@pytest.mark.timeout(60)
def test_what_is_no_plain_file_of_the_folder_is_refused_and_not_opened(
    tmp_path: Path, name: str, trick: Callable[[Path], None]
) -> None:
    path = put(tmp_path, arrays())
    trick(path / name)
    assert refused(path).code == "ARTIFACT_CORRUPT"


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, arrays())
    link(path / "members")
    assert "link" in str(refused(path))


@pytest.mark.timeout(60)
def test_a_file_of_terabytes_is_refused_unread(tmp_path: Path) -> None:
    path = put(tmp_path, arrays())
    os.truncate(path / CHANCE, 1 << 42)
    assert "more than" in str(refused(path))


def archive(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(f"{name}.npy", content)
    return sink.getvalue()


def header(text: str) -> bytes:
    raw = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw


def test_arrays_that_unfold_to_more_than_the_limit_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    content = arrays_to_bytes({"zeros": np.zeros(1 << 20)})
    monkeypatch.setattr(npz, "MOST_BYTES", 1 << 20)
    with pytest.raises(ValueError, match="more than"):
        npz.read(content)


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} + \0",
        "{'descr': 'nothing', 'fortran_order': False, 'shape': (1,)}",
        "__import__('os').getcwd()",
    ],
)
def test_a_header_that_says_what_the_contents_do_not_bear_out_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        npz.read(archive(array=header(text) + bytes(8)))


def test_arrays_come_back_as_they_were_written() -> None:
    held = {"empty": np.zeros((0, 3), np.float32), "one": np.array(1.5), "by_columns": np.asfortranarray(np.eye(3)[:2])}
    for name, array in npz.read(arrays_to_bytes(held)).items():
        np.testing.assert_array_equal(array, held[name])
        assert (array.dtype, array.flags.writeable) == (held[name].dtype, True)


@pytest.mark.parametrize("content", [b"", b"PK", bytes(100), archive()[:-4]])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path, arrays())
    replace_file(path, HISTORY, content)
    assert refused(path).code == "ARTIFACT_CORRUPT"
