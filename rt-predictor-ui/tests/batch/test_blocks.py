"""Rows as tables, with what cannot be sent in its place."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_client import Client
from rt_predictor_client.rows import Jobs, result_values
from rt_predictor_formats.errors import Problem
from rt_predictor_ui.batch import blocks
from rt_predictor_ui.batch.blocks import Blocks, made

BY = {"user": "user", "time": "time", "nodes_req": "nodes", "submit_time": "at", "mem_req": "mem"}
GOOD = {"user": "ada", "time": "60", "nodes": "1", "at": "2026-01-01T00:00:00", "mem": "10.5"}
ROWS: dict[str, Any] = {
    "good": GOOD,
    "empty": dict.fromkeys(GOOD, ""),
    "no time": {**GOOD, "time": "soon"},
    "no count": {**GOOD, "nodes": "1.5"},
    "refused": {**GOOD, "nodes": "2000"},
    "unread": Problem("CSV_ROW", "2 fields, 5 expected", remedy="correct the row"),
}


def test_a_table_has_the_types_of_the_contract() -> None:
    block = made([GOOD, ROWS["empty"]], BY)
    with pa.ipc.open_stream(block.payload) as stream:
        table = stream.read_all()
    types = {field.name: str(field.type) for field in table.schema}
    assert types == {
        "user": "string",
        "wallclock_req": "int64",
        "nodes_req": "int64",
        "mem_req": "double",
        "submit_time": "timestamp[us, tz=UTC]",
    }
    assert table.to_pylist()[0]["wallclock_req"] == 3600
    assert set(table.to_pylist()[1].values()) == {None}


def test_a_block_is_bounded_by_its_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "CHARACTERS", 100)
    rows = repeat({"user": "a" * 40})
    assert len(blocks._some(rows)) == 3


@given(kinds=st.lists(st.sampled_from(sorted(ROWS)), max_size=12), some=st.integers(1, 5))
def test_every_row_has_its_answer_or_why_not_as_if_asked_row_by_row(kinds: list[str], some: int, served: Any) -> None:
    rows = [ROWS[kind] for kind in kinds]
    with Client(f"127.0.0.1:{served.port}", timeout_seconds=30) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "ROWS", some)
        asked = Blocks(iter(rows), BY)
        answers = client.predict_arrow_many(asked.payloads(), 0.1)
        found = [row for _, table in asked.answered(answers) for row in table.to_pylist()]
        jobs = Jobs(iter(rows), BY)
        expected = [result_values(result) for _, result in jobs.paired(client.predict_many(jobs, 0.1))]
    assert found == expected
    assert all(isinstance(row["error"], str) or row["model_version"] for row in found)


def test_an_answer_of_another_length_is_refused(peer: Any) -> None:
    assert peer.port
    with Client(f"127.0.0.1:{peer.port}", timeout_seconds=30) as client:
        two = made([GOOD, GOOD], BY)
        (answer,) = client.predict_arrow_many([two.payload or b""])
    with pytest.raises(Problem) as caught:
        blocks.results(made([GOOD], BY), answer)
    assert caught.value.code == "ANSWER_MISMATCH"
