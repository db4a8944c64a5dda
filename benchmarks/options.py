"""What each option of the libraries costs and is worth: the members, one thing at a time done otherwise.

Members are fitted on jobs that had ended before the newest fold began, and measured on that fold. Times and losses are
ratios to the profile's own settings of that member, in the same run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fitters import FAILURES
from logs import add_log_options, log_of
from results import Benchmark
from rt_predictor_core.features.table import used_columns
from rt_predictor_core.history.state import State
from rt_predictor_core.models.target import Target
from rt_predictor_core.scores import HOUR, pinball
from rt_predictor_training.course import Course
from rt_predictor_training.fit import blocks_of, course_of
from rt_predictor_training.ingest import Intake, ingest
from rt_predictor_training.members.member import Fold, Task
from rt_predictor_training.profiles import Profile, load_profile
from rt_predictor_training.walk import target_of, training_rows
from tables import cores, markdown
from variants import OWN, Variant, drawn, fitter, variants

JOBS = 300_000
WARM_UP = Variant("warm-up", rounds=0.01)
"""The first fit of a process loads libraries and compiles kernels; nobody reads what it says."""

_POOL = 2
"""So many times the profile's training rows are kept, for the variants that look further back."""


@dataclass(frozen=True)
class Bench:
    """What all variants share.

    Attributes
    ----------
    pool: rows of the course to fit on, int64, oldest first; a variant takes some of them. fold: the jobs to measure on.
    """

    course: Course
    profile: Profile
    target: Target
    pool: np.ndarray
    fold: slice

    @classmethod
    def of(cls, path: Path, profile: Profile) -> Bench:
        """Read and replay a log."""
        jobs = ingest(Intake((path,), profile.chunk_rows), lambda *_: None)
        more = replace(profile, train_jobs=_POOL * profile.train_jobs)
        course = course_of(jobs, State(), more, lambda *_: None)
        _, score = blocks_of(course, profile)
        target = target_of(course, training_rows(course, score.first, profile), profile)
        return cls(course, profile, target, training_rows(course, score.first, more), slice(score.first, score.last))

    @property
    def older(self) -> bool:
        """Whether there are older rows than those that the profile fits on."""
        return len(self.pool) > self.profile.train_jobs

    def task(self, name: str, variant: Variant) -> Task:
        """Return what a variant of a member is asked to do."""
        profile = self.profile
        seed = profile.seed + variant.other_seed
        wanted = int(variant.rows * min(len(self.pool), profile.train_jobs))
        rows = drawn(self.pool, wanted, np.random.default_rng(seed) if variant.recent else None)
        return Task(
            train=Fold(self.course.inputs(rows, queued=profile.queued), self._y(rows)),
            levels=profile.levels,
            trees=max(1, round(variant.rounds * profile.trees)),
            parameters=variant.settings(name, profile.members[name]),
            threads=profile.threads,
            seed=seed,
            on_tree=lambda: None,
        )

    def quantiles(self, predict: Any) -> np.ndarray:
        """Return what a fitted member says of the fold, float64[n, levels] in units of the target, none crossing."""
        used = used_columns(queued=self.profile.queued)
        said = np.asarray(predict(self.course.table[self.fold, :used]), float).reshape(-1, len(self.profile.levels))
        return np.sort(said, axis=1)

    def losses(self, said: np.ndarray) -> dict[str, float]:
        """Return the mean pinball loss over the levels, in units of the target, and the median's MAE [h]."""
        course, levels = self.course, np.array(self.profile.levels)
        request, run = course.wallclock_req[self.fold], course.run[self.fold]
        median = self.target.backward(said[:, levels == 0.5], request)[:, 0]  # noqa: PLR2004
        held = np.minimum(median, self.target.limit(request))
        return {
            "loss": pinball(said, self._y(np.arange(self.fold.start, self.fold.stop)), levels),
            "MAE h": float(np.abs(held - run).mean() / HOUR),
        }

    def _y(self, rows: np.ndarray) -> np.ndarray:
        run, request = self.course.run[rows], self.course.wallclock_req[rows]
        return self.target.forward(np.minimum(run, self.target.limit(request)), request)


def timed(bench: Bench, name: str, variant: Variant) -> tuple[dict[str, Any], np.ndarray]:
    """Return a row of the table, and what was said of the fold."""
    task = bench.task(name, variant)
    wall, cpu = time.perf_counter(), time.process_time()
    answer = fitter(name, variant)(task)
    took = {"fit s": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    said = bench.quantiles(answer.predict)
    row = {"member": name, "variant": variant.name, "rows": len(task.train), "remark": answer.remark}
    return {**row, **took, **bench.losses(said)}, said


def measure(bench: Bench, members: list[str], only: str = "") -> Iterator[dict[str, Any]]:
    """Yield a row per member and variant, with ratios to the member's own settings, as soon as each is measured.

    ``pinball of mean`` and ``MAE of mean`` are those of the plain mean of all members with this one otherwise.
    ``only``: text that a variant's name shall hold.
    """
    for name in bench.profile.members:
        timed(bench, name, WARM_UP)
    own = {name: timed(bench, name, Variant(OWN)) for name in bench.profile.members}
    mean = bench.losses(np.mean([said for _, said in own.values()], axis=0))
    yield {"member": "mean of all", "variant": OWN, "MAE h": mean["MAE h"]}
    for name in members:
        yield {**own[name][0], **_ratios(own[name][0], own[name][0], mean, mean)}
        others = [said for other, (_, said) in own.items() if other != name]
        for variant in variants(name, bench.profile, older=bench.older):
            if only not in variant.name:
                continue
            try:
                row, said = timed(bench, name, variant)
            except FAILURES as error:
                # the place in the library's source, a path of the machine that built it, helps nobody
                reason = str(error).strip().partition("\n")[0].partition(" at /")[0]
                yield {"member": name, "variant": variant.name, "remark": f"failed: {reason}"}
            else:
                together = bench.losses(np.mean([*others, said], axis=0))
                yield {**row, **_ratios(row, own[name][0], together, mean)}


def _ratios(
    row: dict[str, Any], own: dict[str, Any], together: dict[str, float], mean: dict[str, float]
) -> dict[str, float]:
    pairs = {"time": "fit s", "CPU": "cpu_seconds", "pinball": "loss", "MAE": "MAE h"}
    return {
        **{name: row[key] / own[key] for name, key in pairs.items()},
        "pinball of mean": together["loss"] / mean["loss"],
        "MAE of mean": together["MAE h"] / mean["MAE h"],
    }


_COLUMNS = {
    "member": "",
    "variant": "",
    "rows": ",",
    "fit s": ".1f",
    "time": ".2f",
    "CPU": ".2f",
    "MAE h": ".4f",
    "pinball": ".4f",
    "MAE": ".4f",
    "pinball of mean": ".4f",
    "MAE of mean": ".4f",
    "remark": "",
}


def text(figures: Mapping[str, Any]) -> str:
    """Return the table: seconds and hours, then ratios to the member's own settings and to the mean of all members."""
    caption = f"{figures['data']}, profile {figures['profile']}, {cores()} cores."
    return f"{caption}\n\n{markdown(_COLUMNS, figures['rows'])}"


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure, say how far it is, and return the figures."""
    profile, path = load_profile(asked.profile), log_of(asked)
    rows = []
    for row in measure(Bench.of(path, profile), asked.members or list(profile.members), asked.only):
        said = [f"{key} {row[key]:{spec}}" for key, spec in _COLUMNS.items() if spec and row.get(key) is not None]
        print(f"{row['member']}, {row['variant']}: {', '.join(said)} {row.get('remark', '')}".rstrip(), flush=True)
        rows.append(row)
    return {"data": path.name, "profile": profile.name, "rows": rows}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_log_options(parser, JOBS)
    parser.add_argument("--profile", default="standard", help="whose settings are the measure; default: standard")
    parser.add_argument("--members", nargs="+", help="which members; default: all")
    parser.add_argument("--only", default="", metavar="TEXT", help="only variants whose name holds this text")


BENCHMARK = Benchmark(
    "options", __doc__, arguments, run, text, small=("--jobs", "3000", "--profile", "quick", "--members", "lightgbm")
)

if __name__ == "__main__":
    BENCHMARK.main()
