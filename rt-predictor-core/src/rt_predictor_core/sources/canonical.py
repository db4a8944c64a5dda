"""From cells to canonical jobs: reads each column with its kind of value, and settles what columns say together.

Run time. ``run_time`` is trusted where a log gives it, for a suspended or requeued job truly ran for less than the
time between its start and its end. Where it is missing it becomes end - start; where the end is missing it
becomes start + run time. Jobs that are PENDING or RUNNING have neither.

Local times. The clocks of a zone show one hour twice each autumn. Such a time is read as the earlier moment, unless
that would put a start before its submission or an end further from start + run time than the later moment. A time
that the clocks skip in spring is no time: a reject.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from rt_predictor_core.schema import COLUMNS
from rt_predictor_core.sources import values
from rt_predictor_core.sources.contract import FAILURE, Chunk, Reading, Rows

TEXTS = ("job_id", "user", "account", "partition", "qos", "name", "work_dir", "submit_line")
NUMBERS = ("wallclock_req", "nodes_req", "processors_req", "gpus_req", "mem_req", "run_time")
TIMES = ("submit_time", "start_time", "end_time")

_ASKED = ("wallclock_req", "nodes_req", "processors_req")
_UNENDED = ("PENDING", "RUNNING")
_DTYPES = (
    dict.fromkeys(TEXTS, pl.String()) | dict.fromkeys(NUMBERS, pl.Float64()) | dict.fromkeys(TIMES, values.UTC_TIME)
)


class Draft:
    """The canonical columns of one chunk, while they are being read. Columns that are never put are null."""

    def __init__(self, rows: Rows, reading: Reading) -> None:
        self._rows = rows
        self._reading = reading
        self._columns: dict[str, pl.Series] = {}
        self._locals: dict[str, pl.Series] = {}
        self._misread: list[pl.DataFrame] = []

    def text(self, name: str, cells: pl.Series) -> None:
        """Read a column of text."""
        self.put(name, values.as_text(cells))

    def number(self, name: str, cells: pl.Series) -> None:
        """Read a column of numbers; a cell that is none becomes a reject."""
        self.parsed(name, cells, values.as_number)

    def parsed(self, name: str, cells: pl.Series, reader: Callable[[pl.Series], pl.Series]) -> None:
        """Read a column with ``reader``, which gives null for a cell that it cannot read: a reject."""
        column = reader(cells)
        self.put(name, column)
        self.blame(name, column.is_null() & ~values.missing(cells), "unreadable", cells)

    def time(self, name: str, cells: pl.Series) -> None:
        """Read a column of times; one without a zone is local to the reading's zone."""
        local, moment = values.as_times(cells)
        if local.null_count() < len(local):
            self._reading.notes.add(f"times without a zone were read as {self._reading.timezone}")
            self._locals[name] = local
            here = values.localised(local, self._reading.timezone, ambiguous="earliest")
            self.blame(name, local.is_not_null() & here.is_null(), "skipped_by_clock_change", cells)
            moment = moment.zip_with(moment.is_not_null(), here)
        self.put(name, moment)
        self.blame(name, moment.is_null() & ~values.missing(cells), "unreadable", cells)

    def state(self, cells: pl.Series) -> None:
        """Read the column of state words; a word that is none becomes a reject."""
        self.parsed("state", cells, values.as_states)

    def put(self, name: str, column: pl.Series) -> None:
        """Set a canonical column; its type must already be the column's."""
        self._columns[name] = column.alias(name)

    def blame(self, name: str, at: pl.Series, rule: str, cells: pl.Series) -> None:
        """Make rejects of the rows where ``at`` is true, for this column and rule."""
        rows = at.arg_true()
        if len(rows):
            shown = cells.gather(rows).cast(pl.String, strict=False)
            named = {"row": rows.cast(pl.Int64), "column": name, "rule": rule, "value": shown}
            self._misread.append(pl.DataFrame(named, schema=FAILURE))

    def finish(self) -> Chunk:
        """Return the chunk, all columns present, in canonical order and settled."""
        frame = self._rows.cells.select(
            self._columns.get(column.name, pl.lit(None, _DTYPES.get(column.name, pl.String())).alias(column.name))
            for column in COLUMNS
        )
        frame = self._ended(self._unrequested(self._folded(frame)))
        return Chunk(frame, pl.concat([pl.DataFrame(schema=FAILURE), *self._misread]), self._rows)

    def _folded(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Choose between the two readings of a local time that the clocks show twice."""
        for name, later_fits in _LATER_FITS.items():
            if name in self._locals:
                later = values.localised(self._locals[name], self._reading.timezone, ambiguous="latest").alias("later")
                choice = pl.when(pl.col("later").is_not_null() & later_fits).then("later").otherwise(name).alias(name)
                frame = frame.with_columns(later).with_columns(choice).drop("later")
        return frame

    def _unrequested(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Read a request of zero as none: no job can ask for no time, node or processor."""
        for name in _ASKED:
            zero = (frame[name] == 0).fill_null(value=False)
            self._reading.notes.count(f"{name} of 0 was read as not given", int(zero.sum()))
            frame = frame.with_columns(frame[name].set(zero, None))
        return frame

    def _ended(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Make run time and end agree with the state and with each other."""
        ended = ~pl.col("state").is_in(_UNENDED).fill_null(value=False)
        span = (pl.col("end_time") - pl.col("start_time")).dt.total_seconds(fractional=True)
        end = pl.col("start_time") + pl.duration(
            milliseconds=(pl.col("run_time") * 1000).clip(-1e14, 1e14).cast(pl.Int64)
        )
        frame = frame.with_columns(pl.when(ended).then(name).alias(name) for name in ("run_time", "end_time"))
        frame = frame.with_columns(pl.coalesce("run_time", span), pl.coalesce("end_time", end))
        shorter = frame.select((span - pl.col("run_time") > SPAN_TOLERANCE).sum()).item()
        self._reading.notes.count("run time shorter than from start to end (suspended or requeued), kept", shorter)
        return frame


SPAN_TOLERANCE = 60.0
"""How far the run time may be from end - start before the two count as different [s]."""

_FITS_RUN_TIME = (pl.col("later") - pl.col("start_time")).dt.total_seconds() - pl.col("run_time")
_LATER_FITS = {
    "start_time": (pl.col("start_time") < pl.col("submit_time")).fill_null(value=False),
    "end_time": (
        _FITS_RUN_TIME.abs()
        < ((pl.col("end_time") - pl.col("start_time")).dt.total_seconds() - pl.col("run_time")).abs()
    )
    .fill_null(pl.col("end_time") < pl.col("start_time"))
    .fill_null(value=False),
}
"""When the later of two readings of a local time is taken."""
