"""What a cell says: numbers, texts, times and states from text or typed columns.

Every reader maps a column of cells to a column of values in which null means "not given" or "cannot be read"; the
two are told apart with ``missing``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import polars as pl

TIME = pl.Datetime("ms")
"""A local time without its zone."""

UTC_TIME = pl.Datetime("ms", "UTC")
"""A moment."""

MISSING = ("", "nan", "nat", "none", "null", "na", "n/a", "<na>", "unknown")
"""Words, in lower case, with which logs say that a number or a time is not known."""

_PLAIN = "%Y-%m-%d %H:%M:%S"
_NAIVE_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
_ZONED_FORMATS = ("%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%#z")
_EPOCH = r"^\d{1,11}(\.\d*)?$"
_EPOCH_LIMIT = 1e11
_YEARS = (datetime(1, 1, 2), datetime(9999, 12, 30))  # noqa: DTZ001 - bounds of local times, which have no zone
"""Beyond these a number cannot be a time, and polars panics when it looks for a zone's clock changes."""

Ambiguous = Literal["earliest", "latest"]


def missing(cells: pl.Series) -> pl.Series:
    """Return where a cell gives no value, as bool[rows]."""
    if cells.dtype == pl.String:
        return cells.is_null() | cells.str.strip_chars().str.to_lowercase().is_in(MISSING)
    if cells.dtype.is_float():
        return cells.is_null() | cells.is_nan()
    return cells.is_null()


def as_text(cells: pl.Series) -> pl.Series:
    """Return cells as text without blanks around it; empty text is null. Whole floats lose their ".0"."""
    if cells.dtype.is_float():
        whole = cells.cast(pl.Int64, strict=False)
        cells = whole.cast(pl.String).zip_with(
            (whole == cells).fill_null(value=False), cells.fill_nan(None).cast(pl.String)
        )
    if cells.dtype.is_nested():
        return _nothing(pl.String(), cells)
    texts = cells.cast(pl.String, strict=False).str.strip_chars()
    return texts.set(texts == "", None)


def as_number(cells: pl.Series) -> pl.Series:
    """Return cells as float64, durations in seconds; null where a cell is no number."""
    if cells.dtype == pl.Duration:
        return cells.dt.total_milliseconds().cast(pl.Float64) / 1000
    if cells.dtype == pl.String:
        cells = cells.str.strip_chars()
    elif not (cells.dtype.is_numeric() or cells.dtype == pl.Null):
        return _nothing(pl.Float64(), cells)
    return cells.cast(pl.Float64, strict=False).fill_nan(None)


def as_times(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return cells as local times (``TIME``) and as moments (``UTC_TIME``).

    Each row has a value in at most one of the two: text without a zone and typed times without one are local; text
    with a zone, typed times with one, and numbers (seconds since 1970) are moments.
    """
    local, moment = _nothing(TIME, cells), _nothing(UTC_TIME, cells)
    if isinstance(cells.dtype, pl.Datetime):
        if cells.dtype.time_zone is None:
            return cells.cast(TIME), moment
        return local, cells.dt.convert_time_zone("UTC").cast(UTC_TIME)
    if cells.dtype == pl.Date:
        return cells.cast(TIME), moment
    if cells.dtype.is_numeric():
        return local, _from_epoch(cells.cast(pl.Float64, strict=False))
    if cells.dtype == pl.String:
        return _times_from_text(cells)
    return local, moment


def localised(local: pl.Series, timezone: str, *, ambiguous: Ambiguous) -> pl.Series:
    """Return local times as moments; null for a time that the zone's clocks skip.

    ``ambiguous`` is ``earliest`` or ``latest`` and decides for times that the clocks show twice.
    """
    sane = local.set(~local.is_between(*_YEARS), None)
    return sane.dt.replace_time_zone(timezone, ambiguous=ambiguous, non_existent="null").dt.convert_time_zone("UTC")


def as_states(cells: pl.Series) -> pl.Series:
    """Return state words in capitals, without what follows the word (``CANCELLED by 1001``)."""
    words = as_text(cells).str.to_uppercase().str.extract(r"^([A-Z_]+)", 1)
    return words.set(words.is_in(("UNKNOWN", "NONE", "NAN")), None)


def _nothing(dtype: pl.DataType, like: pl.Series) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, len(like))


def _from_epoch(seconds: pl.Series) -> pl.Series:
    sane = seconds.fill_nan(None).set(seconds.abs() > _EPOCH_LIMIT, None)
    return (sane * 1000).cast(pl.Int64, strict=False).cast(UTC_TIME)


def _times_from_text(cells: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Try the usual form on all cells, the rarer ones only where it fails: each try costs."""
    texts = cells.str.strip_chars().str.replace("T", " ", literal=True)
    local = texts.str.to_datetime(_PLAIN, strict=False, time_unit="ms")
    moment = _nothing(UTC_TIME, cells)
    odd = local.is_null() & ~missing(cells)
    if not odd.any():
        return local, moment
    rare = texts.set(~odd, None)
    seconds = rare.set(~rare.str.contains(_EPOCH), None).cast(pl.Float64, strict=False)
    naive = [rare.str.to_datetime(form, strict=False, time_unit="ms") for form in _NAIVE_FORMATS]
    zoned = [rare.str.to_datetime(form, strict=False, time_unit="ms").cast(UTC_TIME) for form in _ZONED_FORMATS]
    moment = pl.select(pl.coalesce(_from_epoch(seconds), *zoned)).to_series()
    local = pl.select(pl.coalesce(local, *naive)).to_series()
    return local.set(moment.is_not_null(), None), moment
