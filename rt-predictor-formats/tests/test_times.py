import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.times import (
    LONGEST,
    ceil_minute,
    format_duration,
    human_duration,
    parse_duration,
    parse_elapsed,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("1:30:15", 5415),
        ("2-12", 216_000),
        ("2-12:30", 217_800),
        ("2-12:30:05", 217_805),
        (" 00:00:01 ", 1),
        ("UNLIMITED", None),
        ("Partition_Limit", None),
        ("0", None),
    ],
)
def test_all_forms_of_slurm_are_read(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["abc", "1:2:3:4", "-5", "1-", "1.5", "400-00", "१२", "1:-2"])
def test_anything_else_is_a_problem_that_says_what_to_write(text: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_duration(text)
    assert caught.value.code == "DURATION_INVALID"
    assert "HH:MM:SS" in caught.value.remedy


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("0:00", 0), ("5:03", 303), ("1-02:03:04", 93_784)])
def test_a_time_that_has_passed_may_be_none_at_all(text: str, seconds: int) -> None:
    assert parse_elapsed(text) == seconds


@pytest.mark.parametrize("text", ["", "UNLIMITED", "-1", "INVALID"])
def test_no_limit_is_no_time_that_has_passed(text: str) -> None:
    with pytest.raises(Problem, match="DURATION_INVALID"):
        parse_elapsed(text)


@given(st.integers(1, LONGEST))
def test_a_formatted_duration_reads_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.text())
def test_any_text_gives_a_duration_or_a_problem(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except Problem:
        return
    assert seconds is None or 0 < seconds <= LONGEST


@given(st.integers(0, 10**7))
def test_rounding_up_to_the_minute_never_shortens(seconds: int) -> None:
    assert 0 <= ceil_minute(seconds) - seconds < 60
    assert ceil_minute(seconds) % 60 == 0


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (45, "45 s"), (7800, "2 h 10 min"), (7200, "2 h"), (273_600, "3 d 4 h")]
)
def test_people_read_the_two_largest_units(seconds: int, words: str) -> None:
    assert human_duration(seconds) == words
