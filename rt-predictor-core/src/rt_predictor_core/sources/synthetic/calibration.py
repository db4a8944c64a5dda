"""What is known of Eagle's jobs, and what had to be assumed.

The shares and quantiles come from the figures that NREL published with the data set
(https://github.com/NREL/eagle-jobs); everything marked "assumed" is published nowhere and set to be plausible.
"""

from __future__ import annotations

import numpy as np

FULL_ROWS = 11_030_377
"""Jobs in the full data set."""

USERS, ACCOUNTS = 936, 594
DAYS = 1560
"""Days between the first and the last submission of the full data set."""

LAST_DAY = np.datetime64("2025-12-31")
"""Last day of every synthetic log: fixed, so that a seed always gives the same log."""

USERS_POWER = 0.35
"""Assumed: a log of a share s of the jobs has s**0.35 of the users and s**0.65 of the days."""

JOBS_PER_CAMPAIGN = 120.0
"""Assumed: mean number of jobs that a user submits for one purpose."""

CAMPAIGN_SIZE_SPREAD = 1.6
CAMPAIGN_DAYS, CAMPAIGN_DAYS_SPREAD = 12.0, 0.9
"""Assumed: median length of a campaign [days] and log-normal spreads of size and length."""

STATE_SHARES = {"CANCELLED": 0.1644, "FAILED": 0.0884, "OUT_OF_MEMORY": 0.00185, "NODE_FAIL": 0.0011}
"""Shares of all jobs; COMPLETED and TIMEOUT are what remains."""

UNSTARTED = 0.4
"""Assumed: share of the cancelled jobs that never started."""

AT_LIMIT = 0.081
"""Share of the jobs in campaigns that always run into their limit; others do so by chance. Set for 9.8 % TIMEOUT among
finished jobs."""

RUN_QUANTILES = np.array(
    [
        (0.000, 1.0),
        (0.010, 3.0),
        (0.050, 14.0),
        (0.150, 60.0),
        (0.300, 210.0),
        (0.450, 570.0),
        (0.545, 990.0),
        (0.650, 1_900.0),
        (0.755, 4_320.0),
        (0.845, 8_640.0),
        (0.930, 21_600.0),
        (0.957, 43_200.0),
        (0.980, 86_400.0),
        (0.9968, 172_800.0),
        (0.9980, 259_200.0),
        (0.9992, 432_000.0),
        (1.0000, 864_000.0),
    ]
)
"""Run time of completed jobs: (share of jobs below, seconds)."""

FACTOR_QUANTILES = np.array(
    [
        (0.000, 1.0),
        (0.060, 1.6),
        (0.169, 2.95),
        (0.446, 10.27),
        (0.723, 58.2),
        (0.889, 265.7),
        (0.945, 657.0),
        (0.989, 10_908.0),
        (1.000, 300_000.0),
    ]
)
"""Requested over used wallclock of completed jobs: (share of jobs below, factor)."""

RUN_FACTOR_CORRELATION = -0.8
"""Assumed: limits vary less than run times, so short jobs ask for the greater multiple."""

LIMITS = np.array([5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 600, 720, 960, 1200, 1440, 2160, 2880])
LIMITS = np.concatenate((LIMITS, [4320, 5760, 7200, 8640, 10080, 11952, 14400])) * 60.0
"""Wallclock that people ask for [s]: round values and the limits of partitions."""

TIMEOUT_LIMITS = {
    600.0: 0.03,
    1_800.0: 0.08,
    3_600.0: 0.13,
    7_200.0: 0.04,
    14_400.0: 0.48,
    21_600.0: 0.03,
    28_800.0: 0.02,
    43_200.0: 0.03,
    86_400.0: 0.045,
    172_800.0: 0.11,
    345_600.0: 0.0035,
    864_000.0: 0.0015,
}
"""Requested wallclock [s] of the campaigns that run into it, with shares: the spikes of Eagle's run times."""

NODES = {1: 0.77, 2: 0.07, 4: 0.07, 8: 0.04, 16: 0.027, 32: 0.014, 64: 0.005, 128: 0.003, 256: 0.001}
"""Assumed: requested nodes with shares (known: nearly all below 22, few hundred thousand node-hours above 560)."""

PROCESSORS_PER_NODE = 36
NODE_MEMORY = 92_160.0
"""A standard node [MB]."""

WAIT_HOURS, WAIT_POWER, WAIT_SPREAD = 5.159, 0.535, 1.9
"""Mean wait [h] = 5.159 * (requested hours)**0.535; log-normal spread assumed."""

HOURS = np.array([2, 2, 1.5, 1.5, 1.5, 1.5, 2, 3, 5, 7, 8, 8, 7, 7.5, 8, 8, 7.5, 6.5, 5, 4, 3.5, 3, 3, 2.5])
"""Assumed: submissions by hour of the day, in any unit."""

WEEKDAYS = np.array([1.0, 1.1, 1.1, 1.05, 0.95, 0.5, 0.45])
"""Assumed: submissions by day of the week, from Monday, in any unit."""

OTHER_ACCOUNT, STEPPED, ON_GPUS, PART_OF_NODE = 0.2, 0.2, 0.07, 0.6
MEMORY_STATED, VARIED, ARRAYS, ALONE = 0.3, 0.3, 0.3, 0.4
DEBUGGED, BIG_MEMORY, STANDBY = 0.3, 0.02, 0.05
"""Assumed shares of the campaigns: on another account than the user's own, with a step in run time, on GPUs, on part of
a node (of those on one node), that state their memory, run on several sizes, submit arrays, submit one job at a time,
are debugged (of the small and short ones), need much memory, run on stand-by."""

EARLY_CRASHES, CRASH_SECONDS, CRASH_SPREAD = 0.6, 8.0, 1.5
"""Assumed: share of the failed jobs that fail at once, after how long [s, median] and its log-normal spread."""

SHORT_HOURS, STANDARD_HOURS, DEBUG_HOURS, DEBUG_NODES = 4, 48, 1, 2
"""Limits of the partitions short, standard and debug [h, h, h, nodes]."""

STEMS = (
    "run",
    "relax",
    "md",
    "sweep",
    "train",
    "wrf",
    "lammps",
    "vasp",
    "opensees",
    "bldg",
    "nalu",
    "geom",
    "scf",
    "mesh",
    "post",
    "fit",
    "turb",
    "prep",
    "case",
    "opt",
)
"""Words that job names begin with."""
