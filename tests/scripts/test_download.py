"""Whatever the connection and the server do, the file is whole or not there, and no byte comes twice without need."""

from __future__ import annotations

import hashlib
import json
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from file_server import NAME, Files, Handler
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import Retry

import download as module
from download import Fetched, download
from partial import Partial, explained
from rt_predictor_formats.errors import Problem

AT_ONCE = Retry(total=3, backoff_factor=0)


class Listener:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[int, int | None]] = []

    def progress(self, done: int, total: int | None) -> None:
        self.steps.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


class Watching(Listener):
    def __init__(self, look: Callable[[int], object]) -> None:
        super().__init__()
        self._look = look

    def progress(self, done: int, _: int | None) -> None:
        self._look(done)


def fetch(url: str, target: Path, sha256: str = "", listener: Listener | None = None, timeout: float = 5) -> Fetched:
    return download(url, target, listener or Listener(), sha256=sha256, patience=AT_ONCE, timeout=timeout)


def code(call: Callable[[], object]) -> str:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.code


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / NAME


def test_a_file_comes_whole_with_its_size_and_checksum(files: Files, target: Path) -> None:
    listener = Listener()
    fetched = fetch(files.url, target, listener=listener)
    assert target.read_bytes() == files.content
    assert fetched == Fetched(100_000, 100_000, hashlib.sha256(files.content).hexdigest())
    assert listener.steps[-1] == (100_000, 100_000)
    assert names(target.parent) == [NAME]


@pytest.mark.parametrize("breaks", [[1], [50_000], [99_999], [0, 30_000, 0, 10, 0]])
def test_a_connection_that_breaks_goes_on_where_it_was(files: Files, target: Path, breaks: list[int]) -> None:
    files.breaks = list(breaks)
    assert fetch(files.url, target).received == 100_000
    assert target.read_bytes() == files.content
    assert files.sent == 100_000


def test_the_missing_bytes_alone_are_asked_for_and_of_the_same_version_alone(files: Files, target: Path) -> None:
    files.breaks = [50_000]
    fetch(files.url, target)
    assert [(seen.range, seen.if_range, seen.status) for seen in files.seen] == [
        (None, None, 200),
        ("bytes=50000-", '"one"', 206),
    ]


def test_another_run_goes_on_where_the_last_one_was(files: Files, target: Path) -> None:
    files.breaks = [40_000, 0, 0, 0, 0]
    assert code(lambda: fetch(files.url, target)) == "DOWNLOAD_BROKEN"
    assert not target.exists()
    assert fetch(files.url, target).received == 60_000
    assert target.read_bytes() == files.content
    assert files.sent == 100_000


def test_without_a_strong_tag_the_date_tells_versions_apart(files: Files, target: Path) -> None:
    files.etag, files.modified, files.breaks = 'W/"weak"', "Wed, 01 Mar 2023 10:00:00 GMT", [7]
    fetch(files.url, target)
    assert files.seen[1].if_range == files.modified
    assert files.sent == 100_000


def test_without_any_validator_it_starts_anew(files: Files, target: Path) -> None:
    files.etag, files.breaks = None, [7]
    fetch(files.url, target)
    assert [seen.range for seen in files.seen] == [None, None]
    assert target.read_bytes() == files.content


def test_a_server_that_sends_no_parts_is_read_from_the_beginning(files: Files, target: Path) -> None:
    files.ranges, files.breaks = False, [50_000]
    listener = Listener()
    assert fetch(files.url, target, listener=listener).received == 150_000
    assert target.read_bytes() == files.content
    assert any("starting anew" in note for note in listener.notes)


def test_a_server_that_sends_no_parts_and_always_breaks_off_is_given_up(files: Files, target: Path) -> None:
    files.ranges, files.breaks = False, [50_000] * 99
    assert code(lambda: fetch(files.url, target)) == "DOWNLOAD_BROKEN"
    assert len(files.seen) == 1 + 3


def test_a_file_that_changes_between_two_tries_is_read_from_the_beginning(files: Files, target: Path) -> None:
    new = b"new" * 30_000
    files.breaks, files.swap = [50_000], new
    fetch(files.url, target)
    assert target.read_bytes() == new
    assert files.statuses_seen == [200, 200]


def test_a_part_of_a_changed_file_is_not_appended(files: Files, target: Path) -> None:
    # as servers do that do not know If-Range
    with Partial(target) as partial:
        partial.restart(files.url, '"older"')
        partial.write(b"x" * 10)
    files.modified = '"older"'
    assert fetch(files.url, target).size == 100_000
    assert target.read_bytes() == files.content
    assert files.statuses_seen == [206, 200]


def test_a_part_that_begins_elsewhere_is_not_appended(files: Files, target: Path) -> None:
    files.breaks, files.shift = [50_000], 5
    fetch(files.url, target)
    assert files.statuses_seen == [200, 206, 200]
    assert target.read_bytes() == files.content


def test_all_bytes_without_their_final_name_are_not_fetched_again(files: Files, target: Path) -> None:
    with Partial(target) as partial:
        partial.restart(files.url, '"one"')
        partial.write(files.content)
    assert fetch(files.url, target).received == 0
    assert files.statuses_seen == [416]
    assert target.read_bytes() == files.content


class Interrupting(bytes):
    """What Ctrl-C comes upon once it is written."""

    def __len__(self) -> int:
        raise KeyboardInterrupt


def test_an_interrupt_between_a_write_and_its_count_keeps_what_came(files: Files, target: Path) -> None:
    with suppress(KeyboardInterrupt), Partial(target) as partial:
        partial.restart(files.url, '"one"')
        partial.write(Interrupting(files.content[:10]))
        pytest.fail("no interrupt came")
    assert fetch(files.url, target).received == len(files.content) - 10
    assert target.read_bytes() == files.content


def test_more_bytes_than_the_file_has_are_thrown_away(files: Files, target: Path) -> None:
    with Partial(target) as partial:
        partial.restart(files.url, '"one"')
        partial.write(files.content + b"more")
    fetch(files.url, target)
    assert files.statuses_seen == [416, 200]
    assert target.read_bytes() == files.content


@pytest.mark.parametrize(
    "origin", ["", "[]", "{}", '{"url": 1, "validator": 2}', '{"url": "http://b/", "validator": "x"}']
)
def test_unfinished_bytes_of_unknown_origin_are_thrown_away(files: Files, target: Path, origin: str) -> None:
    target.parent.mkdir()
    target.with_name(f"{NAME}.part").write_bytes(b"what?")
    target.with_name(f"{NAME}.part.json").write_text(origin, encoding="utf-8")
    fetch(files.url, target)
    assert target.read_bytes() == files.content
    assert names(target.parent) == [NAME]


def test_a_server_that_does_not_say_the_length_is_believed(files: Files, target: Path) -> None:
    files.silent = True
    listener = Listener()
    fetch(files.url, target, listener=listener)
    assert target.read_bytes() == files.content
    assert listener.steps[-1] == (100_000, None)


def test_an_address_that_leads_elsewhere_is_followed_with_its_range(files: Files, target: Path) -> None:
    files.moved, files.breaks = True, [123]
    fetch(files.url, target)
    assert target.read_bytes() == files.content
    assert files.statuses_seen == [302, 200, 302, 206]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_in_trouble_is_asked_again(files: Files, target: Path, status: int) -> None:
    files.statuses = [status, status]
    fetch(files.url, target)
    assert files.statuses_seen == [status, status, 200]


def test_a_server_that_says_when_is_not_asked_before(files: Files, target: Path) -> None:
    files.statuses, files.retry_after = [503], "1"
    begin = time.monotonic()
    fetch(files.url, target)
    assert time.monotonic() - begin >= 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [(404, "ADDRESS_GONE"), (410, "ADDRESS_GONE"), (403, "ADDRESS_REFUSED"), (500, "DOWNLOAD_BROKEN")],
)
def test_a_refusal_is_told_and_leaves_nothing_behind(files: Files, target: Path, status: int, expected: str) -> None:
    files.statuses = [status] * 9
    assert code(lambda: fetch(files.url, target)) == expected
    assert names(target.parent) == []


def test_a_web_page_is_not_taken_for_the_file(files: Files, target: Path) -> None:
    files.kind = "text/html; charset=utf-8"
    assert code(lambda: fetch(files.url, target)) == "NOT_A_FILE"
    assert names(target.parent) == []


def test_a_wrong_checksum_removes_what_came(files: Files, target: Path) -> None:
    assert code(lambda: fetch(files.url, target, "0" * 64)) == "CHECKSUM_WRONG"
    assert names(target.parent) == []


def test_a_right_checksum_is_right_in_either_case(files: Files, target: Path) -> None:
    fetch(files.url, target, hashlib.sha256(files.content).hexdigest().upper())
    assert target.is_file()


def test_a_machine_without_the_server_is_told_at_once(target: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    begin = time.monotonic()
    patient = Retry(total=8, backoff_factor=0.1)
    assert (
        code(lambda: download(f"http://127.0.0.1:{port}/x", target, Listener(), patience=patient)) == "DOWNLOAD_BROKEN"
    )
    assert time.monotonic() - begin < 5


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(target: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        assert code(lambda: fetch(url, target, timeout=0.05)) == "DOWNLOAD_BROKEN"


@pytest.mark.parametrize("url", ["eagle", "ftp://host/file", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(target: Path, url: str) -> None:
    assert code(lambda: fetch(url, target)) == "ADDRESS_INVALID"


def test_a_file_that_does_not_fit_is_refused_before_it_is_loaded(
    files: Files, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = module.shutil.disk_usage(target.parent.parent)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=99_999))
    listener = Listener()
    assert code(lambda: fetch(files.url, target, listener=listener)) == "DISK_FULL"
    assert listener.steps == []


def test_a_disk_that_fills_up_is_told() -> None:
    # a device that is always full stands in for the unfinished file
    target = Path("/dev/full")
    if not target.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(Problem) as caught, explained(target), target.open("wb", buffering=0) as file:
        file.write(b"x")
    assert caught.value.code == "DISK_FULL"


def test_a_folder_that_cannot_be_made_is_told(files: Files, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    assert code(lambda: fetch(files.url, tmp_path / "data" / NAME)) == "NOT_WRITABLE"


def test_two_downloads_of_one_file_do_not_meet(files: Files, target: Path) -> None:
    with Partial(target) as partial:
        partial.restart(files.url, '"one"')
        partial.write(b"x")
        assert code(lambda: fetch(files.url, target)) == "DOWNLOAD_RUNS"
    assert files.seen == []


def test_the_final_name_appears_with_all_bytes_only(files: Files, target: Path) -> None:
    there: set[bool] = set()
    files.breaks = [20_000] * 4
    fetch(files.url, target, listener=Watching(lambda _: there.add(target.exists())))
    assert there == {False}
    assert target.stat().st_size == 100_000


def test_an_interruption_keeps_what_came(files: Files, target: Path) -> None:
    def interrupted(done: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(files.url, target, listener=Watching(interrupted))
    kept = target.with_name(f"{NAME}.part").stat().st_size
    assert kept > 0
    assert json.loads(target.with_name(f"{NAME}.part.json").read_text(encoding="utf-8"))["validator"] == '"one"'
    assert fetch(files.url, target).received == 100_000 - kept


@given(content=st.binary(max_size=3_000), breaks=st.lists(st.integers(0, 1_000), max_size=12))
def test_any_content_comes_whole_and_no_byte_twice(address: str, content: bytes, breaks: list[int]) -> None:
    files = Handler.now = Files(content=content, breaks=list(breaks), url=address)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / NAME
        # a run gives up after some breaks without a byte; the next one goes on
        while not target.exists():
            with suppress(Problem):
                fetch(address, target)
        assert target.read_bytes() == content
        assert names(target.parent) == [NAME]
    assert files.sent == len(content)
