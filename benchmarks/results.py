"""What every benchmark has in common: a command, figures, a table, and a key in ``results.json``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
SMALL = "-small"
"""What is added to the key of a run at a small size, so that it does not displace a full one."""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes
    ----------
    name: its key in the results and its marks in the document. purpose: what it measures, in a paragraph.
    arguments: adds its options to a parser. run: measures. text: figures as Markdown.
    small: options for a run of some minutes, to see that it works.
    """

    name: str
    purpose: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Any]
    text: Callable[[Any], str]
    small: Sequence[str]

    def main(self, given: Sequence[str] | None = None, key: str | None = None) -> None:
        """Measure with these options, those of the command line by default; print, and write under a key."""
        parser = argparse.ArgumentParser(description=self.purpose)
        self.arguments(parser)
        figures = self.run(parser.parse_args(given))
        print(self.text(figures))
        write(key or self.name, figures)


def write(key: str, figures: Any, path: Path = RESULTS) -> None:
    """Put the figures of one benchmark into the file and leave those of the others as they are."""
    whole = {**read(path), key: figures}
    path.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    print(f"wrote {key} to {path}")


def read(path: Path = RESULTS) -> dict[str, Any]:
    """Return what was measured last, by benchmark."""
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}
