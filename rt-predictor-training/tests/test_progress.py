"""How far a command is: told where there is no terminal, too."""

import re

import pytest

from rt_predictor_training import progress
from rt_predictor_training.progress import Bars


def test_a_long_stage_tells_rate_and_time_left_once_per_tenth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SILENT_SECONDS", 0.0)
    with Bars() as bars:
        bars.stage("read", 1, "bytes")
        for done in range(1, 1001):
            bars.advance(done, 1000)
        bars.finish()
    first, *told = capsys.readouterr().err.splitlines()
    assert first == "read ..."
    assert len(told) == progress.TELLINGS - 1
    assert all(re.fullmatch(r"read \d+/1,000, [\d,]+ bytes/s, about \d+\.\d min left", line) for line in told)


def test_a_short_stage_tells_nothing_in_between(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        bars.stage("gate", 2)
        bars.advance(1)
        bars.finish()
    assert capsys.readouterr().err.splitlines() == ["gate ..."]
