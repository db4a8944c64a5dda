"""Every source through the same cases, and the real traces."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rt_predictor_core.schema import SCHEMA
from rt_predictor_core.sources import open_log
from rt_predictor_core.sources.synthetic import synthesize, write_parquet
from rt_predictor_formats.errors import Problem


def eagle(rows: int) -> list[str]:
    times = "submit_time,start_time,end_time,run_time"
    head = f"job_id,user,wallclock_req,nodes_req,processors_req,{times},state,name,work_dir"
    body = [
        f"{i},ada,3600.0,1,36,2019-01-01 08:{i:02d}:00,2019-01-01 09:00:00,2019-01-01 09:10:00,600.0,COMPLETED,n{i},w"
        for i in range(rows)
    ]
    return [head, *body]


def swf(rows: int) -> list[str]:
    return ["; UnixStartTime: 1000", *(f"{i} {i} 5 60 4 -1 -1 4 600 -1 1 7 1 2 1 -1 -1 -1" for i in range(1, rows + 1))]


def sacct(rows: int) -> list[str]:
    head = "JobID|User|Partition|Submit|Start|End|State|NNodes|ReqCPUS|Timelimit|JobName"
    return [head, *(f"{i}|ada|short|{1000 + i}|2000|2600|COMPLETED|1|4|01:00:00|a|b" for i in range(rows))]


TEXTS: dict[str, tuple[Callable[[int], list[str]], str]] = {
    "eagle": (eagle, "600.0,COMPLETED"),
    "swf": (swf, " 60 4 "),
    "sacct": (sacct, "|2600|"),
}
BAD = {"eagle": "-600.0,COMPLETED", "swf": " sixty 4 ", "sacct": "|1500|"}


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def table(path: Path, **options: int) -> pa.Table:
    return pa.Table.from_batches(list(open_log([path], **options)), SCHEMA)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", TEXTS)
def test_a_good_log_is_read_whole_in_any_chunks(form: str, tmp_path: Path) -> None:
    path = written(tmp_path / "log.txt", TEXTS[form][0](12))
    log = open_log([path])
    assert (sum(batch.num_rows for batch in log), log.rows_rejected, log.format) == (12, 0, form)
    whole = table(path)
    assert table(path, chunk_rows=1).equals(whole)
    assert table(path, chunk_rows=5).equals(whole)
    assert set(whole["run_time"].to_pylist()) == {60.0 if form == "swf" else 600.0}


@pytest.mark.parametrize("form", TEXTS)
def test_one_bad_row_is_refused_with_its_line_and_the_others_are_kept(form: str, tmp_path: Path) -> None:
    make, good = TEXTS[form]
    lines = make(9)
    lines[5] = lines[5].replace(good, BAD[form])
    refused = tmp_path / "rejects.csv"
    log = open_log([written(tmp_path / "log.txt", lines)], chunk_rows=4, rejects=refused)
    assert (sum(batch.num_rows for batch in log), log.rows_rejected) == (8, 1)
    _, row = refused.read_text().splitlines()
    assert ",6," in row


@pytest.mark.parametrize("form", TEXTS)
def test_a_truncated_gzip_is_named(form: str, tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress("\n".join(TEXTS[form][0](50_000)).encode())[:-2000])
    with pytest.raises(Problem) as caught:
        table(path)
    assert caught.value.code == "LOG_TRUNCATED"
    assert str(path) in caught.value.place


@pytest.mark.parametrize("form", TEXTS)
def test_a_log_of_bad_rows_alone_is_a_problem(form: str, tmp_path: Path) -> None:
    make, good = TEXTS[form]
    lines = [line.replace(good, BAD[form]) for line in make(5)]
    with pytest.raises(Problem) as caught:
        table(written(tmp_path / "log.txt", lines))
    assert caught.value.code == "LOG_ALL_ROWS_REJECTED"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "LOG_EMPTY"), (b"; UnixStartTime: 5\n", "LOG_EMPTY"), (b"GIF89a\x00\x00", "LOG_FORMAT_UNKNOWN")],
)
def test_what_is_no_log_is_a_problem(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    with pytest.raises(Problem) as caught:
        table(path)
    assert caught.value.code == code


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    lines = [line.replace("submit_time", "submitted") for line in eagle(3)]
    with pytest.raises(Problem, match="no column submit_time") as caught:
        table(written(tmp_path / "log.csv", lines))
    assert caught.value.code == "COLUMN_MISSING"


def test_a_missing_file_and_an_unknown_zone_are_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="LOG_MISSING"):
        open_log([tmp_path / "none.csv"])
    with pytest.raises(Problem, match="TIMEZONE_UNKNOWN"):
        open_log([tmp_path / "none.csv"], timezone="Mars/Olympus")


def test_local_times_are_placed_in_the_zone(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", eagle(1))
    utc, denver = table(path), pa.Table.from_batches(list(open_log([path], timezone="America/Denver")))
    assert (denver["submit_time"][0].as_py() - utc["submit_time"][0].as_py()).total_seconds() == 7 * 3600


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400).map(lambda text: text.encode("utf-8", "replace"))))
@example(b"\r\t")
def test_any_bytes_give_batches_or_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log"
    for start in (
        b"",
        b"".join(f"{line}\n".encode() for line in swf(2)),
        "\n".join(eagle(2)).encode(),
        sacct(1)[0].encode(),
    ):
        path.write_bytes(start + content)
        try:
            for batch in open_log([path], chunk_rows=2):
                assert batch.schema == SCHEMA
        except Problem as problem:
            assert problem.remedy  # noqa: PT017 - nothing else may be raised


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("ANL-Intrepid-2009-1.swf.gz", 68_936),
        ("SDSC-SP2-1998-recovered.swf.gz", 54_006),
        ("HPC2N-2002-first3170.swf.gz", 3170),
        ("eagle_sample.csv", 1000),
        ("xdmod-pozidriv-2016-12.parquet", 11_704),
    ],
)
def test_real_traces_are_read_without_a_reject(name: str, rows: int, traces: Path) -> None:
    log = open_log([traces / name])
    assert sum(batch.num_rows for batch in log) == rows
    assert log.rows_rejected == 0
    assert log.bytes_read == log.bytes_total


def test_synthetic_logs_depend_on_the_seed_alone(tmp_path: Path) -> None:
    whole = pa.Table.from_batches(list(synthesize(20_000, 3)))
    assert pa.Table.from_batches(list(synthesize(20_000, 3, chunk_rows=777))).equals(whole)
    assert not pa.Table.from_batches(list(synthesize(20_000, 4))).equals(whole)
    path = tmp_path / "synthetic.parquet"
    write_parquet(path, 20_000, 3, on_progress=lambda _: None)
    log = open_log([path])
    assert pa.Table.from_batches(list(log)).equals(whole)
    assert log.rows_rejected == 0


def test_synthetic_logs_have_eagles_statistics() -> None:
    """Published: 67.0 % completed, 16.4 cancelled, 8.8 failed, 7.3 timed out; median 16.5 min, factor 10."""
    jobs = pa.Table.from_batches(list(synthesize(300_000, 7))).to_pandas()
    shares = jobs["state"].value_counts(normalize=True)
    for state, share, tolerance in (("COMPLETED", 0.670, 0.03), ("CANCELLED", 0.164, 0.01), ("FAILED", 0.088, 0.01)):
        assert abs(shares[state] - share) < tolerance
    assert abs(shares["TIMEOUT"] - 0.073) < 0.02
    finished = jobs[jobs["state"].isin(["COMPLETED", "TIMEOUT"])]
    assert 8 < finished["run_time"].median() / 60 < 33
    assert 1.4 < finished["run_time"].mean() / 3600 < 5.8
    assert 5 < (finished["wallclock_req"] / finished["run_time"]).median() < 20
    assert 0.6 < (finished["run_time"] < 1.2 * 3600).mean() < 0.8
