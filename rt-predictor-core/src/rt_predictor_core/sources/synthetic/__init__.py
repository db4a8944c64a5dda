"""Synthetic logs that look like Eagle's: any size, always the same for a seed, in bounded memory.

The published figures of Eagle (``calibration``) set the distribution of states, run times and requests; campaigns
with a start, an end and a drift (``campaigns``) give each user a history from which one can learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rt_predictor_core.schema import SCHEMA
from rt_predictor_core.sources.synthetic.campaigns import plan
from rt_predictor_core.sources.synthetic.jobs import draw
from rt_predictor_core.sources.synthetic.text import Words
from rt_predictor_formats.errors import Problem

__all__ = ["synthesize", "write_parquet"]

_ROW_GROUP = 128_000


def synthesize(rows: int, seed: int, *, chunk_rows: int = 100_000) -> Iterator[pa.RecordBatch]:
    """Yield ``rows`` jobs in the order of their submission, at most ``chunk_rows`` in a batch of ``schema.SCHEMA``.

    The jobs depend on ``rows`` and ``seed`` alone. Memory is bounded by ``chunk_rows`` and the plan of the campaigns
    (about 1 byte per job).

    Raises
    ------
    Problem
        ROWS_INVALID, SEED_INVALID, CHUNK_ROWS_INVALID for numbers out of range.
    """
    for code, place, number, least in (
        ("ROWS_INVALID", "rows", rows, 1),
        ("SEED_INVALID", "seed", seed, 0),
        ("CHUNK_ROWS_INVALID", "chunk_rows", chunk_rows, 1),
    ):
        if number < least:
            raise Problem(code, f"{number} is too small", place=place, remedy=f"give a number from {least}")
    return _rebatched(_drawn(rows, seed), chunk_rows)


def write_parquet(path: Path, rows: int, seed: int, *, on_progress: Callable[[int], None] | None = None) -> None:
    """Write a synthetic log as Eagle parquet; ``on_progress`` is told the number of jobs written so far.

    The file takes its name when it is complete; nothing stays behind where writing fails.

    Raises
    ------
    Problem
        LOG_UNWRITABLE where the file cannot be written; else as ``synthesize``.
    """
    batches = synthesize(rows, seed, chunk_rows=_ROW_GROUP)
    part = path.with_name(f".{path.name}.part")
    done = 0
    try:
        with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
                done += batch.num_rows
                if on_progress:
                    on_progress(done)
        part.replace(path)
    except OSError as error:
        remedy = "name a file in a writable folder with free space"
        thing = f"the log cannot be written: {error.strerror or error}"
        raise Problem("LOG_UNWRITABLE", thing, place=str(path), remedy=remedy) from None
    finally:
        part.unlink(missing_ok=True)


def _drawn(rows: int, seed: int) -> Iterator[pa.RecordBatch]:
    campaigns = plan(rows, seed)
    words = Words(campaigns)
    for jobs in draw(campaigns, seed):
        yield words.batch(jobs)


def _rebatched(batches: Iterator[pa.RecordBatch], chunk_rows: int) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count < chunk_rows:
            continue
        table = pa.concat_batches(held)
        full = count - count % chunk_rows
        for begin in range(0, full, chunk_rows):
            yield table.slice(begin, chunk_rows)
        held, count = [table.slice(full)], count - full
    if count:
        yield pa.concat_batches(held)
