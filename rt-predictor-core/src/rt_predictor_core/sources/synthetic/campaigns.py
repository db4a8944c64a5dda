"""The plan of a synthetic log: who submits what kind of job, from which day to which, how many each day.

A campaign is a purpose that a user pursues for a while: one kind of job, submitted again and again with the same
request, whose run time has a level of its own, little spread, a slow drift and sometimes a step. This is what a
history can learn.

Levels are drawn so that their distribution *over jobs* is the one of ``calibration``, however unequal the campaigns
are: campaigns are ranked by correlated normal variables and placed at the share of the jobs that lies below them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rt_predictor_core.sources.synthetic import calibration as known

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MONTH = 30
_FIRST_WEEKDAY = 3
"""1970 began on a Thursday, counted from Monday."""

_LARGEST_SHARE = 0.01
"""No campaign has a greater share of the jobs, unless there are too few campaigns."""


@dataclass(frozen=True)
class Plan:
    """A log before its jobs are drawn. Arrays are per campaign unless they say otherwise.

    Attributes
    ----------
    user, account: who submits, on whose account; indices from 0.
    log_run: mean of the log run time [log s]; ``spread`` its standard deviation; ``drift`` its change over the
        campaign; ``step`` a change on the day ``step_day``.
    limit: requested wallclock [s].
    nodes, processors, gpus, memory: the request [count, count, count, MB]; processors and memory over all nodes.
    varied: whether the job is run on 1, 2 and 4 times the nodes, and is then shorter.
    partition, qos, stem, project: indices of words.
    naming: 0 always the same name, 1 a number per submission, 2 a number per job.
    array: whether jobs submitted together share one job id and second.
    together: how many jobs are submitted together.
    failing, cancelling: probabilities.
    first_day, days: when the campaign runs [days since the log's first].
    cell_campaign, cell_day, cell_jobs: per day on which a campaign submits, ordered by day: how many jobs.
    log_begin, log_days: first day of the log [days since 1970] and its length [days].
    """

    user: Ints
    account: Ints
    log_run: Floats
    spread: Floats
    drift: Floats
    step: Floats
    step_day: Ints
    limit: Floats
    nodes: Ints
    processors: Ints
    gpus: Ints
    memory: Floats
    varied: npt.NDArray[np.bool_]
    partition: Ints
    qos: Ints
    stem: Ints
    project: Ints
    naming: Ints
    array: npt.NDArray[np.bool_]
    together: Ints
    failing: Floats
    cancelling: Floats
    first_day: Ints
    days: Ints
    cell_campaign: Ints
    cell_day: Ints
    cell_jobs: Ints
    log_begin: int
    log_days: int


PARTITIONS = ("debug", "short", "standard", "long", "gpu", "gpul", "bigmem")
"""Partitions; each has a stand-by twin, ``<name>-stdby``, at its index + 7."""

PER_JOB = 2
"""The way of naming that gives each job a number of its own."""

QOS = ("normal", "high", "standby", "Unknown")


def plan(rows: int, seed: int) -> Plan:
    """Return the plan of a log of exactly ``rows`` jobs; the same seed gives the same plan."""
    rng = np.random.default_rng([seed, 0])
    scale = min(rows / known.FULL_ROWS, 1.0)
    users = max(1, round(known.USERS * scale**known.USERS_POWER))
    log_days = max(2, round(known.DAYS * rows / known.FULL_ROWS / scale**known.USERS_POWER))
    count = max(users, round(rows / known.JOBS_PER_CAMPAIGN))
    jobs = _sizes(rng, rows, count)
    user = _users(rng, users, count)
    first_day, days = _windows(rng, log_days, jobs)
    kinds = _Kinds(rng, user, jobs, first_day)
    log_begin = int((known.LAST_DAY - np.datetime64("1970-01-01")).astype(np.int64)) + 1 - log_days
    cells = _cells(rng, jobs, first_day, days, log_begin)
    return Plan(
        user=user,
        account=_accounts(rng, user, users),
        **kinds.run_time(),
        **kinds.request(),
        **kinds.habits(),
        step_day=rng.integers(0, days),
        first_day=first_day,
        days=days,
        log_begin=log_begin,
        log_days=log_days,
        **cells,
    )


def _sizes(rng: np.random.Generator, rows: int, count: int) -> Ints:
    """Share the jobs out to campaigns, very unequally."""
    weights = rng.lognormal(0.0, known.CAMPAIGN_SIZE_SPREAD, count)
    for _ in range(3):  # cutting the largest raises the others' shares: three rounds are near enough
        weights = np.minimum(weights / weights.sum(), max(_LARGEST_SHARE, 3 / count))
    return rng.multinomial(rows, weights / weights.sum())


def _users(rng: np.random.Generator, users: int, count: int) -> Ints:
    """Give each user one campaign and the others by Zipf's law."""
    activity = 1.0 / (np.arange(users) + 3.0)
    more = rng.choice(users, count - users, p=activity / activity.sum())
    return rng.permutation(np.concatenate((np.arange(users), more)))


def _accounts(rng: np.random.Generator, user: Ints, users: int) -> Ints:
    """Give each user a home account, and every fifth campaign to another one."""
    accounts = max(1, round(users * known.ACCOUNTS / known.USERS))
    home = rng.integers(0, accounts, users)[user]
    return np.where(rng.random(len(user)) < known.OTHER_ACCOUNT, (home * 7 + user) % accounts, home)


def _windows(rng: np.random.Generator, log_days: int, jobs: Ints) -> tuple[Ints, Ints]:
    """Return first day and length of each campaign; larger ones last longer."""
    size = (jobs / max(jobs.mean(), 1)) ** 0.4
    length = np.ceil(rng.lognormal(np.log(known.CAMPAIGN_DAYS), known.CAMPAIGN_DAYS_SPREAD, len(jobs)) * size)
    begin = rng.uniform(-0.5 * length, log_days)
    first = np.clip(begin, 0, log_days - 1).astype(np.int64)
    last = np.minimum(first + np.maximum(length, 1), log_days).astype(np.int64)
    return first, last - first


def _cells(rng: np.random.Generator, jobs: Ints, first_day: Ints, days: Ints, log_begin: int) -> dict[str, Any]:
    """Spread each campaign's jobs over its days: more on working days, in bursts; the sums are exact."""
    campaign = np.repeat(np.arange(len(jobs)), days)
    start = np.repeat(np.cumsum(days) - days, days)
    day = np.arange(len(campaign)) - start + first_day[campaign]
    weight = known.WEEKDAYS[(day + log_begin + _FIRST_WEEKDAY) % 7] * rng.lognormal(0.0, 1.0, len(day))
    below = np.concatenate(([0.0], np.cumsum(weight)))
    base, top = below[start], below[start + days[campaign]]
    edges = np.floor(jobs[campaign] * (below[1:] - base) / (top - base) + 1e-9).astype(np.int64)
    count = np.diff(edges, prepend=0)
    opening = np.arange(len(day)) == start
    count[opening] = edges[opening]
    order = np.lexsort((campaign, day))
    order = order[count[order] > 0]
    return {"cell_campaign": campaign[order], "cell_day": day[order], "cell_jobs": count[order]}


class _Kinds:
    """Draws what the jobs of each campaign are like."""

    def __init__(self, rng: np.random.Generator, user: Ints, jobs: Ints, first_day: Ints) -> None:
        self._rng = rng
        self._user = user
        self._jobs = jobs
        self._era = first_day // _MONTH
        self._count = len(jobs)
        self._level = self._latent(0.55, era=0.45)
        self._capped = self._placed(self._latent(0.4)) < known.AT_LIMIT
        self._limit, self._run = self._limits()

    def run_time(self) -> dict[str, Any]:
        """Draw level, spread, drift and step of the log run time."""
        rng, count = self._rng, self._count
        spread = np.exp(rng.normal(np.log(0.16), 0.8, count)).clip(0.01, 1.0)
        return {
            "log_run": np.log(self._run),
            "spread": np.where(self._capped, 0.1, spread),
            "drift": np.where(self._capped, 0.0, rng.normal(0.0, 0.3, count)),
            "step": np.where(rng.random(count) < known.STEPPED, rng.normal(0.0, 0.5, count), 0.0) * ~self._capped,
        }

    def request(self) -> dict[str, Any]:
        """Draw what the jobs ask for, and in which partition."""
        rng, count = self._rng, self._count
        nodes = _pick(self._placed(self._latent(0.5)), known.NODES).astype(np.int64)
        gpu = self._placed(self._latent(0.8)) < known.ON_GPUS
        part = (nodes == 1) & (rng.random(count) < known.PART_OF_NODE)
        cores = np.where(part, rng.choice([1, 1, 1, 2, 4, 8, 16, 18], count), known.PROCESSORS_PER_NODE)
        stated = rng.random(count) < known.MEMORY_STATED
        return {
            "limit": self._limit,
            "nodes": nodes,
            "processors": cores * nodes,
            "gpus": np.where(gpu, rng.integers(1, 3, count) * nodes, 0),
            "memory": np.where(stated, known.NODE_MEMORY * cores / known.PROCESSORS_PER_NODE * nodes, 0.0),
            "varied": (rng.random(count) < known.VARIED) & ~part & ~self._capped,
            **self._queues(nodes, gpu),
        }

    def habits(self) -> dict[str, Any]:
        """Draw how the user names, submits and loses the jobs."""
        rng, count = self._rng, self._count
        favourite = (self._user * 5 + rng.integers(0, 3, count)) % len(known.STEMS)
        array = rng.random(count) < known.ARRAYS
        alone = rng.random(count) < known.ALONE
        return {
            "stem": favourite,
            "project": rng.integers(0, 6, count),
            "naming": rng.choice(3, count, p=[0.5, 0.38, 0.12]),
            "array": array,
            "together": np.where(alone & ~array, 1, rng.geometric(0.08, count) + 1),
            "failing": self._chance(known.STATE_SHARES["FAILED"], 0.5, most=0.28),
            "cancelling": self._chance(known.STATE_SHARES["CANCELLED"], 0.6, most=0.6),
        }

    def _limits(self) -> tuple[Floats, Floats]:
        """Return requested wallclock and level of the run time; at-limit campaigns would run half as long again."""
        rho = known.RUN_FACTOR_CORRELATION
        run = _quantile(known.RUN_QUANTILES, self._placed(self._level, ~self._capped))
        asking = rho * self._level + np.sqrt(1 - rho**2) * self._latent(0.5)
        wanted = run * _quantile(known.FACTOR_QUANTILES, self._placed(asking, ~self._capped))
        distance = np.abs(np.log(known.LIMITS) - np.log(wanted)[:, None])
        distance[run[:, None] * 0.98 > known.LIMITS] = np.inf
        limit = known.LIMITS[distance.argmin(axis=1)]
        full = _pick(self._placed(self._latent(0.3), self._capped), known.TIMEOUT_LIMITS)
        return np.where(self._capped, full, limit), np.where(self._capped, full * 1.5, run)

    def _queues(self, nodes: Ints, gpu: npt.NDArray[np.bool_]) -> dict[str, Ints]:
        rng, hours = self._rng, self._limit / 3600
        short, standard = hours <= known.SHORT_HOURS, hours <= known.STANDARD_HOURS
        debug = (hours <= known.DEBUG_HOURS) & (nodes <= known.DEBUG_NODES)
        debug &= rng.random(self._count) < known.DEBUGGED
        big = ~gpu & standard & (rng.random(self._count) < known.BIG_MEMORY)
        cases = [(big, "bigmem"), (gpu & ~standard, "gpul"), (gpu, "gpu"), (debug, "debug"), (short, "short")]
        cases += [(standard, "standard"), (~standard, "long")]
        partition = np.select([case for case, _ in cases], [PARTITIONS.index(name) for _, name in cases])
        standby = rng.random(self._count) < known.STANDBY
        qos = np.where(standby, 2, rng.choice([0, 1, 3], self._count, p=[0.93, 0.06, 0.01]))
        return {"partition": partition + len(PARTITIONS) * standby, "qos": qos}

    def _chance(self, share: float, shape: float, *, most: float) -> Floats:
        """Return a probability per campaign, very unequal, whose mean over jobs is ``share``."""
        luck = self._rng.gamma(shape, 1.0, self._count)
        for _ in range(4):
            luck = np.minimum(luck * share / np.average(luck, weights=self._jobs + 1e-9), most)
        return luck

    def _latent(self, user: float, era: float = 0.0) -> Floats:
        """Return standard normal variables, correlated within a user and within a month."""
        ours = self._rng.standard_normal(self._user.max() + 1)[self._user]
        then = self._rng.standard_normal(self._era.max() + 1)[self._era]
        rest = np.sqrt(max(1 - user**2 - era**2, 0.0))
        latent: Floats = user * ours + era * then + rest * self._rng.standard_normal(self._count)
        return latent

    def _placed(self, latent: Floats, among: npt.NDArray[np.bool_] | None = None) -> Floats:
        """Return the share of the jobs in campaigns below each one, in (0, 1), counting those ``among`` alone."""
        weight = self._jobs * (1.0 if among is None else among) + 1e-9
        order = np.argsort(latent)
        placed: Floats = np.empty(self._count)
        placed[order] = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
        return placed


def _quantile(table: Floats, share: Floats) -> Floats:
    """Read a table of (share, value) between its rows, the values on a log scale."""
    values: Floats = np.exp(np.interp(share, table[:, 0], np.log(table[:, 1])))
    return values


def _pick(share: Floats, table: dict[float, float] | dict[int, float]) -> Floats:
    """Return the value of the table into whose share of the whole each given share falls."""
    edges = np.cumsum(list(table.values()))
    found = np.searchsorted(edges / edges[-1], share, side="right").clip(0, len(edges) - 1)
    values: Floats = np.array(list(table), np.float64)[found]
    return values
