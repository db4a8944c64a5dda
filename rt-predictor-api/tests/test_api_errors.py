"""Errors that nobody foresaw, and the table of those that somebody did."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from google.rpc import code_pb2

from rt_predictor_api import logs
from rt_predictor_api.statuses import FOR_THE_ADMINISTRATOR, STATUS, problem_status
from rt_predictor_formats.errors import Problem


def test_what_nobody_foresaw_keeps_its_inside_to_itself_and_is_in_the_log(
    served: Any, event: Any, refusal: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with served() as client, caplog.at_level(logging.ERROR):
        client.service._journal.close()
        refused = refusal(lambda: client.report(event(1, user="zuse_konrad")))
    assert (refused.code, refused.reason) == ("INTERNAL", "INTERNAL")
    assert "closed" not in refused.text
    assert "journal" not in refused.text
    assert refused.parts["incident"] in refused.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert refused.parts["incident"] in str(record.msg)


def test_the_log_is_json_with_tracebacks_and_without_values(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    user = "zuse_konrad"
    try:
        logs.configure("info")
        try:
            int(user[:0])
        except ValueError:
            logging.getLogger("library").exception("it failed")
        logging.getLogger("library").debug("too detailed")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["logger"]) == ("it failed", "error", "library")
    assert "ValueError" in entry["exception"]
    assert user not in line


@pytest.mark.parametrize("code", sorted(STATUS))
def test_a_problem_of_the_table_has_its_status(code: str) -> None:
    status = problem_status(Problem(code, "the thing", place="/secret/place", remedy="do this"))
    assert status.code == STATUS[code] != code_pb2.OK
    assert ("/secret/place" in status.message) == (code not in FOR_THE_ADMINISTRATOR)
    assert code in status.message


def test_a_problem_outside_the_table_is_internal_and_tells_nothing() -> None:
    status = problem_status(Problem("ODD", "the thing", place="/secret/place", remedy="do this"))
    assert status.code == code_pb2.INTERNAL
    assert "secret" not in str(status)
