"""Training against the usual pandas pipeline on the same log, cores and test jobs, one after another in one run.

The peer makes the same product, a median and a 90 % interval, with three libraries at their defaults. Its common form
uses run times of jobs that had not ended at a submit, so it is shown as it reports itself, as it would be in service,
and mended: fitted on features that know only what had ended.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from logs import WORK, synthetic
from ours import Training, timed, train, with_fold
from results import Benchmark
from tables import cores, markdown

JOBS = 1_000_000
MOST_JOBS = 50_000
"""The test jobs: a tenth of those that ran, the newest, and at most so many; all that are compared get the same."""

PROFILES = ("quick", "standard")
_FOLD = ("first_submit", "last_submit", "jobs")


def peer(log: Path, fold: int, past: str, work: Path) -> dict[str, Any]:
    """Run the peer's pipeline in a fresh process; see ``peer_pipeline.pipeline``."""
    answer = work / f"peer-{past}.json"
    script = Path(__file__).with_name("peer_pipeline.py")
    arguments = ("--data", log, "--fold", str(fold), "--past", past, "--json", answer)
    timed((sys.executable, script, *arguments), work / f"peer-{past}.txt")
    return dict(json.loads(answer.read_text("utf-8")))


def rows_of_peer(document: Mapping[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a row per kind of scores, ``names`` by kind; the times are those of the one pipeline."""
    seconds = document["seconds"]
    costs = {
        "read s": seconds["read"],
        "features s": seconds["features"],
        "fit s": sum(seconds.values()) - seconds["read"] - seconds["features"],
        "whole s": sum(seconds.values()),
        "peak MB": document["peak_memory_mb"],
    }
    return [{"pipeline": name, **costs, **_scores(document[kind])} for kind, name in names.items()]


def row_of_ours(name: str, training: Training) -> dict[str, Any]:
    """Return a row; the whole time is that of the process, with its start, its checks and publishing."""
    stages = training.manifest["stage_seconds"]
    return {
        "pipeline": name,
        "read s": stages["read"],
        "features s": stages["features"],
        "fit s": stages["fit"],
        "whole s": training.seconds,
        "peak MB": training.manifest["peak_memory_mb"],
        **_scores(training.ensemble),
    }


def _scores(scores: Mapping[str, float]) -> dict[str, float]:
    return {"MAE h": scores["mae_h"], "coverage": scores["coverage_90"], "width h": scores["width_90_h"]}


def check_same_fold(training: Training, document: Mapping[str, Any]) -> None:
    """Exit unless both were measured on the same jobs."""
    ours, theirs = ([fold[key] for key in _FOLD] for fold in (training.manifest["fold"], document["fold"]))
    if ours != theirs:
        raise SystemExit(f"error: the test jobs differ: ours {ours}, the peer's {theirs}")


def measure(jobs: int, most_jobs: int, profiles: Sequence[str], work: Path) -> dict[str, Any]:
    """Return a row per pipeline, and the share of jobs whose user's job before had not ended at their submit."""
    log = synthetic(work, jobs)
    trainings = {}
    for name in profiles:
        print(f"{name} ...", flush=True)
        trainings[name] = train(log, str(with_fold(name, most_jobs, work)), work, f"peer-models-{name}")
    fold = trainings[profiles[0]].manifest["fold"]["jobs"]
    documents = {}
    for past in ("shifted", "ended"):
        print(f"pandas, {past} ...", flush=True)
        documents[past] = peer(log, fold, past, work)
        for training in trainings.values():
            check_same_fold(training, documents[past])
    rows = [
        *(row_of_ours(f"rt-predictor-train, {name}", training) for name, training in trainings.items()),
        *rows_of_peer(
            documents["shifted"],
            {"as_reported": "pandas, as it reports itself (leaks)", "in_service": "the same, in service"},
        ),
        *rows_of_peer(documents["ended"], {"in_service": "pandas, mended: only ended jobs"}),
    ]
    for row in rows:
        for name, own in zip(profiles, rows, strict=False):
            row[f"time / {name}"] = row["whole s"] / own["whole s"]
    unfinished = documents["shifted"]["unfinished"]
    return {"jobs": jobs, "fold": fold, "profiles": [*profiles], "unfinished": unfinished, "rows": rows}


def text(figures: Mapping[str, Any]) -> str:
    """Return the table and what it was measured on."""
    columns = {
        "pipeline": "",
        **dict.fromkeys(("read s", "features s", "fit s", "whole s"), ".1f"),
        **{f"time / {name}": ".2f" for name in figures["profiles"]},
        "peak MB": ",.0f",
        "MAE h": ".3f",
        "coverage": ".1%",
        "width h": ".2f",
    }
    caption = (
        f"{figures['jobs']:,} synthetic jobs, {cores()} cores; scores on the newest {figures['fold']:,} that ran. "
        f"Of {figures['unfinished']:.0%} of the jobs the user's job before had not ended at their submit."
    )
    return f"{caption}\n\n{markdown(columns, figures['rows'])}"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"size of the log; default: {JOBS}")
    parser.add_argument("--most-jobs", type=int, default=MOST_JOBS, help=f"test jobs at most; default: {MOST_JOBS}")
    parser.add_argument("--profiles", nargs="+", default=PROFILES, help=f"ours; default: {' '.join(PROFILES)}")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of logs and models; default: benchmarks/work")


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures."""
    return measure(asked.jobs, asked.most_jobs, asked.profiles, asked.work)


BENCHMARK = Benchmark("peer", __doc__, arguments, run, text, small=("--jobs", "20000"))

if __name__ == "__main__":
    BENCHMARK.main()
