"""Words, and names from elsewhere that must not become markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_formats.memory import parse_memory
from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_ui.text import (
    cold_start_words,
    escape,
    label,
    memory_text,
    request_words,
    share_words,
    spoken_duration,
)


@given(st.text(max_size=60))
def test_no_character_of_a_name_is_markup_after_escaping(name: str) -> None:
    escaped = escape(name)
    assert re.sub(r"\\(.)", r"\1", escaped) == " ".join(name.split())
    assert re.search(r"(?<!\\)[`*_\[\]<>$:]", re.sub(r"\\\\", "", escaped)) is None


@given(st.integers(1, 10**9))
def test_memory_reads_back_as_what_it_was(megabytes: int) -> None:
    assert parse_memory(memory_text(megabytes)) == megabytes


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (JobRequest(), "a job of which nothing is given"),
        (JobRequest(user="ada", nodes_req=1, wallclock_req=86_400), "ada, 1 node, 1 d requested"),
        (JobRequest(name="x", gpus_req=2, processors_req=8), "x, 8 processors, 2 GPUs"),
    ],
)
def test_a_request_is_one_line(request_: JobRequest, words: str) -> None:
    assert request_words(request_) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(8, "8 s"), (599, "9 min 59 s"), (1316, "22 min"), (7049, "1 h 57 min")]
)
def test_seconds_are_not_said_above_ten_minutes(seconds: int, words: str) -> None:
    assert spoken_duration(seconds) == words


def test_shares_are_spoken_where_people_speak_them() -> None:
    assert [share_words(share) for share in (0.5, 0.9, 0.95)] == ["Half", "9 in 10", "95 %"]


def test_a_column_that_the_form_lacks_keeps_its_name() -> None:
    assert [label("mem_req"), label("job.mem_req"), label("submit_time")] == [
        "Memory over all nodes",
        "Memory over all nodes",
        "submit_time",
    ]


def test_a_cold_start_names_the_user_or_says_that_none_is_named() -> None:
    assert "of the user ada" in cold_start_words(JobRequest(user="ada"))
    assert "of a user who is not named" in cold_start_words(JobRequest())
