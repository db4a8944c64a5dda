"""What a log becomes before it is simulated."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rt_predictor_formats.errors import Problem
from rt_predictor_training.ingest import Intake, Jobs, ingest
from rt_predictor_training.simulation.workload import Machine, Workload, machine_of, shaken, workload_of

LINE = "{job} {submit} -1 {run} {width} -1 -1 {width} {request} -1 -1 3 -1 -1 -1 -1 -1 -1\n"


def log(path: Path, header: str = "", **columns: int) -> tuple[Jobs, list[Path]]:
    values = {"run": 100, "width": 4, "request": 200, **columns}
    path.write_text(header + "".join(LINE.format(job=i, submit=10 * i, **values) for i in range(1, 301)), "utf-8")
    return ingest(Intake([path], 1000), lambda *_: None), [path]


@pytest.mark.parametrize(
    ("header", "given", "machine"),
    [
        ("", None, Machine(4, "widest request in the log")),
        ("; MaxNodes: 30\n; MaxProcs: 240\n", None, Machine(240, "header of the log")),
        ("; MaxProcs: -1\n; MaxNodes: 30\n", None, Machine(30, "header of the log")),
        ("; MaxProcs: 240\n", 64, Machine(64, "--processors")),
    ],
)
def test_the_machine_is_as_large_as_given_or_as_the_log_says_or_as_its_widest_job(
    tmp_path: Path, header: str, given: int | None, machine: Machine
) -> None:
    jobs, paths = log(tmp_path / "log.swf", header)
    assert machine_of(jobs, paths, given) == machine


@pytest.mark.parametrize(
    ("columns", "processors", "code"),
    [
        ({"request": -1}, None, "REQUESTS_MISSING"),
        ({"width": -1}, None, "PROCESSORS_MISSING"),
        ({}, 3, "NOTHING_TO_SIMULATE"),
    ],
)
def test_a_log_that_cannot_be_scheduled_is_refused_with_its_name(
    tmp_path: Path, columns: dict[str, int], processors: int | None, code: str
) -> None:
    jobs, paths = log(tmp_path / "log.swf", **columns)
    with pytest.raises(Problem) as caught:
        workload_of(jobs, machine_of(jobs, paths, processors), str(paths[0]))
    assert caught.value.code == code
    assert "log.swf" in caught.value.place


def test_what_cannot_run_is_left_out_and_counted_and_a_run_past_its_request_is_cut(
    workload: Callable[..., Workload],
) -> None:
    good, over, still, free, wide = (0, 9, 10, 8, "a"), (1, 30, 10, 2, "a"), (2, 0, 9, 1, "a"), (3, 9, 0, 1, "b"), 9
    work = workload([good, over, still, free, (4, 5, 10, wide, "b")], 8)
    assert work.run.tolist() == [9, 10]
    assert work.jobs.events.run.tolist() == [9.0, 10.0]
    assert work.cut == 1
    assert list(work.dropped.values()) == [1, 1, 0, 1]


def test_shaking_moves_each_submit_a_little_and_the_same_seed_does_it_again(
    workload: Callable[..., Workload],
) -> None:
    work = workload([(7 * i, 5, 10, 1, f"user{i % 3}") for i in range(200)], 8)
    once, again, other = shaken(work, 1, 30), shaken(work, 1, 30), shaken(work, 2, 30)
    shift = once.submit[np.argsort(once.row)] - work.submit
    assert np.abs(shift).max() == 30
    assert (np.diff(once.submit) >= 0).all()
    assert once.jobs.requests.submit_time.tolist() == once.submit.tolist()
    np.testing.assert_array_equal(once.jobs.requests.texts, work.jobs.requests.texts[once.row])
    assert once.submit.tolist() == again.submit.tolist() != other.submit.tolist()
