from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_client.columns import meanings, to_job
from rt_predictor_client.rows import RESULT_COLUMNS, open_table
from rt_predictor_formats.errors import Problem

HEADER = "user,time,nodes_req,submit_time,note\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "in.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_row_comes_back_in_order_with_its_own_columns(rtp: Any, peer: Any, tmp_path: Path, rows_of: Any) -> None:
    lines = [f'u{i},{i + 1},1,{1000 + i},"n,{i}"' for i in range(600)]
    target = tmp_path / "out.csv"
    ran = rtp("batch", written(tmp_path, HEADER + "\n".join(lines)), "-o", target, "--risk", "0.1")
    assert (ran.status, ran.out, ran.err) == (0, "", "")
    rows = rows_of(target)
    assert list(rows[0]) == ["user", "time", "nodes_req", "submit_time", "note", *RESULT_COLUMNS]
    assert [(row["user"], row["note"], float(row["median_seconds"])) for row in rows] == [
        (f"u{i}", f"n,{i}", (i + 1) * 30) for i in range(600)
    ]
    assert [len(request.jobs) for request in peer.requests] == [250, 250, 100]
    assert peer.requests[2].jobs[0].submit_time.seconds == 1500
    assert (rows[0]["recommended_time"], rows[0]["most_likely_seconds"]) == ("00:01:00", "15.0")


def test_a_bad_row_has_its_error_and_six(rtp: Any, tmp_path: Path, rows_of: Any) -> None:
    text = HEADER + "a,soon,1,,\nb,60,2000000,,\nc,60\nd,60,1,2024-07-01T10:00:00,\ne,60,one,,\n\nf,,1,,x\n"
    target = tmp_path / "out.csv"
    ran = rtp("batch", written(tmp_path, text), "-o", target)
    assert (ran.status, ran.err.split(" rows")[0]) == (6, "4 of 6")
    rows = rows_of(target)
    assert [row["user"] for row in rows] == ["a", "b", "", "d", "e", "f"]
    errors = [row["error"] for row in rows]
    assert "time: 'soon' is no duration" in errors[0]
    assert errors[1] == "nodes_req: must be at most 1000000"
    assert "2 fields, 5 expected" in errors[2]
    assert "nodes_req: 'one' is not accepted" in errors[4]
    assert errors[3] == errors[5] == ""
    assert rows[0]["median_seconds"] == ""


def test_a_batch_may_be_batched_again(rtp: Any, tmp_path: Path, rows_of: Any) -> None:
    path = written(tmp_path, HEADER + "a,60,1,,\n")
    rtp("batch", path, "-o", path)
    once = path.read_text()
    assert rtp("batch", path, "-o", path).status == 0
    assert path.read_text() == once
    assert len(rows_of(path)) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "CSV_EMPTY"),
        (HEADER, "CSV_EMPTY"),
        ("colour,size\nred,1\n", "COLUMN_MISSING"),
        ("user,user\na,b\n", "COLUMN_DOUBLE"),
        ('user\n"open\n', "CSV_INVALID"),
    ],
)
def test_an_unusable_file_is_one_line_and_four(rtp: Any, peer: Any, tmp_path: Path, text: str, code: Any) -> None:
    target = tmp_path / "out.csv"
    source = written(tmp_path, text)
    ran = rtp("batch", source, "-o", target)
    assert (ran.status, ran.err.count("\n"), peer.calls) == (4, 1, {})
    assert f"[{code}]" in ran.err
    assert str(source) in ran.err
    assert sorted(tmp_path.glob("*.csv")) == [source]


def test_bytes_that_are_no_text_are_four(rtp: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"user\n\xff\xfe\n")
    assert "[CSV_INVALID]" in rtp("batch", path, "-o", tmp_path / "out.csv").err


def test_a_failure_half_way_leaves_the_old_output_and_nothing_else(rtp: Any, peer: Any, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old\n")
    source = written(tmp_path, HEADER + "a,60,1,,\n" * 1000)
    peer.refuse(code_pb2.DEADLINE_EXCEEDED)
    peer.fail_from_message = 2
    assert rtp("batch", source, "-o", target).status == 3
    assert target.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in.csv", "out.csv"]


def test_nobody_at_the_address_leaves_nothing(rtp: Any, tmp_path: Path) -> None:
    source = written(tmp_path, HEADER + "a,60,1,,\n")
    assert rtp("--address", "127.0.0.1:1", "batch", source, "-o", tmp_path / "out.csv").status == 3
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["in.csv"]


def test_a_full_disk_is_told(rtp: Any, tmp_path: Path) -> None:
    source = written(tmp_path, HEADER + "a,60,1,,\n")
    ran = rtp("batch", source, "-o", tmp_path / "nonesuch" / "out.csv")
    assert (ran.status, "[OUTPUT_UNWRITABLE]" in ran.err) == (4, True)


def test_a_missing_input_is_told(rtp: Any, tmp_path: Path) -> None:
    ran = rtp("batch", tmp_path / "nonesuch.csv", "-o", tmp_path / "out.csv")
    assert (ran.status, "[CSV_UNREADABLE]" in ran.err) == (4, True)


def by_own_name(*names: str) -> dict[str, str]:
    return {name: name for name in names}


@given(st.integers(1, 366 * 24 * 60))
def test_minutes_of_time_are_seconds_of_wallclock(minutes: int) -> None:
    assert to_job({"time": f" {minutes} "}, by_own_name("time")) == {"wallclock_req": minutes * 60}


def test_wallclock_beats_time_and_empty_cells_are_unknown() -> None:
    row = {"time": "5", "wallclock_req": "60", "user": " "}
    assert to_job(row, by_own_name(*row)) == {"wallclock_req": "60"}


def test_columns_of_sacct_are_read_as_sacct_writes_them() -> None:
    row = {
        "JobIDRaw": "7",
        "User": "ada",
        "Timelimit": "1-00:00:00",
        "NNodes": "2",
        "ReqCPUS": "1K",
        "ReqMem": "4Gn",
        "ReqTRES": "cpu=4,gres/gpu=8",
        "JobName": "relax",
        "Submit": "Unknown",
        "State": "PENDING",
    }
    assert to_job(row, meanings(list(row), "x")) == {
        "job_id": "7",
        "user": "ada",
        "wallclock_req": 86_400,
        "nodes_req": 2.0,
        "processors_req": 1024.0,
        "gpus_req": 8,
        "mem_req": 8192.0,
        "name": "relax",
    }


def test_columns_of_swf_are_read_as_training_reads_that_format() -> None:
    row = {
        "Job Number": "9",
        "User ID": "17",
        "Group ID": "-1",
        "Executable (Application) Number": "5",
        "Requested Time": "-1",
        "Requested Number of Processors": "4",
        "Requested Memory": "2048",
        "Queue Number": "2",
        "Partition Number": "-1",
    }
    by = meanings(list(row), "x")
    job = {"job_id": "9", "user": "user17", "name": "exe5", "processors_req": "4", "mem_req": 8.0}
    assert to_job(row, by) == {**job, "partition": "queue2"}
    assert to_job({**row, "Partition Number": "1"}, by) == {**job, "partition": "partition1", "qos": "queue2"}


def test_of_two_columns_for_one_meaning_the_exact_name_counts() -> None:
    assert meanings(["JobName", "User", "user", "NAME"], "x") == {"user": "user", "name": "NAME"}


def test_a_bad_cell_is_named_by_its_own_column() -> None:
    with pytest.raises(Problem) as caught:
        to_job({"ReqMem": "much"}, {"reqmem": "ReqMem"})
    assert (caught.value.code, caught.value.place) == ("MEMORY_INVALID", "ReqMem")


@pytest.mark.parametrize("mark", list(",;|\t"))
def test_cells_may_be_parted_as_others_part_them(mark: str) -> None:
    header, rows = open_table(StringIO(f"user{mark}time\nada{mark}60\n"), "x")
    assert (header, list(rows)) == (["user", "time"], [{"user": "ada", "time": "60"}])


def test_a_file_of_sacct_comes_back_with_forecasts(rtp: Any, tmp_path: Path, rows_of: Any) -> None:
    target = tmp_path / "out.csv"
    source = written(tmp_path, "JobID|User|Timelimit|JobName\n1|ada|01:00:00|relax\n")
    assert rtp("batch", source, "-o", target).status == 0
    assert [(row["User"], row["median_seconds"]) for row in rows_of(target)] == [("ada", "1800.0")]
