"""The audit log of models, and what does not depend on the least severity that is logged."""

from __future__ import annotations

import json
import logging
import shutil
from typing import Any

import pytest

from rt_predictor_api import logs
from rt_predictor_api.security import audit


def test_models_that_come_and_go_are_on_record(
    served: Any, models: Any, newer: Any, publish: Any, until: Any, audited: Any
) -> None:
    (older,) = models.iterdir()
    with served(watch_interval_seconds=0.05):
        (line,) = audited("model adopted")
        assert (line["version"], line["before"]) == (older.name, "")
        put = publish(newer, models)
        until(lambda: len(audited("model adopted")) == 2, "the newer model")
        assert audited("model adopted")[1]["before"] == older.name
        shutil.rmtree(put)
        until(lambda: audited("model rolled back"), "the older model")
        (line,) = audited("model rolled back")
        assert (line["version"], line["before"]) == (older.name, newer.name)
        broken = models / f"{newer.name}-broken"
        broken.mkdir()
        (broken / "manifest.json").write_text("{}")
        until(lambda: audited("model refused"), "the broken model")
        assert audited("model refused")[0]["version"] == broken.name


def test_the_audit_log_is_written_however_little_else_is(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure("error")
        logging.getLogger("library").warning("not that bad")
        audit.record("something changed", version="v1")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["logger"], entry["event"], entry["version"]) == ("audit", "something changed", "v1")
