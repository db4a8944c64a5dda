"""An older version becomes current again, as a new version with the same files."""

import json
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rt_predictor_core.artifact import publish as publishing
from rt_predictor_core.artifact.files import CHANCE, HISTORY, KNOWN, PROBES, UNFINISHED, member_arrays
from rt_predictor_core.artifact.load import load, newest, versions
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
from rt_predictor_core.artifact.publish import arrays_to_bytes, new_version, next_version, publish
from rt_predictor_core.artifact.rollback import roll_back
from rt_predictor_core.features.table import FINGERPRINT, NAMES
from rt_predictor_core.history.state import State
from rt_predictor_core.models.conformal import Calibration
from rt_predictor_core.models.trees import BinaryForest
from rt_predictor_formats.errors import Problem

BEGIN = 1_700_000_000
FOLD = FoldEntry(1, 9, 3, (TierEntry("user", 3, 0.5, 0.9),))
PROMOTION = PromotionEntry(compared_with="older", jobs=300, mae_h=1.0, current_mae_h=1.1, findings=("RTP102",))


def put(models: Path, number: int) -> str:
    """Publish a model that always answers ``number`` tenths of the request; return its version."""
    forest = BinaryForest(
        np.zeros(0, np.int32),
        np.zeros(0, np.float32),
        *(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, bool)),
        leaf=np.full(3, number / 10),
        root=np.array([~0, ~1, ~2], np.int32),
        output=np.array([0, 1, 2], np.int32),
        base=np.zeros(3),
    )
    manifest = Manifest(
        format=FORMAT,
        version=new_version(BEGIN + number, bytes(4)),
        created=BEGIN + number,
        features=FINGERPRINT,
        profile="quick",
        sources=("log.swf (swf)",),
        jobs=number,
        rejected=0,
        first_submit=0,
        last_submit=9,
        levels=(0.05, 0.5, 0.95),
        members=(MemberEntry("one", "1.0", 1.0, (1.0,) * 3, "binary", ()),),
        target=TargetEntry(1.0, 3600.0, 0.0),
        calibration=tuple(map(tuple, Calibration(np.array([0.05, 0.5, 0.95])).read.tolist())),
        known_from=0,
        scores=({"name": "ensemble", "mae_h": 1.5},),
        fold=FOLD,
        promotion=PROMOTION,
    )
    files = {
        HISTORY: arrays_to_bytes({**State().snapshot(), KNOWN: np.zeros(0, np.uint64)}),
        CHANCE: arrays_to_bytes(replace(forest, output=np.zeros(3, np.int32), base=np.zeros(1)).arrays()),
        member_arrays("one"): arrays_to_bytes(forest.arrays()),
        PROBES: arrays_to_bytes({ROWS: np.zeros((0, len(NAMES)), np.float32)}),
    }
    return publish(models, manifest, files).name


def test_the_older_version_is_current_under_a_new_name_and_says_so(tmp_path: Path) -> None:
    first, second = put(tmp_path, 1), put(tmp_path, 2)
    artifact = roll_back(tmp_path, first, BEGIN + 100)
    assert artifact is not None
    assert newest(tmp_path).path == artifact.path
    assert versions(tmp_path) == [artifact.path.name, second, first]
    old = load(tmp_path / first).manifest
    assert artifact.manifest == replace(
        old,
        version=artifact.path.name,
        promotion=PromotionEntry(rolled_back_to=first, rolled_back_from=second),
    )
    assert artifact.path.name.startswith("20231114T221500Z-")


def test_there_and_back_again_every_step_is_a_new_version(tmp_path: Path) -> None:
    first, second = put(tmp_path, 1), put(tmp_path, 2)
    steps = [roll_back(tmp_path, version, BEGIN + 100) for version in (first, second, first)]
    names = [step.path.name for step in steps if step]
    assert len(names) == 3
    assert names == sorted(names)
    assert newest(tmp_path).manifest.sha256 == load(tmp_path / first).manifest.sha256


def test_what_is_current_already_stays(tmp_path: Path) -> None:
    first, second = put(tmp_path, 1), put(tmp_path, 2)
    assert roll_back(tmp_path, second, BEGIN + 100) is None
    assert roll_back(tmp_path, first, BEGIN + 100) is not None
    before = versions(tmp_path)
    assert roll_back(tmp_path, first, BEGIN + 200) is None
    assert versions(tmp_path) == before


def test_neither_end_of_the_way_is_pruned(tmp_path: Path) -> None:
    names = [put(tmp_path, number) for number in range(1, 6)]
    artifact = roll_back(tmp_path, names[0], BEGIN + 100)
    assert artifact is not None
    assert versions(tmp_path) == [artifact.path.name, *reversed(names)]


def test_an_unknown_version_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    names = [put(tmp_path, number) for number in (1, 2)]
    with pytest.raises(Problem, match=f"{names[1]}, {names[0]}") as caught:
        roll_back(tmp_path, "../elsewhere", BEGIN + 100)
    assert caught.value.code == "VERSION_UNKNOWN"


def test_a_damaged_version_is_not_made_current(tmp_path: Path) -> None:
    first, second = put(tmp_path, 1), put(tmp_path, 2)
    (tmp_path / first / HISTORY).write_bytes(b"")
    with pytest.raises(Problem, match="--list") as caught:
        roll_back(tmp_path, first, BEGIN + 100)
    assert caught.value.code == "ARTIFACT_CORRUPT"
    assert versions(tmp_path) == [second, first]


@pytest.mark.parametrize("step", range(1, 9))
def test_a_crash_at_any_step_leaves_the_current_version_or_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    first, second = put(tmp_path, 1), put(tmp_path, 2)
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
            roll_back(tmp_path, first, BEGIN + 100)
    assert newest(tmp_path).manifest.jobs in {1, 2}
    assert {first, second} <= set(versions(tmp_path))
    roll_back(tmp_path, first, BEGIN + 200)
    assert newest(tmp_path).manifest.jobs == 1
    roll_back(tmp_path, second, BEGIN + 300)
    assert not list(tmp_path.glob(f"{UNFINISHED}*"))


@pytest.mark.parametrize("now", [0, BEGIN + 2, BEGIN + 3])
def test_a_new_version_sorts_last_even_if_the_clock_went_back(tmp_path: Path, now: int) -> None:
    put(tmp_path, 1)
    latest = put(tmp_path, 2)
    shutil.copytree(tmp_path / latest, tmp_path / latest.replace("-00000000", "-ffffffff"))
    assert next_version(tmp_path, now, bytes(4)) > versions(tmp_path)[0]


def test_a_folder_that_would_always_sort_last_is_named(tmp_path: Path) -> None:
    shutil.copytree(tmp_path / put(tmp_path, 1), tmp_path / "backup")
    with pytest.raises(Problem, match="backup") as caught:
        next_version(tmp_path, BEGIN + 5, bytes(4))
    assert caught.value.code == "VERSION_FOREIGN"


def test_a_manifest_from_before_or_after_this_release_still_loads(tmp_path: Path) -> None:
    path = tmp_path / put(tmp_path, 1) / "manifest.json"
    document = json.loads(path.read_text())
    assert (load(path.parent).manifest.fold, load(path.parent).manifest.promotion) == (FOLD, PROMOTION)
    document["promotion"]["added_later"] = 1
    path.write_text(json.dumps(document | {"also_added_later": 2}))
    assert load(path.parent).manifest.promotion == PROMOTION
    path.write_text(json.dumps({key: value for key, value in document.items() if key not in {"fold", "promotion"}}))
    manifest = load(path.parent).manifest
    assert (manifest.fold, manifest.promotion) == (None, None)
