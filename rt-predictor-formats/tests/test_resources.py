import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.memory import parse_memory, parse_reqmem
from rt_predictor_formats.tres import gpus_of, parse_tres


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("16G", 16_384.0), ("500", 500.0), ("1.5T", 1_572_864.0), ("1024K", 1.0), ("2gb", 2048.0), ("1P", 1024.0**3)],
)
def test_sizes_are_megabytes(text: str, megabytes: float) -> None:
    assert parse_memory(text) == megabytes


@pytest.mark.parametrize("text", ["", "G", "-1", "500B", "1e3", "16 G", "१", "9" * 400, "1GiB"])
def test_anything_else_is_a_problem(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_memory(text)
    assert caught.value.code == "MEMORY_INVALID"


@given(st.integers(0, 10**9), st.sampled_from("KMGTP"))
def test_a_suffix_is_a_power_of_1024(number: int, suffix: str) -> None:
    assert parse_memory(f"{number}{suffix}") == number * 1024.0 ** ("KMGTP".index(suffix) - 1)


@given(st.text())
def test_any_text_gives_a_size_or_a_problem(text: str) -> None:
    try:
        requested = parse_reqmem(text)
    except Problem:
        return
    assert requested.total(2, 3) >= 0
    assert requested.per in {"job", "node", "cpu"}


@pytest.mark.parametrize(("text", "total"), [("4000Mn", 8000.0), ("2Gc", 73_728.0), ("16G", 16_384.0), ("0n", 0.0)])
def test_requested_memory_is_counted_by_its_basis(text: str, total: float) -> None:
    assert parse_reqmem(text).total(nodes=2, cpus=36) == total


def test_an_unknown_basis_counts_once() -> None:
    assert parse_reqmem("2Gc").total(nodes=None, cpus=None) == 2048.0


def test_resources_are_named_and_those_without_a_value_left_out() -> None:
    assert parse_tres("cpu=4,mem=8G,node=1,billing=,gres/gpu:A100=2") == {
        "cpu": "4",
        "mem": "8G",
        "node": "1",
        "gres/gpu:a100": "2",
    }
    assert parse_tres("") == {}


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("cpu=4,gres/gpu=2,gres/gpu:a100=2", 2),
        ("cpu=4,gres/gpu:a100=3,gres/gpu:v100=1", 4),
        ("cpu=4,gres/gpumem=80G", 0),
        ("gres/gpu=many", None),
    ],
)
def test_gpus_are_found_among_the_resources(text: str, gpus: int | None) -> None:
    assert gpus_of(parse_tres(text)) == gpus


@given(st.text())
def test_any_text_gives_resources(text: str) -> None:
    gpus = gpus_of(parse_tres(text))
    assert gpus is None or gpus >= 0
