import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import JobRequest, merge, parse_options, parse_script
from rt_predictor_formats.times import format_duration

SCRIPT = """#!/bin/bash
#SBATCH --time=1-12:00:00   # a day and a half
#SBATCH -N 2-4 --ntasks-per-node=36
#SBATCH --mem 64G
#SBATCH --gres=gpu:a100:2,ssd:1
#SBATCH -J "my run" -p short
##SBATCH --qos=commented
  #SBATCH --qos=indented

module load x
#SBATCH --time=00:01:00
"""
OPTIONS = ["--time", "-t", "--mem", "--mem-per-cpu", "-N", "-n", "-c", "--gres", "-G", "--gpus-per-task", "-J", "-x"]


def test_a_script_gives_what_slurm_would_read() -> None:
    assert parse_script(SCRIPT) == JobRequest(
        partition="short",
        wallclock_req=129_600,
        nodes_req=4,
        processors_req=144,
        gpus_req=8,
        mem_req=4 * 65_536.0,
        name="my run",
    )


def test_a_script_with_the_line_ends_of_windows_reads_the_same() -> None:
    assert parse_script(SCRIPT.replace("\n", "\r\n")) == parse_script(SCRIPT)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--time=90"], JobRequest(wallclock_req=5400)),
        (["--time", "90"], JobRequest(wallclock_req=5400)),
        (["-t", "90"], JobRequest(wallclock_req=5400)),
        (["-t90"], JobRequest(wallclock_req=5400)),
        (["--time=UNLIMITED"], JobRequest()),
        (["-A", "physics", "-q=high", "-D", "/x"], JobRequest(account="physics", qos="high", work_dir="/x")),
    ],
)
def test_options_are_read_in_each_way_of_writing(words: list[str], expected: JobRequest) -> None:
    assert parse_options(words) == expected


@pytest.mark.parametrize(
    ("words", "processors"),
    [
        (["-n", "10"], 10),
        (["-n", "10", "-c", "4"], 40),
        (["-c", "4"], 4),
        (["-N", "2", "-c", "4"], 8),
        (["-N", "2", "--ntasks-per-node=8"], 16),
        (["-N", "2"], None),
    ],
)
def test_processors_are_tasks_times_cpus(words: list[str], processors: int | None) -> None:
    assert parse_options(words).processors_req == processors


@pytest.mark.parametrize(
    ("words", "gpus"),
    [
        (["-G", "3", "-N", "2"], 3),
        (["--gpus=a100:2,v100:1"], 3),
        (["--gpus-per-node=4", "-N", "2"], 8),
        (["--gpus-per-task=1", "-n", "6"], 6),
        (["--gres=gpu"], 1),
        (["--gres=gpu:1g.5gb"], 1),
        (["--gres=gres/gpu:1g.5gb:2", "-N3"], 6),
        (["--gres=ssd:2"], None),
        (["--gres=gpu:0"], 0),
    ],
)
def test_gpus_are_counted_over_all_nodes(words: list[str], gpus: int | None) -> None:
    assert parse_options(words).gpus_req == gpus


@pytest.mark.parametrize(
    ("words", "megabytes"),
    [
        (["-N", "2", "--mem=1G"], 2048.0),
        (["-n", "10", "--mem-per-cpu=2G"], 20_480.0),
        (["-G", "2", "--mem-per-gpu=8G"], 16_384.0),
        (["-n", "2", "--mem=1G", "--mem-per-cpu=2G"], 4096.0),
        (["-n", "2", "--mem-per-cpu=2G", "--mem=1G"], 1024.0),
    ],
)
def test_memory_is_counted_over_all_nodes_and_the_last_option_holds(words: list[str], megabytes: float) -> None:
    assert parse_options(words).mem_req == megabytes


def test_a_range_of_nodes_counts_by_its_greatest_number() -> None:
    assert parse_options(["-N", "4-2"]).nodes_req == parse_options(["-N2-4"]).nodes_req == 4


def test_options_end_where_the_script_begins() -> None:
    assert parse_options(["--exclusive", "-o", "out.txt", "-n2", "job.sh", "-t", "5"]) == JobRequest(processors_req=2)


def test_an_unknown_option_does_not_swallow_the_next_one() -> None:
    assert parse_options(["--from-a-plugin", "-t", "5"]).wallclock_req == 300


def test_the_command_line_beats_the_script_before_totals_are_made() -> None:
    request = parse_script(SCRIPT, ["-N", "1", "--account=physics"])
    assert (request.account, request.nodes_req, request.mem_req, request.gpus_req) == ("physics", 1, 65_536.0, 2)


def test_a_later_request_beats_an_earlier_one_where_it_says_something() -> None:
    merged = merge(parse_script(SCRIPT), parse_options(["-t", "30"]), JobRequest(user="ada"))
    assert (merged.wallclock_req, merged.user, merged.nodes_req) == (1800, "ada", 4)


@pytest.mark.parametrize(
    ("option", "code"),
    [
        ("--time=later", "DURATION_INVALID"),
        ("--mem=much", "MEMORY_INVALID"),
        ("--nodes=0", "COUNT_INVALID"),
        ("--nodes=2-", "COUNT_INVALID"),
        ("--gpus=-1", "COUNT_INVALID"),
        ("--ntasks=", "OPTION_EMPTY"),
        ("--time", "OPTION_EMPTY"),
    ],
)
def test_a_bad_value_is_named_by_line_and_option(option: str, code: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_script(f"#!/bin/sh\n#SBATCH {option}\n")
    assert (caught.value.code, caught.value.place) == (code, f"line 2 {option.partition('=')[0]}")


def test_an_open_quote_is_named_by_its_line() -> None:
    with pytest.raises(Problem) as caught:
        parse_script('#SBATCH -J "half')
    assert (caught.value.code, caught.value.place) == ("SCRIPT_INVALID", "line 1")


@given(st.integers(1, 366 * 86_400), st.integers(1, 10**9 - 1), st.integers(1, 1000))
def test_what_is_written_into_a_script_reads_back(seconds: int, tasks: int, nodes: int) -> None:
    request = parse_script(f"#SBATCH -t {format_duration(seconds)} -n{tasks}\n#SBATCH --nodes={nodes}")
    assert request == JobRequest(wallclock_req=seconds, processors_req=max(tasks, nodes), nodes_req=nodes)


@given(st.text())
def test_any_script_gives_a_request_or_a_problem(text: str) -> None:
    try:
        assert isinstance(parse_script("#SBATCH " + text), JobRequest)
    except Problem as problem:
        assert problem.place  # noqa: PT017 - nothing else may be raised


@given(st.lists(st.sampled_from(OPTIONS) | st.text("0123456789-:,.GMgpua= ", max_size=8), max_size=6))
def test_any_options_give_a_request_or_a_problem(words: list[str]) -> None:
    try:
        request = parse_options(words)
    except Problem as problem:
        assert problem.place.startswith("--")  # noqa: PT017 - nothing else may be raised
        return
    counts = (request.wallclock_req, request.nodes_req, request.processors_req)
    assert all(count is None or count > 0 for count in counts)
