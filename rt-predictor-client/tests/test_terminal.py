from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.rpc import code_pb2

from rt_predictor_client.output import print_pairs

CODE = "from rt_predictor_client.cli import main; main()"


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """Return what ``rtp`` writes to a pseudo-terminal."""
    ours, theirs = pty.openpty()
    clean = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        stdout=theirs,
        stderr=theirs,
        env={**clean, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # Linux tells the end of a pseudo-terminal so
        pass
    os.close(ours)
    assert process.wait(60) == 0, written
    return written.decode()


def test_a_terminal_gets_style_unless_no_color(peer: Any) -> None:
    styled = on_a_terminal("--address", peer.address, "model", "--list")
    assert "\x1b[1m" in styled
    assert "20260101T000000Z-00000000" in styled
    assert "\x1b[3" not in on_a_terminal("--address", peer.address, "model", "--list", NO_COLOR="1")


def test_a_terminal_sees_rows_done_and_a_rate(peer: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("user,time\n" + "a,60\n" * 500)
    written = on_a_terminal("--address", peer.address, "batch", str(source), "-o", str(tmp_path / "out.csv"))
    assert "500/500" in written
    assert "rows/s" in written


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_pairs([("model", "\x1b]0;title\x07v1")])
    assert capsys.readouterr().out == "model  ?]0;title?v1\n"


def test_words_of_the_service_cannot_steer_the_terminal(rtp: Any, peer: Any) -> None:
    peer.refuse(code_pb2.INTERNAL, text="\x1b[2Jgone\nsecond line")
    assert "?[2Jgone second line" in rtp("model").err
