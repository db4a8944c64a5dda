from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sacct import (
    EXPORT_COMMAND,
    FIELDS,
    XDMOD_FIELDS,
    is_step,
    parse_header,
    parse_state,
    parse_time,
    split_row,
    to_job,
)

HEADER = "|".join(FIELDS)
ROW = (
    "123_4|alpine|short|normal|physics|ada|1700000000|1700000100|1700003700|COMPLETED|2|72|4000Mc|"
    "cpu=72,mem=288000M,node=2,gres/gpu=4|1-00:00:00|/home/ada|odd|name"
)


def job(row: str = ROW) -> dict[str, object]:
    fields = parse_header(HEADER)
    assert fields is not None
    return dict(to_job(split_row(row, fields), UTC))


def test_a_row_becomes_a_canonical_job() -> None:
    assert job() == {
        "job_id": "123_4",
        "user": "ada",
        "account": "physics",
        "partition": "short",
        "qos": "normal",
        "wallclock_req": 86_400,
        "nodes_req": 2,
        "processors_req": 72,
        "gpus_req": 4,
        "mem_req": 288_000,
        "submit_time": 1_700_000_000,
        "start_time": 1_700_000_100,
        "end_time": 1_700_003_700,
        "run_time": 3600.0,
        "state": "COMPLETED",
        "name": "odd|name",
        "work_dir": "/home/ada",
        "submit_line": None,
    }


def test_a_bar_at_the_end_of_the_row_is_no_field() -> None:
    row = "1|2024-01-01T00:00:00|x|"
    assert split_row(row, ("jobid", "submit", "state"))["state"] == "x"


def test_the_export_asks_for_our_fields_in_utc_with_the_name_last() -> None:
    assert EXPORT_COMMAND.startswith("TZ=UTC SLURM_TIME_FORMAT=%s sacct ")
    assert EXPORT_COMMAND.endswith(",".join(FIELDS))
    assert FIELDS[-1] == "JobName"


@pytest.mark.parametrize("line", [HEADER, HEADER + "|", "\ufeff" + HEADER + "\r\n", HEADER.upper()])
def test_a_header_is_known_by_its_names(line: str) -> None:
    assert parse_header(line) == tuple(name.lower() for name in FIELDS)


def test_a_row_is_no_header() -> None:
    assert parse_header(ROW) is None


def test_a_row_without_a_header_is_read_in_the_order_of_xdmod() -> None:
    cells = dict.fromkeys(XDMOD_FIELDS, "")
    cells |= {"jobid": "7", "submit": "2024-01-01T00:00:00", "state": "CANCELLED by 5", "ncpus": "2K", "jobname": "a|b"}
    cells |= {"start": "None", "end": "2024-01-01T00:05:00", "timelimit": "Partition_Limit", "reqmem": "0n"}
    found = to_job(split_row("|".join(cells.values()), XDMOD_FIELDS))
    expected = {"job_id": "7", "submit_time": 1_704_067_200, "end_time": 1_704_067_500, "state": "CANCELLED"}
    expected |= {"processors_req": 2048.0, "name": "a|b"}
    assert {name: value for name, value in found.items() if value is not None} == expected


def test_a_short_row_is_a_problem() -> None:
    with pytest.raises(Problem, match="2 fields"):
        split_row("1|2", ("jobid", "submit", "state"))


@pytest.mark.parametrize(
    ("good", "bad", "field", "code"),
    [
        ("1-00:00:00", "soon", "timelimit", "DURATION_INVALID"),
        ("4000Mc", "lots", "reqmem", "MEMORY_INVALID"),
        ("|2|72|", "|two|72|", "nnodes", "COUNT_INVALID"),
        ("|2|72|", f"|2|{'9' * 400}|", "reqcpus", "COUNT_INVALID"),
        ("1700000100", "yesterday", "start", "TIME_INVALID"),
        ("1700003700", "9" * 5000, "end", "TIME_INVALID"),
    ],
)
def test_a_bad_cell_is_named_by_its_field(good: str, bad: str, field: str, code: str) -> None:
    with pytest.raises(Problem) as caught:
        job(ROW.replace(good, bad))
    assert (caught.value.place, caught.value.code) == (field, code)


def test_a_job_that_has_not_ended_has_no_run_time() -> None:
    running = job(ROW.replace("1700003700|COMPLETED", "Unknown|RUNNING"))
    assert (running["end_time"], running["run_time"], running["state"]) == (None, None, "RUNNING")


def test_gpus_are_unknown_where_the_resources_are_and_none_where_they_name_none() -> None:
    assert job(ROW.replace("cpu=72,mem=288000M,node=2,gres/gpu=4", ""))["gpus_req"] is None
    assert job(ROW.replace(",gres/gpu=4", ""))["gpus_req"] == 0


@pytest.mark.parametrize(("text", "count"), [("36", 36), ("2K", 2048), ("1.50K", 1536), ("", None), ("0", None)])
def test_counts_are_read_as_sacct_shortens_them(text: str, count: int | None) -> None:
    assert job(ROW.replace("|2|72|", f"|2|{text}|"))["processors_req"] == count


@pytest.mark.parametrize(
    ("text", "state"),
    [("CANCELLED by 1234", "CANCELLED"), ("DEADLINE", "TIMEOUT"), ("BOOT_FAIL", "NODE_FAIL"), ("SOMETHING", None)],
)
def test_states_are_made_canonical(text: str, state: str | None) -> None:
    assert parse_state(text) == state


@pytest.mark.parametrize("text", ["1700000000", "2023-11-14T22:13:20", "2023-11-14T23:13:20+01:00", " 1700000000 "])
def test_times_come_as_epoch_or_iso(text: str) -> None:
    assert parse_time(text) == 1_700_000_000


def test_a_time_without_a_zone_is_read_in_the_one_given() -> None:
    assert parse_time("2023-11-14T15:13:20", ZoneInfo("America/Denver")) == 1_700_000_000
    assert parse_time("1700000000", ZoneInfo("America/Denver")) == 1_700_000_000


@pytest.mark.parametrize("text", ["Unknown", "None", "", "0", "N/A"])
def test_a_time_may_be_unknown(text: str) -> None:
    assert parse_time(text) is None


@given(st.integers(1, 4_102_444_799))
def test_a_time_reads_the_same_in_both_forms(seconds: int) -> None:
    assert parse_time(datetime.fromtimestamp(seconds, UTC).isoformat()) == parse_time(str(seconds)) == seconds


def test_steps_are_recognised_and_arrays_are_not_steps() -> None:
    assert is_step("123.batch")
    assert not is_step("123_[1-5%2]")


@given(st.text())
def test_any_text_gives_a_row_or_a_problem(text: str) -> None:
    try:
        to_job(split_row(text, ("jobid", "submit", "start", "end", "nnodes", "reqmem", "timelimit", "jobname")))
    except Problem as problem:
        assert problem.remedy  # noqa: PT017 - nothing else may be raised


@given(
    st.dictionaries(st.sampled_from(XDMOD_FIELDS), st.text() | st.from_regex(r"[0-9]+[-:KMGnc|T]?[0-9]*"), min_size=1)
)
def test_any_cells_give_a_job_or_a_problem_with_its_field(cells: dict[str, str]) -> None:
    try:
        found = to_job(cells)
    except Problem as problem:
        assert problem.place in cells  # noqa: PT017 - nothing else may be raised
        return
    assert set(found) == set(job())


@given(st.text())
def test_any_line_is_a_header_or_not(text: str) -> None:
    fields = parse_header(text)
    assert fields is None or "submit" in fields
