"""Bulk rows as Arrow: the same forecasts as rows, and nothing that is not asked for."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rt_predictor_api import arrow
from rt_predictor_api.convert import quantile_column
from rt_predictor_api.validation import LISTED_VIOLATIONS, InvalidRequest
from rt_predictor_core.features.keys import TIERS
from rt_predictor_core.schema import COLUMNS
from rtpredictor.v1.prediction_service_pb2 import PredictBatchRequest

NOW = 1_700_000_000


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=7)
    return sink.getvalue().to_pybytes()


def ask(client: Any, table: pa.Table, **fields: Any) -> pa.Table:
    response = client.prediction.PredictBatch(PredictBatchRequest(arrow_jobs=stream(table), **fields))
    assert response.model_version
    assert not response.results
    return pa.ipc.open_stream(response.arrow_results).read_all()


def rows(count: int) -> dict[str, list[Any]]:
    return {
        "user": [f"user{n % 4}" if n % 9 else None for n in range(count)],
        "name": [f"relax_{n}" for n in range(count)],
        "wallclock_req": [600 * (n + 1) if n % 3 else None for n in range(count)],
        "nodes_req": [n + 1 for n in range(count)],
        "mem_req": [0.5 * n for n in range(count)],
        "submit_time": [NOW + n for n in range(count)],
    }


def table(count: int = 30, **columns: Any) -> pa.Table:
    values = rows(count)
    arrays = {name: pa.array(column) for name, column in values.items()}
    arrays["submit_time"] = pa.array(values["submit_time"], pa.timestamp("s", "UTC"))
    return pa.table(arrays | {name: column for name, column in columns.items() if column is not None})


def refused(client: Any, refusal: Any, data: bytes) -> dict[str, str]:
    answer = refusal(lambda: client.prediction.PredictBatch(PredictBatchRequest(arrow_jobs=data)))
    assert answer.code == "INVALID_ARGUMENT"
    return answer.fields


def test_arrow_says_of_each_row_what_rows_say(client: Any, job: Any) -> None:
    result = ask(client, table(), risk=0.2).to_pylist()
    jobs = [
        job(**dict(zip(rows(30), values, strict=True)), processors_req=None)
        for values in zip(*rows(30).values(), strict=True)
    ]
    expected = client.prediction.PredictBatch(PredictBatchRequest(jobs=jobs, risk=0.2)).results
    for row, one in zip(result, expected, strict=True):
        forecast = one.forecast
        limited = forecast.HasField("probability_exceeds_request")
        assert row == {
            "median_seconds": forecast.median_seconds,
            "most_likely_seconds": forecast.most_likely_seconds,
            "lower_seconds": forecast.interval.lower_seconds,
            "upper_seconds": forecast.interval.upper_seconds,
            **{quantile_column(quantile.level): quantile.seconds for quantile in forecast.quantiles},
            "recommended_wallclock_seconds": forecast.recommended_wallclock.seconds,
            "probability_exceeds_request": forecast.probability_exceeds_request if limited else None,
            "tier": TIERS[forecast.tier - 1],
            "history_jobs": forecast.history_jobs,
            "degraded": None if limited else "no_wallclock_requested",
            "error": None,
        }


def test_columns_are_named_by_their_level() -> None:
    assert [quantile_column(level) for level in (0.05, 0.5, 0.9, 0.975, 0.005)] == [
        "q05_seconds",
        "q50_seconds",
        "q90_seconds",
        "q97_5_seconds",
        "q00_5_seconds",
    ]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("user", pa.array(rows(30)["user"]).dictionary_encode()),
        ("user", pa.array(rows(30)["user"], pa.large_string())),
        ("user", pa.array(rows(30)["user"], pa.string_view())),
        ("user", pa.array(rows(30)["user"], pa.large_string()).dictionary_encode()),
        ("nodes_req", pa.array(rows(30)["nodes_req"], pa.uint8())),
        ("nodes_req", pa.array(rows(30)["nodes_req"], pa.float32())),
        ("submit_time", pa.array(np.array(rows(30)["submit_time"]) * 10**9, pa.timestamp("ns"))),
        ("submit_time", pa.array(np.array(rows(30)["submit_time"]) * 1000, pa.timestamp("ms", "Europe/Berlin"))),
        ("qos", pa.nulls(30)),
        ("job_id", pa.array([str(n) for n in range(30)])),
    ],
)
def test_a_column_may_come_in_any_type_that_holds_its_values(client: Any, name: str, column: pa.Array) -> None:
    assert ask(client, table(**{name: column})) == ask(client, table())


def test_rows_without_submit_time_are_submitted_now(client: Any) -> None:
    missing = table().drop_columns(["submit_time"])
    unknown = table(submit_time=pa.nulls(30, pa.timestamp("s")))
    assert ask(client, missing)["error"].null_count == 30
    assert ask(client, unknown)["error"].null_count == 30


def test_no_rows_in_means_no_rows_out(client: Any) -> None:
    result = ask(client, table().slice(0, 0))
    assert result.num_rows == 0
    assert {"median_seconds", "error"} <= set(result.column_names)


def test_a_bad_value_makes_its_row_an_error_and_leaves_the_others_alone(client: Any) -> None:
    nodes = rows(30)["nodes_req"]
    mem = [0.5 * n for n in range(30)]
    nodes[4], mem[4], mem[9] = 0, -1.0, float("nan")
    result = ask(client, table(nodes_req=pa.array(nodes), mem_req=pa.array(mem)))
    errors = {row: text for row, text in enumerate(result["error"].to_pylist()) if text}
    assert set(errors) == {4, 9}
    assert errors[4].startswith(
        "nodes_req: must be greater than or equal to 1 and less than or equal to 1000000; mem_req:"
    )
    bad = result.take([4, 9]).drop_columns(["error"])
    assert all(column.null_count == 2 for column in bad.columns)
    good = [row for row in range(30) if row not in errors]
    assert result.take(good) == ask(client, table()).take(good)


def test_bad_values_only_are_answered_row_by_row(client: Any) -> None:
    assert ask(client, table(3, nodes_req=pa.array([0, -1, 10**9])))["error"].null_count == 0


@pytest.mark.parametrize("column", [column for column in COLUMNS if column.at_submit], ids=lambda column: column.name)
def test_the_bounds_are_those_of_the_schema(client: Any, column: Any) -> None:
    if column.unit == "text":
        values: pa.Array = pa.array(["x" * int(column.high), "x" * (int(column.high) + 1), "ä" * int(column.high)])
    elif column.unit == "time":
        values = pa.array([0, column.high, column.high - 1], pa.timestamp("s"))
    else:
        values = pa.array([column.low, column.high + 1, column.high])
    errors = ask(client, table(3, **{column.name: values}))["error"].to_pylist()
    assert errors[1].startswith(f"{column.name}: must ")
    assert [errors[0], errors[2]] == [None, None]


def test_unknown_columns_are_refused_by_name(client: Any, refusal: Any) -> None:
    fields = refused(client, refusal, stream(table(run_time=pa.array([1.0] * 30), colour=pa.array(["red"] * 30))))
    assert set(fields) == {"arrow_jobs.run_time", "arrow_jobs.colour"}
    assert "nodes_req" in fields["arrow_jobs.colour"]


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("nodes_req", pa.array(["1"] * 30), "a number"),
        ("nodes_req", pa.array([True] * 30), "a number"),
        ("user", pa.array([1] * 30), "text"),
        ("user", pa.array([b"a"] * 30), "text"),
        ("submit_time", pa.array([NOW] * 30), "a timestamp"),
        ("submit_time", pa.array(["2026-11-24"] * 30), "a timestamp"),
        ("name", pa.array([["a"]] * 30), "text"),
    ],
)
def test_a_column_of_the_wrong_type_is_named(
    client: Any, refusal: Any, name: str, column: pa.Array, expected: str
) -> None:
    fields = refused(client, refusal, stream(table(**{name: column})))
    assert set(fields) == {f"arrow_jobs.{name}"}
    assert fields[f"arrow_jobs.{name}"].startswith(f"must be {expected}, not ")


def test_a_column_that_occurs_twice_is_named(client: Any, refusal: Any) -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["user", "user"])
    assert set(refused(client, refusal, stream(twice))) == {"arrow_jobs.user"}


@pytest.mark.parametrize("data", [b"x", b"\0" * 64, stream(table())[:-200], stream(table())[:500], b"PAR1" * 99])
def test_bytes_that_are_no_intact_stream_are_refused(client: Any, refusal: Any, data: bytes) -> None:
    assert "no intact Arrow IPC stream" in refused(client, refusal, data)["arrow_jobs"]


def test_more_rows_than_the_limit_are_refused_with_the_limit(client: Any, refusal: Any) -> None:
    assert ask(client, table(600)).num_rows == 600
    text = refused(client, refusal, stream(table(601)))["arrow_jobs"]
    assert "are more than 600" in text
    assert "RT_PREDICTOR_MAX_ARROW_ROWS" in text


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_buffers_are_refused_before_they_grow(client: Any, refusal: Any, codec: str) -> None:
    bomb = pa.table({"user": pa.array(["x" * 200] * 500), "nodes_req": pa.array([1] * 500)})
    assert "compressed" in refused(client, refusal, stream(bomb, compression=codec))["arrow_jobs"]
    coded = pa.table({"user": pa.array(["x" * 200] * 500).dictionary_encode()})
    assert "compressed" in refused(client, refusal, stream(coded, compression=codec))["arrow_jobs"]


def test_a_dictionary_that_would_decode_to_very_much_text_is_refused() -> None:
    large = pa.DictionaryArray.from_arrays(np.zeros(50_000, np.int32), pa.array(["x" * 4_000]))
    with pytest.raises(InvalidRequest, match="RT_PREDICTOR_MAX_MESSAGE_BYTES"):
        arrow.read(stream(pa.table({"work_dir": large})), NOW, 10**6, 1 << 20)


def test_damaged_streams_are_read_or_refused_and_nothing_else() -> None:
    whole, luck = stream(table(40, user=pa.array(["a", "b"] * 20).dictionary_encode())), random.Random(3)  # noqa: S311 - no secret
    outcomes = set()
    for _ in range(1_500):
        damaged = bytearray(whole)
        for _ in range(luck.choice([1, 1, 2, 6])):
            damaged[luck.randrange(len(damaged))] = luck.choice([0, 1, 127, 128, 255])
        try:
            outcomes.add(type(arrow.read(bytes(damaged), NOW, 1_000, 1 << 20)).__name__)
        except InvalidRequest:
            outcomes.add("refused")
    assert outcomes == {"Asked", "refused"}


def views(count: int, shared: bytes) -> pa.Array:
    """Return a column of texts that all look at the same bytes."""
    view = np.zeros((count, 4), np.int32)
    view[:, 0], view[:, 1] = len(shared), int.from_bytes(shared[:4], "little")
    return pa.Array.from_buffers(pa.string_view(), count, [None, pa.py_buffer(view.tobytes()), pa.py_buffer(shared)])


def test_texts_that_share_their_bytes_are_refused_before_they_are_read() -> None:
    data = stream(pa.table({"user": views(100_000, b"x" * 100_000)}))
    with pytest.raises(InvalidRequest, match="decoded values"):
        arrow.read(data, NOW, most_rows=100_000, most_bytes=16 << 20)


def test_texts_that_share_few_bytes_are_read() -> None:
    data = stream(pa.table({"user": views(20, b"no inlined text")}))
    assert len(arrow.read(data, NOW, most_rows=100, most_bytes=1_000)) == 20


def test_a_dictionary_of_views_is_refused() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["a", "b"], pa.string_view()))
    with pytest.raises(InvalidRequest, match="must be text"):
        arrow.read(stream(pa.table({"user": column})), NOW, most_rows=10, most_bytes=1_000)


def test_compression_that_is_noted_as_long_ago_is_refused() -> None:
    unfolded = bytes(1 << 20)
    body = len(unfolded).to_bytes(8, "little") + pa.compress(unfolded, codec="lz4", asbytes=True)
    batch = pa.record_batch({"nodes_req": pa.Array.from_buffers(pa.uint8(), len(body), [None, pa.py_buffer(body)])})
    sink, older = pa.BufferOutputStream(), pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V4)
    with pa.ipc.new_stream(sink, batch.schema, options=older) as writer:
        writer.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "lz4"})
    data = sink.getvalue().to_pybytes()
    # Arrow would unfold it
    assert pa.ipc.open_stream(data).read_next_batch().column(0).buffers()[1].size == len(unfolded)
    with pytest.raises(InvalidRequest, match="compressed"):
        arrow.read(data, NOW, most_rows=100_000, most_bytes=16 << 20)


def test_thousands_of_unknown_columns_are_told_in_few_words() -> None:
    data = stream(pa.table({f"column{n}": [1] for n in range(3_000)}))
    with pytest.raises(InvalidRequest) as caught:
        arrow.read(data, NOW, most_rows=10, most_bytes=16 << 20)
    assert len(caught.value.violations) == LISTED_VIOLATIONS + 1
