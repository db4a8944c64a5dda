"""Results as files."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_client import Client
from rt_predictor_client.cli import main
from rt_predictor_client.columns import meanings
from rt_predictor_ui.batch.blocks import Blocks
from rt_predictor_ui.batch.export import errors_csv, guarded, results_csv, results_parquet
from rt_predictor_ui.batch.results import Results
from rt_predictor_ui.batch.upload import read_upload

FILE = b"user,time,note\nada,60,a note\nbob,soon,\n,90,\n"


def forecast(content: bytes, port: int) -> Results:
    upload = read_upload("in.csv", content)
    results = Results(upload.header)
    with Client(f"127.0.0.1:{port}", timeout_seconds=30) as client, upload.opened() as rows:
        blocks = Blocks(rows, meanings(upload.header, upload.name))
        for block, told in blocks.answered(client.predict_arrow_many(blocks.payloads(), 0.1)):
            results.add(block.rows, told)
    return results


@given(st.text(max_size=8))
def test_no_cell_is_a_formula(text: str) -> None:
    cell = str(guarded(text))
    assert not cell.startswith(("=", "@", "\t", "\r", "\n"))
    if cell.startswith(("+", "-")):
        float(cell)
    assert cell.removeprefix("'") == text or cell == text


@pytest.mark.parametrize("text", ["=1+1", "+cmd|'/c calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-5", "+3.5", "1e-9", "ada", 5, -5.5, None, ""])
def test_numbers_and_other_text_stay(value: object) -> None:
    assert guarded(value) == value


def test_a_download_is_what_the_command_writes(peer: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(FILE)
    with pytest.raises(SystemExit):
        main(["--address", f"127.0.0.1:{peer.port}", "batch", str(source), "-o", str(target), "--risk", "0.1"])
    assert results_csv(forecast(FILE, peer.port)) == target.read_bytes()


def test_a_formula_in_a_file_and_in_its_header_comes_back_as_text(peer: Any) -> None:
    content = b'user,=note\nada,"=HYPERLINK(""x"")"\n'
    rows = list(csv.reader(StringIO(results_csv(forecast(content, peer.port)).decode())))
    assert rows[0][:2] == ["user", "'=note"]
    assert rows[1][:2] == ["ada", '\'=HYPERLINK("x")']


def test_errors_come_with_the_number_of_their_row(peer: Any) -> None:
    rows = list(csv.reader(StringIO(errors_csv(forecast(FILE, peer.port)).decode())))
    assert rows[0] == ["row", "error"]
    assert [row[0] for row in rows[1:]] == ["2"]
    assert "'soon' is no duration" in rows[1][1]


def test_parquet_has_numbers_as_numbers(peer: Any) -> None:
    results = forecast(FILE, peer.port)
    table = pq.read_table(BytesIO(results_parquet(results.table())))
    assert table["median_seconds"].to_pylist() == [18_000.0, None, 18_000.0]
    assert table["recommended_seconds"].to_pylist() == [39_600, None, 39_600]
    assert table["note"].to_pylist() == ["a note", "", ""]
