"""What a forecast costs: the service beside an empty call, the libraries' own calls, and MLServer with the same models.

Load comes from other processes, in bursts that take turns between the sides; each figure is the median over the rounds.
The status of every reply is read by a real client, and anything but a good reply or a refusal ends the run.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logs import add_log_options, log_of
from ours import train
from results import Benchmark
from serving_cases import CASES, Setting
from serving_jobs import Asked
from tables import cores, markdown

JOBS = 60_000
ROWS = 10_000
COLUMNS = {"case": "", "what": "", "ours": ",.2f", "peer": "", "peer's": ",.2f", "ratio": ".2f"}


def setting_of(asked: argparse.Namespace) -> Setting:
    """Return what the cases share; trains a model unless one is given."""
    log, models = log_of(asked), asked.models
    if models is None:
        models = asked.work / "serving-models"
        if not list(models.glob("*/manifest.json")):
            print(f"training with {asked.profile} ...", flush=True)
            train(log, asked.profile, asked.work, models.name)
    return Setting(Asked.of(log, models, asked.rows), models, asked.work, asked.seconds, asked.rounds)


def measure(setting: Setting, names: list[str]) -> list[dict[str, Any]]:
    """Return the rows of the cases; one that cannot run says so in a row of its own, loudly."""
    rows = []
    for name in names:
        try:
            for row in CASES[name](setting):
                print({key: value for key, value in row.items() if value not in {None, ""}}, flush=True)
                rows.append(row)
        except SystemExit as failure:
            reason = str(failure).strip().splitlines()[-1]
            print(f"{'!' * 72}\nSKIPPED {name}: {failure}\n{'!' * 72}", flush=True)
            rows.append({"case": name, "what": f"skipped: {reason}"})
    return rows


def text(figures: Mapping[str, Any]) -> str:
    """Return the table and what it was measured on."""
    caption = (
        f"Model {figures['profile']}, {figures['rows']:,} jobs asked about, {cores()} cores; "
        f"{figures['rounds']} rounds of {figures['seconds']:g} s."
    )
    return f"{caption}\n\n{markdown(COLUMNS, figures['table'])}"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_log_options(parser, JOBS)
    parser.add_argument("--models", type=Path, help="folder of models; default: one trained on the log, and kept")
    parser.add_argument("--profile", default="standard", help="of the model that is trained; default: standard")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"jobs that are asked about; default: {ROWS}")
    parser.add_argument("--rounds", type=int, default=3, help="bursts of each side; default: 3")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a burst; default: 1.5")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="which; default: all")


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures."""
    setting = setting_of(asked)
    table = measure(setting, asked.cases)
    kept = {"rows": asked.rows, "rounds": asked.rounds, "seconds": asked.seconds}
    return {"profile": setting.asked.artifact.manifest.profile, **kept, "table": table}


BENCHMARK = Benchmark(
    "serving",
    __doc__,
    arguments,
    run,
    text,
    small=("--jobs", "4000", "--profile", "quick", "--rows", "500", "--seconds", "0.5"),
)

if __name__ == "__main__":
    BENCHMARK.main()
