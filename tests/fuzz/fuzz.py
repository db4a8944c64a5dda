"""Runs the targets, each in a process of its own, and prints what became of their inputs (``make fuzz``).

An input follows from seed, target and number, so that each can be made again: ``--target NAME --seed S --only N``.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import psutil

MOST_SECONDS = 10.0
"""Processor time that one input may take [s]."""

STUCK_SECONDS = 120.0
"""When a process that takes no further input is ended [s]."""

STARTING_SECONDS = 600.0
"""How much longer the first input may take, which compiles."""

MOST_PEAK_MB = 1_024
"""Memory that a target's process may need at most beyond what it had after its first inputs [MB]."""

MOST_HELD_MB = 512
"""Memory that it may hold after the last input beyond that [MB]: what is learned of reported jobs stays."""

ROOM_BYTES = 16 << 30
"""Address space of a target's process: what asks for more gets an error, and the machine stays usable."""

CHECKED = {
    "NUMBA_BOUNDSCHECK": "1",
    "NUMBA_CACHE_DIR": str(Path(__file__).resolve().parents[2] / ".cache" / "fuzz"),
}
"""Lets compiled code look at every index, and be kept apart for that."""

DIES_AT = "RT_PREDICTOR_FUZZ_DIES_AT"
"""Variable that names an input at which the process of a target dies: what watches it is tested so."""

WARM_INPUTS = 50
"""The first ones, which may compile, and whose costs are not judged."""

SHOWN = 20
COLUMNS = ("target", "inputs", "answered", "refused", "found", "slowest s", "peak MB", "held MB", "s")


def take(name: str, seed: int, numbers: range, progress: Path) -> dict[str, Any]:
    """Give the inputs to a target and return what became of them; ``progress`` holds the number of the last."""
    from targets import BY_NAME

    outcomes: Counter[str] = Counter()
    found: list[str] = []
    slowest, peak, held = 0.0, 0, 0
    with (
        tempfile.TemporaryDirectory() as folder,
        BY_NAME[name].opened(Path(folder)) as one,
        progress.open("r+b") as file,
    ):
        at = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
        for taken, number in enumerate(numbers):
            at[0] = number
            if os.environ.get(DIES_AT) == str(number):
                os.abort()
            begun = time.process_time()
            try:
                outcomes[one(Random(f"{seed}/{name}/{number}"))] += 1
            except Exception:  # noqa: BLE001  # whatever it is, it is a finding
                outcomes["found"] += 1
                found.append(f"{number}: {traceback.format_exc(limit=-4)}")
            seconds = time.process_time() - begun
            if taken == WARM_INPUTS:
                peak, held = _peak_mb(), _held_mb()
            if taken > WARM_INPUTS:
                slowest = max(slowest, seconds)
                if seconds > MOST_SECONDS:
                    found.append(f"{number}: took {seconds:.1f} s")
            at[0] = number + 1
        more = {"peak_mb": _peak_mb() - peak, "held_mb": _held_mb() - held} if peak else {"peak_mb": 0, "held_mb": 0}
    if more["peak_mb"] > MOST_PEAK_MB or more["held_mb"] > MOST_HELD_MB:
        found.append(f"the process came to need more than after its first inputs: {more}")
    return {"outcomes": outcomes, "found": found, "slowest": slowest, **more}


def _peak_mb() -> int:
    """Return the most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _held_mb() -> int:
    """Return the memory that the process has now."""
    return int(psutil.Process().memory_info().rss) >> 20


def watch(name: str, seed: int, numbers: range, *, plain: bool = False) -> dict[str, Any]:
    """Run a target in a process, anew behind each input that ends it, and return the sum."""
    total: dict[str, Any] = {"outcomes": Counter(), "found": [], "slowest": 0.0, "peak_mb": 0, "held_mb": 0}
    with tempfile.TemporaryDirectory() as folder:
        progress, told = Path(folder) / "progress", Path(folder) / "told"
        while numbers:
            progress.write_bytes(numbers.start.to_bytes(8, "little"))
            told.unlink(missing_ok=True)
            status, last = _run(name, seed, numbers, progress, told, plain=plain)
            if told.exists():
                _add(total, json.loads(told.read_text()))
                break
            total["outcomes"]["unknown"] += last - numbers.start
            total["found"].append(f"{last}: the process ended with status {status}")
            numbers = range(last + 1, numbers.stop)
            if len(total["found"]) >= 20:  # enough to work on
                break
    return total


def _run(name: str, seed: int, numbers: range, progress: Path, told: Path, *, plain: bool) -> tuple[int, int]:
    """Return how the process ended, and the number of its last input."""
    words = [sys.executable, __file__, "--target", name, "--seed", str(seed), "--told", str(told)]
    words += ["--progress", str(progress), "--first", str(numbers.start), "--inputs", str(len(numbers))]
    process = subprocess.Popen(words, env={**os.environ} if plain else {**os.environ, **CHECKED})
    last, since = -1, time.monotonic()
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        now = int.from_bytes(progress.read_bytes(), "little", signed=True)
        if process.returncode is not None:
            return process.returncode, now
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STUCK_SECONDS + (STARTING_SECONDS if now == numbers.start else 0.0):
            process.kill()


def _add(total: dict[str, Any], part: dict[str, Any]) -> None:
    total["outcomes"].update(part["outcomes"])
    total["found"] += part["found"]
    for name in ("slowest", "peak_mb", "held_mb"):
        total[name] = max(total[name], part[name])


def main() -> int:
    """Run what the command line names; return 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", help="one of the targets; all without")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="part of each target's inputs")
    parser.add_argument("--inputs", type=int, help="inputs of each target")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int, help="one input, in this process, with its traceback")
    parser.add_argument(
        "--plain", action="store_true", help="compiled code as the service runs it, which looks nowhere"
    )
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--told", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.told:
        resource.setrlimit(resource.RLIMIT_AS, (ROOM_BYTES, ROOM_BYTES))
        numbers = range(options.first, options.first + options.inputs)
        options.told.write_text(json.dumps(take(options.target[0], options.seed, numbers, options.progress)))
        return 0
    from targets import BY_NAME

    if options.only is not None:
        with tempfile.TemporaryDirectory() as folder, BY_NAME[options.target[0]].opened(Path(folder)) as one:
            print(one(Random(f"{options.seed}/{options.target[0]}/{options.only}")))
        return 0
    return _table(options, BY_NAME)


def _table(options: argparse.Namespace, targets: dict[str, Any]) -> int:
    sums: Counter[str] = Counter()
    findings: list[str] = []
    print(f"seed {options.seed}")
    print("".join(f"{word:>10}" for word in COLUMNS))
    for name in options.target or targets:
        count = options.inputs or max(1, int(targets[name].inputs * options.scale))
        begun = time.monotonic()
        total = watch(name, options.seed, range(options.first, options.first + count), plain=options.plain)
        outcomes: Counter[str] = total["outcomes"]
        sums["inputs"] += outcomes.total()
        findings += [f"{name} {one}" for one in total["found"]]
        told = (name, outcomes.total(), outcomes["answered"], outcomes["refused"], len(total["found"]))
        costs = (f"{total['slowest']:.2f}", total["peak_mb"], total["held_mb"], f"{time.monotonic() - begun:.0f}")
        print("".join(f"{word:>10}" for word in (*told, *costs)), flush=True)
    print(f"{sums['inputs']} inputs, {len(findings)} findings")
    kinds = {one.strip().splitlines()[-1][:120]: one for one in reversed(findings)}
    for one in list(kinds.values())[:SHOWN]:
        print(f"\n{one}", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
