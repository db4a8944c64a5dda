"""The command that downloads the Eagle data, as a person runs it, against a server of this machine."""

from __future__ import annotations

import hashlib
import re
import signal
import subprocess
import sys
from pathlib import Path

import get_eagle
import pytest
from click.testing import CliRunner, Result
from file_server import NAME, Files

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/get_eagle.py"


def command(url: str, folder: Path) -> list[str]:
    return [sys.executable, str(SCRIPT), "--url", url, "--to", str(folder)]


def run(url: str, folder: Path, *options: str) -> Result:
    return CliRunner().invoke(get_eagle.main, ["--url", url, "--to", str(folder), *options])


def digest(files: Files) -> str:
    return hashlib.sha256(files.content).hexdigest()


def test_it_resumes_tells_size_and_checksum_and_what_is_next(files: Files, tmp_path: Path) -> None:
    files.breaks = [30_000, 20_000]
    done = subprocess.run(command(files.url, tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / NAME).read_bytes() == files.content
    assert files.sent == 100_000
    assert f"100,000 bytes, sha256 {digest(files)}, and nothing to compare it with" in done.stdout
    assert f"./quickstart.sh --data {tmp_path / NAME}" in done.stdout
    assert len(re.findall(r"^note: ", done.stderr, re.MULTILINE)) == 2


def test_the_checksum_stays_beside_the_file_as_sha256sum_reads_it(files: Files, tmp_path: Path) -> None:
    run(files.url, tmp_path)
    assert (tmp_path / f"{NAME}.sha256").read_text(encoding="utf-8") == f"{digest(files)}  {NAME}\n"


def test_a_second_run_downloads_nothing_and_says_so(files: Files, tmp_path: Path) -> None:
    run(files.url, tmp_path)
    files.seen.clear()
    again = run(files.url, tmp_path)
    assert again.exit_code == 0
    assert "is there already, nothing was downloaded" in again.stdout
    assert "as it should be" in again.stdout
    assert files.seen == []


def test_a_file_that_changed_since_is_told_and_left_alone(files: Files, tmp_path: Path) -> None:
    run(files.url, tmp_path)
    (tmp_path / NAME).write_bytes(b"rotten")
    again = run(files.url, tmp_path)
    assert again.exit_code == 1
    assert re.fullmatch(r"error: .*\[CHECKSUM_DIFFERS\]\n", again.stderr)
    assert (tmp_path / NAME).read_bytes() == b"rotten"


def test_a_server_that_gives_another_file_than_an_earlier_run_got_is_refused(files: Files, tmp_path: Path) -> None:
    run(files.url, tmp_path)
    (tmp_path / NAME).unlink()
    files.content = b"another"
    again = run(files.url, tmp_path)
    assert "[CHECKSUM_WRONG]" in again.stderr
    assert not (tmp_path / NAME).exists()
    assert run(files.url, tmp_path, "--sha256", digest(files)).exit_code == 0


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--sha256", "0" * 64), 1, "[CHECKSUM_WRONG]"),
        (("--sha256", "abc"), 2, "not 64 hexadecimal digits"),
        (("--url", "https://example.org/"), 1, "[ADDRESS_INVALID]"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    files: Files, tmp_path: Path, options: tuple[str, ...], status: int, said: str
) -> None:
    done = run(files.url, tmp_path, *options)
    assert done.exit_code == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_what_came_and_the_next_run_goes_on(files: Files, tmp_path: Path) -> None:
    files.hold = 60_000
    part = tmp_path / f"{NAME}.part"
    with subprocess.Popen(command(files.url, tmp_path), stderr=subprocess.PIPE, text=True) as process:
        while not (part.exists() and part.stat().st_size > 0):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    files.go.set()
    assert process.returncode == 130
    assert said == "stopped; what came is kept, and the same command goes on from there\n"
    kept = part.stat().st_size
    files.hold = None
    assert f": {100_000 - kept:,} bytes were downloaded" in run(files.url, tmp_path).stdout
    assert (tmp_path / NAME).read_bytes() == files.content


def test_the_documented_address_has_a_known_checksum_and_another_one_has_none(tmp_path: Path) -> None:
    known = get_eagle.sums(get_eagle.KNOWN)
    assert set(known) == {NAME, "eagle_data.csv.bz2"}
    assert get_eagle.expected(get_eagle.EAGLE, tmp_path / NAME) == known[NAME]
    assert get_eagle.expected(f"https://example.org/{NAME}", tmp_path / NAME) == ""


def test_the_documents_name_the_address_and_the_page() -> None:
    text = (ROOT / "docs/how-to/get-the-eagle-data.md").read_text(encoding="utf-8")
    assert get_eagle.EAGLE in text
    assert get_eagle.PAGE in text
