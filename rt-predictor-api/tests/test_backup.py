"""Backups of a service that runs, and what becomes of them."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from rt_predictor_api import backup, restore
from rt_predictor_api.security.privacy import KEY
from rt_predictor_api.settings import Settings, read
from rt_predictor_api.stores import JOURNAL
from rt_predictor_core.history.events import Event
from rt_predictor_core.history.journal import Journal
from rt_predictor_formats.errors import Problem
from rtpredictor.v1.prediction_service_pb2 import PredictRequest


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "rt_predictor_api", *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)


def of(base: Path, **changes: Any) -> Settings:
    return read({"models": base / "models", "history": base / "history", **changes})


def numbers(journal: Path) -> list[str]:
    with closing(Journal(journal)) as opened:
        return [entry.event.job_id for entry in opened.replay()]


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A folder with a small history and what looks like a model."""
    (tmp_path / "live/models/20260101T000000Z-0a/members").mkdir(parents=True)
    for name in ("manifest.json", "members/a.npz"):
        (tmp_path / "live/models/20260101T000000Z-0a" / name).write_text(name)
    with closing(Journal(tmp_path / "live/history" / JOURNAL)) as journal:
        journal.append([Event("", str(number), number, None, None, None, {}) for number in range(1, 4)])
    return tmp_path / "live"


def test_a_backup_of_a_service_that_learns_holds_all_that_was_acknowledged(
    served: Any,
    serve: Any,
    tmp_path: Path,
    models: Path,
    job: Any,
    event: Any,
    until: Any,
) -> None:
    file, acknowledged, stop = tmp_path / "all.tar", [], Flag()
    with served() as client:

        def report() -> None:
            while not stop.is_set():
                number = len(acknowledged)
                client.report(event(number))
                acknowledged.append(str(number))

        writer = Thread(target=report)
        writer.start()
        try:
            until(lambda: len(acknowledged) > 20, "reports")
            before = list(acknowledged)
            done = command("--models", models, "--history", tmp_path / "history", "backup", file)
            assert done.returncode == 0, done.stderr
            after = len(acknowledged)
        finally:
            stop.set()
            writer.join()
        assert after > len(before), "reports went on meanwhile"
        final = backup.write(tmp_path / "final.tar", of(tmp_path))
        assert final.events == len(acknowledged)
        said = client.prediction.Predict(PredictRequest(job=job())).forecast
    kept = restore.read(file, of(tmp_path / "restored"))
    found = numbers(tmp_path / "restored/history" / JOURNAL)
    assert kept.events == len(found)
    assert found == acknowledged[: len(found)], "the state of one moment"
    assert len(before) <= len(found)
    restored = command(
        "--models", tmp_path / "2/models", "--history", tmp_path / "2/history", "restore", tmp_path / "final.tar"
    )
    assert restored.stdout == f"1 models, {len(acknowledged)} events from {tmp_path / 'final.tar'}\n", restored.stderr
    with serve(tmp_path / "2/models", tmp_path / "2/history") as client:
        again = client.prediction.Predict(PredictRequest(job=job())).forecast
        assert again == said
        assert command("--models", tmp_path / "2/models", "restore", file).stderr.startswith("error: ")
        with pytest.raises(Problem, match="RESTORE_NOT_EMPTY"):
            restore.read(file, of(tmp_path / "2"))
        assert client.prediction.Predict(PredictRequest(job=job())).forecast == said


def test_what_is_restored_is_what_was_there(stored: Path, tmp_path: Path) -> None:
    kept = backup.write(tmp_path / "all.tar", of(stored))
    assert kept == backup.Kept(("20260101T000000Z-0a",), 3)
    assert restore.read(tmp_path / "all.tar", of(tmp_path / "new")) == kept
    model = "models/20260101T000000Z-0a"
    for name in (f"{model}/manifest.json", f"{model}/members/a.npz"):
        assert (tmp_path / "new" / name).read_bytes() == (stored / name).read_bytes()
    assert numbers(tmp_path / "new/history" / JOURNAL) == ["1", "2", "3"]
    left = {path.name for folder in ("models", "history") for path in (tmp_path / "new" / folder).iterdir()}
    assert not [name for name in left if name.startswith(".")]


def test_the_key_of_hashed_names_comes_back_and_stays_a_secret(stored: Path, tmp_path: Path) -> None:
    (stored / "history" / KEY).write_bytes(b"k" * 32)
    (stored / "history" / KEY).chmod(0o600)
    backup.write(tmp_path / "all.tar", of(stored))
    restore.read(tmp_path / "all.tar", of(tmp_path / "new"))
    assert (tmp_path / "new/history" / KEY).read_bytes() == b"k" * 32
    assert (tmp_path / "new/history" / KEY).stat().st_mode & 0o777 == 0o600


def test_a_mount_point_is_empty(stored: Path, tmp_path: Path) -> None:
    backup.write(tmp_path / "all.tar", of(stored))
    (tmp_path / "new/models/lost+found").mkdir(parents=True)
    restore.read(tmp_path / "all.tar", of(tmp_path / "new"))


@pytest.mark.parametrize("folder", ["models", "history"])
def test_nothing_is_written_over(stored: Path, tmp_path: Path, folder: str) -> None:
    backup.write(tmp_path / "all.tar", of(stored))
    (tmp_path / "new" / folder).mkdir(parents=True)
    (tmp_path / "new" / folder / JOURNAL).write_text("mine")
    with pytest.raises(Problem, match="RESTORE_NOT_EMPTY"):
        restore.read(tmp_path / "all.tar", of(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new").rglob("*")] == [folder, JOURNAL]
    assert (tmp_path / "new" / folder / JOURNAL).read_text() == "mine"


def test_a_file_that_appears_meanwhile_stays(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backup.write(tmp_path / "all.tar", of(stored))
    unpack = restore._unpack

    def late(*arguments: Any) -> Any:
        told = unpack(*arguments)
        (tmp_path / "new/history" / JOURNAL).write_text("a service began")
        return told

    monkeypatch.setattr(restore, "_unpack", late)
    with pytest.raises(Problem, match="RESTORE_FAILED"):
        restore.read(tmp_path / "all.tar", of(tmp_path / "new"))
    assert (tmp_path / "new/history" / JOURNAL).read_text() == "a service began"


def test_each_byte_of_the_files_counts(stored: Path, tmp_path: Path) -> None:
    backup.write(tmp_path / "all.tar", of(stored))
    whole = (tmp_path / "all.tar").read_bytes()
    with tarfile.open(tmp_path / "all.tar") as archive:
        members = archive.getmembers()
    for member in members[:-1]:
        spoilt = bytearray(whole)
        spoilt[member.offset_data] ^= 1
        (tmp_path / "bad.tar").write_bytes(spoilt)
        with pytest.raises(Problem, match=r"SHA-256.*BACKUP_CORRUPT"):
            restore.read(tmp_path / "bad.tar", of(tmp_path / "new"))
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]


def test_an_archive_that_was_cut_off_is_refused(stored: Path, tmp_path: Path) -> None:
    backup.write(tmp_path / "all.tar", of(stored))
    whole = (tmp_path / "all.tar").read_bytes()
    with tarfile.open(tmp_path / "all.tar") as archive:
        last = archive.getmembers()[-1]
    for size in (0, 100, 700, last.offset, last.offset + 200, last.offset_data + 20):
        (tmp_path / "bad.tar").write_bytes(whole[:size])
        with pytest.raises(Problem, match="BACKUP_CORRUPT"):
            restore.read(tmp_path / "bad.tar", of(tmp_path / "new"))


def packed(file: Path, *names: str, link: bool = False, told: dict[str, Any] | None = None) -> None:
    """Write an archive as nobody of ours would."""
    with tarfile.open(file, "w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            if link:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry, io.BytesIO())
        text = json.dumps(told or {"format": 1, "models": [], "events": 0, "sha256": {}}).encode()
        entry = tarfile.TarInfo(backup.NAME)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "models/../../x", "models", "models//x", "history/./x", "other/x"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    packed(tmp_path / "bad.tar", name)
    with pytest.raises(Problem, match=r"elsewhere.*BACKUP_CORRUPT"):
        restore.read(tmp_path / "bad.tar", of(tmp_path / "new"))


def test_a_link_is_refused(tmp_path: Path) -> None:
    packed(tmp_path / "bad.tar", "models/x", link=True)
    with pytest.raises(Problem, match=r"no file.*BACKUP_CORRUPT"):
        restore.read(tmp_path / "bad.tar", of(tmp_path / "new"))


def test_an_archive_of_a_later_release_says_so(tmp_path: Path) -> None:
    packed(tmp_path / "later.tar", told={"format": 2})
    with pytest.raises(Problem, match=r"upgrade.*BACKUP_FORMAT"):
        restore.read(tmp_path / "later.tar", of(tmp_path / "new"))


def test_a_model_that_is_taken_away_meanwhile_is_left_out(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(stored / "models/20260101T000000Z-0a", stored / "models/20270101T000000Z-0b")
    add = backup._add

    def pruned(archive: Any, path: Path, name: str) -> str:
        if "0a/members" in name:
            shutil.rmtree(stored / "models/20260101T000000Z-0a")
        return add(archive, path, name)

    monkeypatch.setattr(backup, "_add", pruned)
    assert backup.write(tmp_path / "all.tar", of(stored)).models == ("20270101T000000Z-0b",)
    restore.read(tmp_path / "all.tar", of(tmp_path / "new"))
    assert [path.name for path in (tmp_path / "new/models").iterdir()] == ["20270101T000000Z-0b"]


def test_a_damaged_journal_is_not_taken_for_a_backup(stored: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(stored / "history" / JOURNAL)) as opened, opened:
        opened.execute("UPDATE events SET job_id = '9' WHERE seq = 2")
    (tmp_path / "all.tar").write_text("the last good one")
    with pytest.raises(Problem, match="HISTORY_CORRUPT"):
        backup.write(tmp_path / "all.tar", of(stored))
    assert (tmp_path / "all.tar").read_text() == "the last good one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.tar", "live"]


def test_with_redis_the_models_are_backed_up_and_the_journal_is_not(stored: Path, tmp_path: Path) -> None:
    kept = backup.write(tmp_path / "all.tar", of(stored, redis_url="redis://nowhere:1/0"))
    assert kept == backup.Kept(("20260101T000000Z-0a",), None)
    restore.read(tmp_path / "all.tar", of(tmp_path / "new"))
    assert not (tmp_path / "new/history" / JOURNAL).exists()


def test_nothing_makes_no_backup(tmp_path: Path) -> None:
    done = command("--models", tmp_path / "a", "--history", tmp_path / "b", "backup", tmp_path / "all.tar")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "neither a model nor a history" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_backup_is_for_its_owner_alone(stored: Path, tmp_path: Path) -> None:
    backup.write(tmp_path / "all.tar", of(stored))
    assert (tmp_path / "all.tar").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_missing_says_so(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="BACKUP_NOT_WRITABLE"):
        backup.write(tmp_path / "none/all.tar", of(stored))
    with pytest.raises(Problem, match="RESTORE_FAILED"):
        restore.read(tmp_path / "none.tar", of(tmp_path / "new"))
