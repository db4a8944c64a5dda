"""The synthetic log: how near to Eagle, whether it can be learned from, and that it is written whole or not at all."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rt_predictor_core.schema import SCHEMA
from rt_predictor_core.sources.synthetic import synthesize, write_parquet
from rt_predictor_formats.errors import Problem

ROWS = 300_000
HOUR = 3600


@pytest.fixture(scope="module")
def jobs() -> pl.DataFrame:
    return pl.concat([pl.DataFrame(batch) for batch in synthesize(ROWS, 11)])


@pytest.fixture(scope="module")
def finished(jobs: pl.DataFrame) -> pl.DataFrame:
    return jobs.filter(pl.col("state").is_in(["COMPLETED", "TIMEOUT"]))


def test_jobs_come_in_submit_order_and_never_past_their_limit_unless_timed_out(jobs: pl.DataFrame) -> None:
    assert jobs.height == ROWS
    assert jobs["submit_time"].is_sorted()
    over = jobs.filter(pl.col("run_time") > pl.col("wallclock_req"))
    assert set(over["state"]) == {"TIMEOUT"}
    assert over.select((pl.col("run_time") - pl.col("wallclock_req")).max()).item() < 30


@pytest.mark.parametrize(
    ("state", "share", "tolerance"),
    [("COMPLETED", 0.67, 0.03), ("CANCELLED", 0.164, 0.01), ("FAILED", 0.088, 0.015), ("TIMEOUT", 0.073, 0.015)],
)
def test_states_have_eagles_shares(jobs: pl.DataFrame, state: str, share: float, tolerance: float) -> None:
    assert (jobs["state"] == state).mean() == pytest.approx(share, abs=tolerance)


@pytest.mark.parametrize(
    ("low", "high", "share", "tolerance"),
    [
        (0, 1.2, 0.70, 0.05),
        (1.2, 2.4, 0.08, 0.03),
        (2.4, 6, 0.135, 0.04),
        (6, 12, 0.029, 0.02),
        (12, 24, 0.025, 0.015),
        (24, 49, 0.025, 0.015),
        (49, 1e9, 0.0036, 0.006),
    ],
)
def test_run_times_have_eagles_shares(
    finished: pl.DataFrame, low: float, high: float, share: float, tolerance: float
) -> None:
    hours = finished["run_time"] / HOUR
    assert ((hours >= low) & (hours < high)).mean() == pytest.approx(share, abs=tolerance)


@pytest.mark.parametrize(
    ("quantile", "factor"), [(0.1, 1.02), (0.25, 2.95), (0.5, 10.27), (0.75, 58.2), (0.9, 265.7), (0.95, 657.4)]
)
def test_requests_exceed_use_as_on_eagle_within_half(finished: pl.DataFrame, quantile: float, factor: float) -> None:
    found = (finished["wallclock_req"] / finished["run_time"]).clip(1.0).quantile(quantile)
    assert found is not None
    assert abs(np.log(found / factor)) < np.log(1.5)


def test_median_and_mean_run_time_are_eagles(finished: pl.DataFrame) -> None:
    assert finished.select(pl.col("run_time").median()).item() / 60 == pytest.approx(16.5, rel=0.35)
    assert finished.select(pl.col("run_time").mean()).item() / HOUR == pytest.approx(2.9, rel=0.25)


def test_waits_grow_with_the_request(jobs: pl.DataFrame) -> None:
    band = sum((pl.col("wallclock_req") > hours * HOUR).cast(pl.Int8) for hours in (1, 10, 100))
    wait = (pl.col("start_time") - pl.col("submit_time")).dt.total_seconds()
    means = jobs.group_by(pl.lit(0).add(band).alias("band")).agg(wait.mean().alias("mean")).sort("band")["mean"]
    assert means.is_sorted()


def test_the_last_run_of_the_same_kind_says_most_of_the_next(finished: pl.DataFrame) -> None:
    kind = ["user", pl.col("name").str.replace(r"_\d+$", ""), "wallclock_req", "nodes_req"]
    log_run = finished.select(
        now=pl.col("run_time").log(), last=pl.col("run_time").log().shift(1).over(kind)
    ).drop_nulls()
    assert log_run.height > 0.9 * finished.height
    error = log_run.select((pl.col("now") - pl.col("last")).abs().median()).item()
    blind = log_run.select((pl.col("now") - pl.col("now").median()).abs().median()).item()
    assert error < 0.25 * blind


@pytest.mark.parametrize("rows", [1, 2, 13, 500])
def test_small_logs_have_the_rows_asked_for(rows: int) -> None:
    batches = list(synthesize(rows, 0, chunk_rows=7))
    assert sum(batch.num_rows for batch in batches) == rows
    assert all(batch.schema == SCHEMA and batch.num_rows <= 7 for batch in batches)


def test_progress_rises_to_the_number_of_rows_and_nothing_else_is_left(tmp_path: Path) -> None:
    told: list[int] = []
    write_parquet(tmp_path / "log.parquet", 1000, 1, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1000
    assert [file.name for file in tmp_path.iterdir()] == ["log.parquet"]


def test_a_log_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Problem) as caught:
        write_parquet(tmp_path / "no" / "log.parquet", 1000, 1)
    assert caught.value.code == "LOG_UNWRITABLE"
    (tmp_path / "log.parquet").mkdir()
    with pytest.raises(Problem):
        write_parquet(tmp_path / "log.parquet", 1000, 1)
    assert [file.name for file in tmp_path.iterdir()] == ["log.parquet"]


@pytest.mark.parametrize(("rows", "seed", "chunk"), [(0, 1, 1), (1, -1, 1), (1, 1, 0)])
def test_numbers_out_of_range_are_named(rows: int, seed: int, chunk: int) -> None:
    with pytest.raises(Problem, match="too small"):
        synthesize(rows, seed, chunk_rows=chunk)
