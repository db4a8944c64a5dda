"""The canonical job: 18 columns with type, unit and bounds. The only list of them.

The columns are those of NREL's Eagle data set (https://github.com/NREL/eagle-jobs). Every source yields Arrow
record batches of ``SCHEMA``; the gRPC contract names its fields after these columns and a test holds its
validation rules to the bounds given here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

STATES = (
    "COMPLETED",
    "FAILED",
    "TIMEOUT",
    "CANCELLED",
    "OUT_OF_MEMORY",
    "NODE_FAIL",
    "PREEMPTED",
    "PENDING",
    "RUNNING",
)
"""What ``state`` may say; null where the log does not tell. PENDING and RUNNING jobs have no end yet."""

LATEST_TIME = 4_102_444_800
"""First moment that is no valid time any more [s since 1970]: 2100-01-01."""

_TIME = pa.timestamp("s", tz="UTC")


@dataclass(frozen=True)
class Column:
    """One column of the canonical schema.

    ``low`` and ``high`` are inclusive bounds in ``unit`` (for text, ``high`` is the greatest length in
    characters; for times, ``high`` is exclusive). ``at_submit`` tells whether the scheduler knows the value when
    the job is submitted: only such columns may become features.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    required: bool = False
    at_submit: bool = True


COLUMNS = (
    Column("job_id", pa.string(), "text", "the scheduler's job id; array tasks may share one", high=256),
    Column("user", pa.string(), "text", "login name of the submitting user", high=256),
    Column("account", pa.string(), "text", "account (project) that is charged", high=256),
    Column("partition", pa.string(), "text", "partition or queue", high=256),
    Column("qos", pa.string(), "text", "quality of service", high=256),
    Column(
        "wallclock_req", pa.float64(), "s", "requested wallclock, the limit at which the job is killed", 1, 31_622_400
    ),
    Column("nodes_req", pa.float64(), "count", "requested nodes", 1, 1_000_000),
    Column("processors_req", pa.float64(), "count", "requested processors over all nodes", 1, 100_000_000),
    Column("gpus_req", pa.float64(), "count", "requested GPUs over all nodes", 0, 1_000_000),
    Column("mem_req", pa.float64(), "MB", "requested memory over all nodes; 0: not given", 0, 1_000_000_000_000),
    Column("submit_time", _TIME, "time", "when the job was submitted", 0, LATEST_TIME, required=True),
    Column("start_time", _TIME, "time", "when the job started", 0, LATEST_TIME, at_submit=False),
    Column("end_time", _TIME, "time", "when the job ended", 0, LATEST_TIME, at_submit=False),
    Column("run_time", pa.float64(), "s", "wallclock used, start to end", 0, 31_622_400, at_submit=False),
    Column("state", pa.string(), "word", "how the job ended: one of STATES", at_submit=False),
    Column("name", pa.string(), "text", "job name", high=1024),
    Column("work_dir", pa.string(), "text", "working directory", high=4096),
    Column("submit_line", pa.string(), "text", "command line of the submission", high=16_384),
)

BY_NAME = {column.name: column for column in COLUMNS}

SCHEMA = pa.schema([pa.field(column.name, column.type, nullable=not column.required) for column in COLUMNS])
"""Arrow schema of every record batch that a source yields."""
