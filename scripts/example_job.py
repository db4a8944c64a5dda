"""Print a job script like the newest model's example: a recent job of one of the log's most frequent users.

    python scripts/example_job.py models > run/example_job.sh
    rtp predict run/example_job.sh --user "$(sed -n 's/^# user: //p' run/example_job.sh)"

It runs in .venv and in the training image.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.times import format_duration

Example = dict[str, str | float | None]

TEXT_OPTIONS = {"name": "job-name", "account": "account", "partition": "partition", "qos": "qos", "work_dir": "chdir"}
COUNT_OPTIONS = {"nodes_req": "nodes", "processors_req": "ntasks"}


def newest_example(models: Path) -> Example:
    """Return the example of the newest model. Raises Problem NO_MODEL or EXAMPLE_UNREADABLE."""
    remedy = "train one with make train"
    # version names sort by time; a folder that is still being written begins with a dot and has no manifest
    found = sorted(path.parent for path in models.glob("[!.]*/manifest.json"))
    if not found:
        raise Problem("NO_MODEL", "no model", place=str(models), remedy=remedy)
    path = found[-1] / "example.json"
    try:
        example = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem("EXAMPLE_UNREADABLE", str(error), place=str(path), remedy=remedy) from error
    if not isinstance(example, dict):
        raise Problem("EXAMPLE_UNREADABLE", "not a JSON object", place=str(path), remedy=remedy)
    return example


def lines(example: Example) -> Iterator[str]:
    """Yield the lines of the job script."""
    yield "#!/bin/bash"
    if user := one_line(example.get("user")):
        yield f"# user: {user}"
    for name, option in TEXT_OPTIONS.items():
        if text := one_line(example.get(name)):
            yield f"#SBATCH --{option}={shlex.quote(text)}"
    for name, option in COUNT_OPTIONS.items():
        if isinstance(count := example.get(name), int | float):
            yield f"#SBATCH --{option}={count:.0f}"
    if isinstance(seconds := example.get("wallclock_req"), int | float):
        yield f"#SBATCH --time={format_duration(round(seconds))}"
    yield "srun ./a.out"


def one_line(value: object) -> str:
    """Return a text on one line; the empty text for what is none."""
    return " ".join(value.split()) if isinstance(value, str) else ""


def main() -> int:
    """Print the script, or one line that says what is wrong."""
    try:
        print("\n".join(lines(newest_example(Path(sys.argv[1] if len(sys.argv) > 1 else "models")))))
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
