"""What a person does wrong is one line that names the thing and the remedy, and leaves nothing behind."""

from __future__ import annotations

import csv
import gzip
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from free_ports import free_port

REQUEST = ("user", "wallclock_req", "nodes_req", "processors_req")
HEADER = ["job_id", *REQUEST, "submit_time", "start_time", "end_time", "run_time", "state"]

Command = Callable[..., subprocess.CompletedProcess[str]]


def swf(lines: int) -> str:
    """Return a log in the Standard Workload Format."""
    draw = random.Random(1)  # noqa: S311  # the same jobs in every run, no secret
    rows = []
    for job in range(1, lines + 1):
        run = draw.randint(10, 3000)
        rows.append(f"{job} {job * 60} 5 {run} 4 -1 -1 4 3600 -1 1 {job % 9} 1 -1 1 1 -1 -1")
    return "; Version: 2.2\n; UnixStartTime: 900000000\n" + "\n".join(rows) + "\n"


def table(path: Path, columns: list[str], rows: int, **cells: str) -> Path:
    """Write a csv log in which every row has the given cells."""
    times = {"submit_time": "2024-01-01 00:00:00", "start_time": "2024-01-01 00:00:10"}
    good = {"user": "u", "wallclock_req": "3600", "nodes_req": "1", "processors_req": "4", "run_time": "600"}
    good |= times | {"end_time": "2024-01-01 00:10:10", "state": "COMPLETED"} | cells
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for job in range(rows):
            writer.writerow([{"job_id": str(job), **good}[column] for column in columns])
    return path


def refused(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """Assert that a command failed with one error line that holds the words; return the line."""
    assert done.returncode not in {0, -9}, done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    # what, then the remedy, then the code
    assert ";" in lines[0]
    assert lines[0].endswith("]")
    for word in words:
        assert word in lines[0], lines[0]
    return lines[0]


@pytest.fixture
def train(command: Command, profile: Path) -> Command:
    """Return what trains on a log with a small profile: ``train(data, models, *options)``."""

    def run(data: Path, models: Path, *options: str) -> subprocess.CompletedProcess[str]:
        return command("rt-predictor-train", "--data", data, "--models", models, "--profile", profile, *options)

    return run


def nothing_in(models: Path) -> bool:
    """Return whether a folder of models is missing or has nothing in it, not even hidden."""
    return not models.exists() or not list(models.iterdir())


def empty(folder: Path) -> Path:
    path = folder / "empty.csv"
    path.touch()
    return path


def header_only(folder: Path) -> Path:
    return table(folder / "header.csv", HEADER, 0)


def truncated_gzip(folder: Path) -> Path:
    path = folder / "cut.swf.gz"
    whole = gzip.compress(swf(3000).encode())
    path.write_bytes(whole[: len(whole) // 2])
    return path


def missing_column(folder: Path) -> Path:
    return table(folder / "column.csv", [name for name in HEADER if name != "submit_time"], 300)


def negative_values(folder: Path) -> Path:
    return table(folder / "negative.csv", HEADER, 300, wallclock_req="-3600", run_time="-5")


def absurd_values(folder: Path) -> Path:
    return table(folder / "absurd.csv", HEADER, 300, nodes_req="1e30", wallclock_req="1e300")


def other_format(folder: Path) -> Path:
    path = folder / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(5000))  # noqa: S311  # no secret
    return path


def cut_parquet(folder: Path) -> Path:
    path = folder / "cut.parquet"
    path.write_bytes(b"PAR1" + bytes(5000))
    return path


def absent(folder: Path) -> Path:
    return folder / "nowhere.parquet"


BAD_LOGS = (
    empty,
    header_only,
    truncated_gzip,
    missing_column,
    negative_values,
    absurd_values,
    other_format,
    cut_parquet,
    absent,
)


@pytest.mark.parametrize("make", BAD_LOGS, ids=lambda make: make.__name__)
def test_a_bad_log_is_one_line_and_no_model(train: Command, make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    models = tmp_path / "models"
    line = refused(train(path, models), path.name)
    assert nothing_in(models), line


def test_a_missing_column_is_named(train: Command, tmp_path: Path) -> None:
    refused(train(missing_column(tmp_path), tmp_path / "models"), "submit_time", "COLUMN_MISSING")


def test_a_few_bad_rows_are_counted_and_kept_with_their_reasons(train: Command, tmp_path: Path) -> None:
    path = tmp_path / "log.swf"
    # a job that ran for minus seven seconds on minus two processors
    path.write_text(swf(1500) + "9999 90060 5 -7 -2 -1 -1 -2 -60 -1 1 3 1 -1 1 1 -1 -1\n" * 3, encoding="utf-8")
    rejects = tmp_path / "rejects.csv"
    done = train(path, tmp_path / "models", "--rejects", str(rejects))
    assert done.returncode == 0, done.stderr
    assert "rows were refused" in done.stderr
    with rejects.open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) > 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for little."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_no_half_model(train: Command, log: Path, small_disk: Path) -> None:
    refused(train(log, small_disk / "models"), "DISK_FULL")
    assert nothing_in(small_disk / "models")


def test_a_full_disk_leaves_no_half_log(command: Command, small_disk: Path) -> None:
    refused(command("rt-predictor-synthesize", "--rows", "20000", "--out", small_disk / "log.parquet"))
    assert not list(small_disk.iterdir())


@pytest.fixture
def serve(command: Command, tmp_path: Path) -> Command:
    """Return what starts the API where it cannot start: ``serve(models, port=..., metrics_port=...)``."""

    def run(models: Path, **ports: int) -> subprocess.CompletedProcess[str]:
        port, metrics_port = (ports.get(name) or free_port() for name in ("port", "metrics_port"))
        places = (f"--models={models}", f"--history={tmp_path / 'history'}")
        return command("rt-predictor-api", *places, f"--port={port}", f"--metrics-port={metrics_port}")

    return run


@pytest.mark.parametrize("name", ["members/*.npz", "history.npz", "manifest.json"])
def test_a_flipped_byte_in_the_only_model_is_not_served(
    serve: Command, models: Path, tmp_path: Path, name: str
) -> None:
    copy = shutil.copytree(models, tmp_path / "models")
    path = next(copy.glob(f"*/{name}"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)
    refused(serve(copy), "NO_MODEL", path.parent.name)


def test_no_model_at_all_is_said_with_the_remedy(serve: Command, tmp_path: Path) -> None:
    refused(serve(tmp_path / "models"), "NO_MODEL", "rt-predictor-train")


@pytest.mark.parametrize("which", ["port", "metrics_port"])
def test_a_busy_port_is_named(serve: Command, models: Path, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = taken.getsockname()[1]
        refused(serve(models, **{which: busy}), "PORT_IN_USE", str(busy))
