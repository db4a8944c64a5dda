"""Synthetic jobs as canonical record batches: words for indices."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from rt_predictor_core.schema import SCHEMA, STATES
from rt_predictor_core.sources.synthetic import calibration as known
from rt_predictor_core.sources.synthetic.campaigns import PARTITIONS, QOS, Ints, Plan
from rt_predictor_core.sources.synthetic.jobs import Jobs


class Words:
    """The words of a plan: what each index is called."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._user = _labels("user", int(plan.user.max()) + 1)
        self._account = _labels("account", int(plan.account.max()) + 1)
        self._partition = pl.Series([*PARTITIONS, *(f"{name}-stdby" for name in PARTITIONS)])
        self._stem = pl.Series(known.STEMS)

    def batch(self, jobs: Jobs) -> pa.RecordBatch:
        """Return jobs as one batch of ``schema.SCHEMA``."""
        plan, campaign = self._plan, jobs.campaign
        user, stem = self._user[plan.user[campaign]], self._stem[plan.stem[campaign]]
        name = self._name(jobs, stem)
        columns = {
            "job_id": pl.Series(jobs.job_id).cast(pl.String),
            "user": user,
            "account": self._account[plan.account[campaign]],
            "partition": self._partition[plan.partition[campaign]],
            "qos": pl.Series(QOS)[plan.qos[campaign]],
            "wallclock_req": plan.limit[campaign],
            "nodes_req": (plan.nodes[campaign] * jobs.nodes).astype(np.float64),
            "processors_req": (plan.processors[campaign] * jobs.nodes).astype(np.float64),
            "gpus_req": (plan.gpus[campaign] * jobs.nodes).astype(np.float64),
            "mem_req": plan.memory[campaign] * jobs.nodes,
            "submit_time": _moment(jobs.submit),
            "start_time": _moment(jobs.start),
            "end_time": _moment(jobs.end),
            "run_time": pl.Series(jobs.run).replace(-1.0, None),
            "state": pl.Series(STATES)[jobs.state],
            "name": name,
            "work_dir": self._work_dir(campaign, user, stem, name),
            "submit_line": pl.select(pl.format("sbatch {}.sh", stem)).to_series(),
        }
        table = pl.DataFrame(columns).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(SCHEMA)
        return table.combine_chunks().to_batches()[0]

    def _name(self, jobs: Jobs, stem: pl.Series) -> pl.Series:
        """Return a word alone, or with a number of four digits: run_0042."""
        numbered = pl.Series(self._plan.naming[jobs.campaign] > 0)
        digits = pl.Series(jobs.number).cast(pl.String).str.zfill(4)
        return (stem + "_" + digits).zip_with(numbered, stem)

    def _work_dir(self, campaign: Ints, user: pl.Series, stem: pl.Series, name: pl.Series) -> pl.Series:
        """Return a project's folder, or one per name in it: the latter for every second campaign with numbered jobs."""
        project = _labels("proj", int(self._plan.project.max()) + 1)[self._plan.project[campaign]]
        own = pl.Series(campaign % 2 == 0)
        return "/scratch/" + user + "/" + project + "/" + name.zip_with(own, stem)


def _labels(word: str, count: int) -> pl.Series:
    return pl.Series([f"{word}{i + 1:04d}" for i in range(count)])


def _moment(seconds: Ints) -> pl.Series:
    return (pl.Series(seconds).replace(-1, None) * 1000).cast(pl.Datetime("ms", "UTC"))
