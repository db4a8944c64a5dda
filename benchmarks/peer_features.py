"""Features as a usual pandas pipeline makes them: encoded columns, calendar, and each group's past run times.

Two kinds of past. ``shifted`` is what is commonly written, ``groupby`` and ``shift`` in submit order: it sees how long
jobs ran that had not ended when the next one was submitted. ``ended`` sees only what had ended by then.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

GROUPS = (["user"], ["user", "name"], ["user", "wallclock_req"])
NUMBERS = ["wallclock_req", "nodes_req", "processors_req", "gpus_req", "mem_req"]
TEXTS = ["user", "account", "partition", "qos", "name"]
WINDOW = 10
_TIMES = ["submit_time", "start_time", "end_time"]

Past = Callable[[pd.DataFrame, pd.Series], pd.DataFrame]


def read(path: Path) -> pd.DataFrame:
    """Return the jobs of a parquet log that ran, in submit order, numbered from 0."""
    jobs = pd.read_parquet(path, columns=[*TEXTS, *NUMBERS, *_TIMES, "run_time"])
    ran = (jobs["run_time"] > 0) & jobs["start_time"].notna() & jobs["end_time"].notna()
    return jobs[ran].sort_values("submit_time", kind="stable", ignore_index=True)


def table(jobs: pd.DataFrame, past: Past) -> pd.DataFrame:
    """Return a row of features per job; ``past`` makes those of the groups."""
    submit = jobs["submit_time"]
    columns = jobs[NUMBERS].assign(
        hour=submit.dt.hour,
        weekday=submit.dt.day_of_week,
        since_previous_s=submit.groupby(jobs["user"]).diff().dt.total_seconds(),
        **{name: jobs[name].astype("category").cat.codes for name in TEXTS},
    )
    parts = [columns]
    for keys in GROUPS:
        group = jobs.groupby(keys, sort=False, dropna=False).ngroup().rename("group")
        own = past(jobs, group).assign(count=group.groupby(group).cumcount())
        parts.append(own.add_prefix(f"{'_'.join(keys)}_"))
    return pd.concat(parts, axis=1)


def shifted(jobs: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """Return each job's past in its group [s], of the jobs submitted before it, whether they had ended or not."""
    return _after(jobs["run_time"], group).groupby(group).shift(1)


def ended(jobs: pd.DataFrame, group: pd.Series) -> pd.DataFrame:
    """Return each job's past in its group [s], of the jobs that had ended when it was submitted."""
    order = jobs["end_time"].argsort(kind="stable")
    by_end = jobs.iloc[order]
    own = group.iloc[order]
    known = _after(by_end["run_time"], own).assign(group=own, end_time=by_end["end_time"])
    asked = pd.DataFrame({"submit_time": jobs["submit_time"], "group": group})
    found = pd.merge_asof(asked, known, left_on="submit_time", right_on="end_time", by="group")
    return found.drop(columns=["submit_time", "end_time", "group"])


def _after(run: pd.Series, group: pd.Series) -> pd.DataFrame:
    """Return what each group's past is once a row is part of it, rows in the order that they are given."""
    grouped = run.groupby(group)
    return pd.DataFrame(
        {
            "last": run,
            "before_last": grouped.shift(1),
            "mean": grouped.expanding().mean().droplevel(0),
            f"mean_{WINDOW}": grouped.rolling(WINDOW, min_periods=1).mean().droplevel(0),
        },
        index=run.index,
    )


def unfinished(jobs: pd.DataFrame) -> float:
    """Return the share of jobs whose user's job before had not ended when they were submitted."""
    previous = jobs["end_time"].groupby(jobs["user"]).shift(1)
    return float((previous > jobs["submit_time"])[previous.notna()].mean())
