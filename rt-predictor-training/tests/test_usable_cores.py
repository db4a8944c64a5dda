"""A container's limit is what training uses, not the cores of its machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_predictor_training import profiles


@pytest.mark.parametrize(
    ("said", "cores"),
    [
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("6400000 100000\n", 8),
        ("max 100000\n", 8),
    ],
)
def test_no_more_threads_than_the_quota_has_cores(
    said: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(said)
    monkeypatch.setattr(profiles, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(profiles.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert profiles.load_profile("standard").threads == cores


def test_a_machine_without_control_groups_has_its_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "_QUOTA", tmp_path / "none")
    monkeypatch.setattr(profiles.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert profiles.load_profile("standard").threads == 8
