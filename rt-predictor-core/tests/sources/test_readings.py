"""What each source makes of its fields: units, unknown values, local times, odd lines."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rt_predictor_core.schema import SCHEMA
from rt_predictor_core.sources import Log, open_log
from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sacct import XDMOD_FIELDS

EAGLE = "user,wallclock_req,nodes_req,submit_time,start_time,end_time,run_time,state,name"


def read(path: Path, text: str, **options: object) -> tuple[list[dict[str, object]], Log]:
    path.write_text(text)
    log = open_log([path], **options)  # type: ignore[arg-type]
    return pa.Table.from_batches(list(log), SCHEMA).to_pylist(), log


def eagle_row(times: Sequence[str], run: str = "600", state: str = "COMPLETED", name: str = "n") -> str:
    return ",".join(["ada", "3600", "1", *times, run, state, name])


DAY = ("2019-01-01 08:00:00", "2019-01-01 09:00:00", "2019-01-01 09:10:00")


@pytest.mark.parametrize(
    ("good", "bad", "column", "rule"),
    [
        (",3600,", ",-5,", "wallclock_req", "below_minimum"),
        (",3600,", ",1e99,", "wallclock_req", "above_maximum"),
        (",3600,", ",soon,", "wallclock_req", "unreadable"),
        (",600,", ",inf,", "run_time", "above_maximum"),
        (",600,", ",99999,", "run_time", "run_time_above_span"),
        ("2019-01-01 08:00:00", "", "submit_time", "required"),
        ("2019-01-01 08:00:00", "2150-01-01 08:00:00", "submit_time", "above_maximum"),
        ("2019-01-01 08:00:00", "2019-01-01 09:30:00", "start_time", "start_before_submit"),
        ("2019-01-01 09:10:00", "2019-01-01 08:50:00", "end_time", "end_before_start"),
        ("COMPLETED", "EXPLODED", "state", "unknown_state"),
    ],
)
def test_a_broken_rule_is_written_with_line_column_rule_and_value(
    good: str, bad: str, column: str, rule: str, tmp_path: Path
) -> None:
    rows = [eagle_row(DAY) for _ in range(5)]
    rows[2] = rows[2].replace(good, bad, 1)
    out = tmp_path / "rejects.csv"
    kept, log = read(tmp_path / "a.csv", "\n".join([EAGLE, *rows]), rejects=out, chunk_rows=2)
    assert (len(kept), log.rows_rejected, log.rows_read) == (4, 1, 5)
    (reject,) = csv.DictReader(out.read_text().splitlines())
    assert (reject["line"], reject["column"], reject["rule"]) == ("4", column, rule)
    assert reject["raw"] == rows[2]
    assert f"a.csv:4 {column} {rule}" in log.rejects.summary(log.rows_read)
    assert not list(tmp_path.glob(".*.part"))


def test_an_unclosed_quote_and_a_ragged_row_cost_their_own_lines_alone(tmp_path: Path) -> None:
    rows = [eagle_row(DAY, name=f"n{i}") for i in range(40)]
    rows[7] = eagle_row(DAY, name='"never closed')
    rows[20] += ",more"
    rows[30] = eagle_row(DAY, name='"a, b"')
    out = tmp_path / "rejects.csv"
    kept, _ = read(tmp_path / "a.csv", "\n".join([EAGLE, *rows, "", ""]), rejects=out)
    names = [job["name"] for job in kept]
    assert names[30 - 1] == "a, b"
    assert [n for n in names if n not in ("a, b", "never closed")] == [
        f"n{i}" for i in range(40) if i not in (7, 20, 30)
    ]
    assert "22" in [row["line"] for row in csv.DictReader(out.read_text().splitlines())]


def test_a_time_shown_twice_by_the_clocks_is_the_one_that_fits_the_run_time(tmp_path: Path) -> None:
    # clocks in Denver went from 02:00 back to 01:00 on 2019-11-03
    short = eagle_row(("2019-11-03 00:30:00", "2019-11-03 01:50:00", "2019-11-03 01:10:00"), run="1200")
    long = eagle_row(("2019-11-03 00:30:00", "2019-11-03 01:00:00", "2019-11-03 01:30:00"), run="5400")
    plain = eagle_row(("2019-11-03 00:30:00", "2019-11-03 01:00:00", "2019-11-03 01:30:00"), run="1800")
    kept, log = read(tmp_path / "a.csv", f"{EAGLE}\n{short}\n{long}\n{plain}", timezone="America/Denver")
    spans = [(job["end_time"] - job["start_time"]).total_seconds() for job in kept]  # type: ignore[operator]
    assert spans == [1200, 5400, 1800]
    assert "times without a zone were read as America/Denver" in log.notes


def test_a_time_that_the_clocks_skip_is_rejected(tmp_path: Path) -> None:
    skipped = eagle_row(("2019-03-10 02:30:00", "2019-03-10 04:00:00", "2019-03-10 04:10:00"))
    _, log = read(tmp_path / "a.csv", "\n".join([EAGLE, eagle_row(DAY), skipped]), timezone="America/Denver")
    assert log.rejects.counts == {("submit_time", "skipped_by_clock_change"): 1}


def test_times_may_carry_a_zone_or_be_seconds(tmp_path: Path) -> None:
    forms = ["2019-01-01T08:00:00Z", "2019-01-01 09:00:00.25+01:00", "1546329600", "2019-01-01 08:00"]
    rows = [eagle_row((form, "", "")) for form in forms]
    kept, _ = read(tmp_path / "a.csv", "\n".join([EAGLE, *rows]))
    assert {job["submit_time"].timestamp() for job in kept} == {1_546_329_600}  # type: ignore[attr-defined]


def test_a_request_of_zero_is_none_and_a_running_job_has_no_run_time(tmp_path: Path) -> None:
    row = eagle_row(DAY, state="RUNNING").replace(",3600,1,", ",0,0,")
    kept, log = read(tmp_path / "a.csv", "\n".join([EAGLE, row, eagle_row(DAY)]))
    assert [kept[0][name] for name in ("wallclock_req", "nodes_req", "run_time", "end_time")] == [None] * 4
    assert "wallclock_req of 0 was read as not given (1 of 2 rows)" in log.notes


def test_swf_fields_become_canonical_ones(tmp_path: Path) -> None:
    known = "7 10 5.5 60.5 8 -1 -1 4 600 2048 1 12 3 9 2 -1 -1 -1"
    unknown = "8 20 -1 -1 8 -1 -1 -1 -1 -1 5 -1 -1 -1 2 1 -1 -1"
    partial = "9 30 0 0 -1 -1 -1 -1 -1 -1 3 -1 -1 -1 -1 -1 -1 -1"
    kept, log = read(tmp_path / "a.swf", f"; UnixStartTime: 1000\n{known}\n{unknown}\n\n{partial}")
    assert log.notes == [
        "no wait time: start taken as submission (1 of 3 rows)",
        "no requested processors: the allocated ones taken (1 of 3 rows)",
    ]
    first, second, third = kept
    assert {name: first[name] for name in ("job_id", "user", "account", "partition", "qos", "name", "state")} == {
        "job_id": "7", "user": "user12", "account": "group3", "partition": "queue2", "qos": None, "name": "exe9",
        "state": "COMPLETED",
    }  # fmt: skip
    assert [first[name].timestamp() for name in ("submit_time", "start_time", "end_time")] == [1010, 1015, 1076]  # type: ignore[attr-defined]
    assert (first["processors_req"], first["mem_req"], first["run_time"]) == (4, 8.0, 60.5)
    assert (second["partition"], second["qos"], second["processors_req"]) == ("partition1", "queue2", 8)
    assert (second["state"], second["run_time"], second["end_time"]) == ("CANCELLED", None, None)
    assert (third["state"], third["run_time"]) == (None, 0.0)


def test_swf_rows_of_17_or_19_columns_are_rejected_with_their_lines(tmp_path: Path) -> None:
    row = "7 10 5 60 8 -1 -1 4 600 -1 1 12 3 9 2 -1 -1 -1"
    lines = ["; UnixStartTime: 1000", row, row + " 4", row[:-3], row]
    out = tmp_path / "rejects.csv"
    kept, _ = read(tmp_path / "a.swf", "\n".join(lines), rejects=out)
    assert len(kept) == 2
    assert [(row["line"], row["rule"]) for row in csv.DictReader(out.read_text().splitlines())] == [
        ("3", "columns"),
        ("4", "columns"),
    ]


def sacct_row(**fields: str) -> str:
    row = {"jobid": "1", "user": "ada", "submit": "2024-01-01T00:00:00", "start": "2024-01-01T01:00:00"}
    row |= {"end": "2024-01-01T03:00:00", "elapsed": "01:30:00", "state": "CANCELLED by 7", "nnodes": "2"}
    row |= {"reqcpus": "8", "reqmem": "4Gn", "reqtres": "cpu=8,mem=8G,gres/gpu=2", "timelimit": "1-00:00:00"}
    return "|".join((row | {"jobname": "a|b"} | fields).get(name, "") for name in XDMOD_FIELDS)


def test_an_swf_header_says_how_large_the_machine_is(tmp_path: Path) -> None:
    job = "1 0 5 60 4 -1 -1 4 600 -1 1 7 1 2 1 -1 -1 -1\n"
    headers = {"none": "", "both": "; MaxNodes: 60\n; MaxProcs: 240\n", "nodes": "; MaxProcs: -1\n;MaxNodes: 60\n"}
    logs = {name: tmp_path / f"{name}.swf" for name in headers}
    for name, header in headers.items():
        logs[name].write_text(f"; Version: 2.2\n{header}{job}; MaxProcs: 7\n{job}", encoding="utf-8")
    assert {name: open_log([path]).processors for name, path in logs.items()} == {
        "none": None,
        "both": 240,
        "nodes": 60,
    }
    assert open_log(logs.values()).processors == 240


def test_an_xdmod_export_is_read_without_a_header(tmp_path: Path) -> None:
    rows = [sacct_row(), sacct_row(jobid="1.batch"), sacct_row(timelimit="UNLIMITED"), sacct_row(state="MELTED")]
    kept, log = read(tmp_path / "a.txt", "\n".join(rows))
    assert (log.format, log.rows_read, log.rejects.counts) == ("sacct", 3, {("state", "unknown_state"): 1})
    assert "job steps were left out (1 of 3 rows)" in log.notes
    job = kept[0]
    assert (job["name"], job["state"], job["run_time"]) == ("a|b", "CANCELLED", 5400.0)
    assert [job[name] for name in ("nodes_req", "processors_req", "gpus_req", "mem_req", "wallclock_req")] == [
        2, 8, 2, 8192, 86_400,
    ]  # fmt: skip
    assert kept[1]["wallclock_req"] is None


def test_a_sacct_table_is_read_like_its_text(tmp_path: Path) -> None:
    names = ("JobID", "User", "Submit", "Start", "End", "State", "NNodes", "ReqCPUS", "Timelimit")
    cells = ("5", "ada", "1704067200", "1704070800", "1704074400", "TIMEOUT", "1", "4", "01:00:00")
    text, _ = read(tmp_path / "a.txt", "|".join(names) + "\n" + "|".join(cells))
    plain, _ = read(tmp_path / "a.csv", ",".join(names) + "\n" + ",".join(cells))
    pq.write_table(pa.table({name.lower(): [cell] for name, cell in zip(names, cells, strict=True)}), tmp_path / "a.pq")
    parquet = pa.Table.from_batches(list(open_log([tmp_path / "a.pq"]))).to_pylist()
    assert text == plain == parquet
    assert text[0]["run_time"] == 3600.0


def test_a_cut_parquet_file_and_an_unwritable_rejects_file_are_named(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table({"user": ["a"] * 999, "submit_time": [1] * 999, "run_time": [5.0] * 999}), whole)
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(Problem) as caught:
        open_log([tmp_path / "cut.parquet"])
    assert caught.value.code == "LOG_DAMAGED"
    with pytest.raises(Problem) as caught:
        list(open_log([whole], rejects=tmp_path / "no" / "rejects.csv"))
    assert caught.value.code == "REJECTS_UNWRITABLE"


def test_files_are_read_in_order_and_a_second_reading_starts_anew(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.csv").write_text("\n".join([EAGLE, eagle_row(DAY, name=name)]))
    log = open_log([tmp_path])
    for _ in range(2):
        assert [batch["name"][0].as_py() for batch in log] == ["a", "b"]
        assert (log.rows_read, log.bytes_read) == (2, log.bytes_total)
