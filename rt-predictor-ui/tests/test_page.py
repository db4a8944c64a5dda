"""The page through its launcher, against a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from rtpredictor.v1 import forecast_pb2

Words = Callable[[AppTest], str]


def field(page: AppTest, name: str) -> Any:
    return next(
        widget for kind in ("text_input", "number_input", "toggle") for widget in page.get(kind) if widget.label == name
    )


def press(page: AppTest, name: str) -> AppTest:
    return next(button for button in page.button if button.label == name).click().run()


def lines_of(page: AppTest) -> list[str]:
    layers = json.loads(page.get("vega_lite_chart")[0].proto.spec)["layer"]
    data = next(layer["data"] for layer in layers if layer["mark"]["type"] == "rule")
    return [row["line"] for row in data["values"]]


def press_until(page: AppTest, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    press(page, "Predict")
    while not holds():
        assert time.monotonic() < deadline, "the page did not change"
        press(page, "Predict")


def test_an_open_page_names_the_model_that_answers(page: AppTest, words: Words) -> None:
    assert "The service answers with a model of 100,000 jobs." in words(page)
    assert not page.error


def test_the_form_is_sent_as_it_stands(page: AppTest, peer: Any) -> None:
    field(page, "User").input("ada")
    field(page, "Requested time").input("1-12")
    field(page, "Nodes").set_value(2)
    field(page, "Processors").set_value(72)
    field(page, "GPUs").set_value(0)
    field(page, "Memory over all nodes").input("16G")
    field(page, "Partition").input("short")
    field(page, "Account").input("bio")
    field(page, "Job name").input(" relax_01 ")
    press(page, "Predict")
    job = peer.requests[0].job
    assert (job.user, job.wallclock_req, job.nodes_req, job.processors_req) == ("ada", 129_600, 2, 72)
    assert (job.gpus_req, job.mem_req, job.partition, job.account) == (0, 16_384, "short", "bio")
    assert job.name == "relax_01"
    assert peer.requests[0].risk == 0.1


def test_what_is_left_empty_is_sent_as_unknown(page: AppTest, peer: Any) -> None:
    press(page, "Predict")
    job = peer.requests[0].job
    assert job.ByteSize() == 0
    assert peer.requests[0].risk == 0.1


def test_an_answer_says_in_words_how_long_and_how_sure(page: AppTest, words: Words) -> None:
    field(page, "User").input("ada")
    field(page, "Requested time").input("12:00:00")
    press(page, "Predict")
    said = words(page)
    for sentence in (
        "About 5 h",
        "Half of such jobs take 2 h 30 min to 7 h 30 min (dark band)",
        "9 in 10 of such jobs take 30 min to 9 h 30 min (light band)",
        "Requested: 12 h (dashed line)",
        "at a risk of 10 %",
        "#SBATCH --time=11:00:00",
        "Chance to run past the requested 12 h: 12.5 %",
        "Based on 34 finished jobs of this user with the same name.",
        "Model 20260101T000000Z-00000000",
    ):
        assert sentence in said


def test_the_chart_says_what_it_shows(page: AppTest) -> None:
    field(page, "Requested time").input("12:00:00")
    press(page, "Predict")
    specification = json.loads(page.get("vega_lite_chart")[0].proto.spec)
    assert specification["description"] == (
        "Run time: median 5 h; Half of such jobs take 2 h 30 min to 7 h 30 min; "
        "9 in 10 of such jobs take 30 min to 9 h 30 min; recommended 11 h; requested 12 h."
    )
    assert lines_of(page) == ["median", "recommended", "requested"]


def test_without_a_requested_time_there_is_no_line_and_no_chance(page: AppTest, words: Words) -> None:
    press(page, "Predict")
    assert "there is no limit to run past" in words(page)
    assert "requested" not in lines_of(page)


def test_a_cold_start_is_said_plainly(page: AppTest, peer: Any, words: Words) -> None:
    peer.tier = forecast_pb2.HISTORY_TIER_NONE
    field(page, "User").input("new_one")
    press(page, "Predict")
    assert "Cold start: the service knows no finished job of the user new_one." in words(page)
    assert "Based on" not in words(page)


def test_a_degraded_forecast_says_why(page: AppTest, peer: Any, words: Words) -> None:
    peer.degraded = forecast_pb2.DEGRADED_REASON_HISTORY_UNAVAILABLE
    press(page, "Predict")
    assert "The history could not be read" in words(page)


def test_a_pasted_script_fills_the_form(page: AppTest, peer: Any, words: Words) -> None:
    page.text_area[0].input("#!/bin/bash\n#SBATCH -t 90 -N 2 --mem=8G\n#SBATCH -p debug -J relax\nsrun a.out\n")
    press(page, "Fill the form")
    assert field(page, "Requested time").value == "01:30:00"
    assert field(page, "Memory over all nodes").value == "16G"
    assert "The form now asks for relax, debug, 2 nodes, 1 h 30 min requested." in words(page)
    field(page, "User").input("ada")
    press(page, "Predict")
    job = peer.requests[0].job
    assert (job.user, job.wallclock_req, job.nodes_req, job.partition, job.name) == ("ada", 5400, 2, "debug", "relax")


def test_a_bad_line_of_a_script_is_named_and_the_form_stays(page: AppTest, words: Words) -> None:
    field(page, "User").input("ada")
    press(page, "Predict")  # only then does the server know what was typed into the form
    page.text_area[0].input("#!/bin/bash\n#SBATCH --time=soon\n")
    press(page, "Fill the form")
    assert "line 2 --time" in words(page)
    assert "'soon' is no duration" in words(page)
    assert field(page, "User").value == "ada"


def test_a_script_without_options_says_what_to_paste(page: AppTest, words: Words) -> None:
    page.text_area[0].input("echo hello")
    press(page, "Fill the form")
    assert "paste the whole job script" in words(page)


def test_a_time_that_is_none_is_refused_before_anything_is_asked(page: AppTest, peer: Any, words: Words) -> None:
    field(page, "Requested time").input("tomorrow")
    press(page, "Predict")
    assert "'tomorrow' is no duration" in words(page)
    assert "(Requested time)" in words(page)
    assert peer.requests == []


def test_a_refused_field_has_the_name_of_the_form(page: AppTest, peer: Any, words: Words) -> None:
    peer.refused = {"job.nodes_req": "must be at most 1000000"}
    press(page, "Predict")
    assert "**Nodes**: must be at most 1000000" in words(page)


def test_a_failed_call_takes_the_earlier_answer_away(page: AppTest, peer: Any) -> None:
    press(page, "Predict")
    assert page.subheader
    peer.refused = {"user": "is not accepted"}
    press(page, "Predict")
    assert not page.subheader


def test_a_service_that_is_away_is_said_and_found_again(page: AppTest, peer: Any, words: Words) -> None:
    peer.stop()
    press(page, "Predict")
    assert "No service answers" in words(page)
    assert "start the API with `make start`, or set `RT_PREDICTOR_ADDRESS` to where it runs" in words(page)
    assert "Not predicted" in words(page)
    peer.start()
    press_until(page, lambda: "About 5 h" in words(page) and not page.error)
    assert not page.warning


def test_the_slider_asks_again_at_its_risk_without_the_form(page: AppTest, peer: Any, words: Words) -> None:
    field(page, "User").input("ada")
    press(page, "Predict")
    field(page, "User").input("")  # what stands in the form now is not what was asked
    page.slider[0].set_value(25).run()
    assert [(request.job.user, request.risk) for request in peer.requests] == [("ada", 0.1), ("ada", 0.25)]
    assert "at a risk of 25 %" in words(page)
    page.run()
    assert len(peer.requests) == 2


def test_a_slider_that_is_not_answered_keeps_the_answer_and_says_so(page: AppTest, peer: Any, words: Words) -> None:
    press(page, "Predict")
    peer.stop()
    page.slider[0].set_value(25).run()
    assert "at a risk of 10 %" in words(page)
    assert "still the answer at the risk that it names" in words(page)


def test_what_if_compares_half_the_nodes_and_twice_the_time(page: AppTest, peer: Any, words: Words) -> None:
    field(page, "Requested time").input("12:00:00")
    field(page, "Nodes").set_value(4)
    field(page, "Processors").set_value(72)
    press(page, "Predict")
    field(page, "What if: half the nodes, twice the requested time").set_value(True).run()
    asked = [(job.nodes_req, job.processors_req, job.wallclock_req) for job in peer.requests[1].jobs]
    assert asked == [(2, 36, 43_200), (4, 72, 86_400)]
    for sentence in ("As requested", "Half the nodes", "Twice the time", "2 nodes, 36 processors", "1 d requested"):
        assert sentence in words(page)
    page.run()
    assert len(peer.requests) == 2


def test_what_if_says_what_is_missing(page: AppTest, words: Words) -> None:
    press(page, "Predict")
    field(page, "What if: half the nodes, twice the requested time").set_value(True).run()
    assert "Give a requested time, or more than one node" in words(page)


def test_a_script_file_fills_the_form_and_names_the_job(page: AppTest, words: Words) -> None:
    page.file_uploader[0].set_value(("relax.sh", b"#!/bin/bash\n#SBATCH --time=90\n", "text/x-sh")).run()
    assert (field(page, "Requested time").value, field(page, "Job name").value) == ("01:30:00", "relax.sh")
    assert "The form now asks for relax.sh, 1 h 30 min requested." in words(page)


def test_a_file_that_is_no_script_is_named(page: AppTest, words: Words) -> None:
    page.file_uploader[0].set_value(("core.123", b"\x7fELF\0", "application/octet-stream")).run()
    assert "This is no job script" in words(page)
    assert "core.123" in words(page)


def test_a_service_that_is_back_is_asked_again_by_itself(page: AppTest, peer: Any, words: Words) -> None:
    peer.stop()
    press(page, "Predict")
    assert "It is asked again by itself" in words(page)
    peer.start()
    deadline = time.monotonic() + 30
    while "About 5 h" not in words(page):
        assert time.monotonic() < deadline
        page.run()


def test_a_service_that_stays_away_is_not_asked_at_every_press(
    page: AppTest, peer: Any, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RT_PREDICTOR_BREAKER_FAILURES", "1")
    monkeypatch.setenv("RT_PREDICTOR_BREAKER_SECONDS", "30")
    peer.stop()
    press(page, "Predict")
    press(page, "Predict")
    assert "The last calls were not answered" in words(page)
    assert "calls are tried again in" in words(page)
    assert "Not predicted" in words(page)


def test_a_service_without_a_model_says_what_to_do(page: AppTest, peer: Any, words: Words) -> None:
    peer.lose_model()
    page.run()
    assert "The service has no model yet" in words(page)
    assert "train one with `make train`" in words(page)
