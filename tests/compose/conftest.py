"""Projects in copies of the tree, with names, ports and images of their own; the first made by the quickstart."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stacks import Stack

ROOT = Path(__file__).resolve().parents[2]
TRACES = Path(os.environ.get("RT_PREDICTOR_TRACES", ROOT.parent / "shared/traces"))
LEFT_BEHIND = {".git", ".venv", "run", "logs", "models", "history", "data"}
"""What runs leave at the root; packages inside have folders of the same names."""

DOWN = """\
        expr: up{job="rt-predictor-api"} == 0 or absent(up{job="rt-predictor-api"})
        for: 1m
"""

NewStack = Callable[[str], Stack]


def left_out(folder: str, names: list[str]) -> list[str]:
    """Return what a copy of the tree does without."""
    left = {"__pycache__", ".hypothesis", ".env"} | (LEFT_BEHIND if Path(folder) == ROOT else set())
    return [name for name in names if name in left or name.endswith("cache")]


def change(path: Path, before: str, after: str) -> None:
    """Replace a text in a file, which must be there once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture(scope="session")
def new_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewStack]:
    """Make projects in copies of the tree; removes them, and nothing else, at the end."""
    made: list[Stack] = []

    def new(name: str) -> Stack:
        folder = tmp_path_factory.mktemp(name) / "tree"
        shutil.copytree(ROOT, folder, ignore=left_out)
        # a test waits for an alert, whose times promtool judges in tests/monitoring: here it is to come soon
        change(folder / "monitoring/prometheus.yml", "evaluation_interval: 30s", "evaluation_interval: 2s")
        change(folder / "monitoring/rules/alerts.yml", DOWN, DOWN.replace("for: 1m", "for: 4s"))
        data = None
        if (log := TRACES / "HPC2N-2002-first3170.swf.gz").is_file():
            data = folder / log.name
            shutil.copy(log, data)
            data.chmod(0o644)
        made.append(Stack(folder, f"{name}{os.getpid()}", data))
        return made[-1]

    yield new
    for stack in made:
        stack.make("clean-all")


@pytest.fixture(scope="session")
def stack(new_stack: NewStack) -> Stack:
    """Return what the quickstart makes of a real log."""
    stack = new_stack("rtptest")
    log = ("--data", str(stack.data)) if stack.data else ("--rows", "5000")
    done = stack.run("./quickstart.sh", "--docker", "--profile", "quick", *log)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (stack.folder / "quickstart.txt").write_text(done.stdout, encoding="utf-8")
    return stack
