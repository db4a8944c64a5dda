"""What is fuzzed: each target opens real parts and takes one input per call, made from the random numbers given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import artifacts
import frames
import grpc
import pyarrow as pa
import seeds
import service
import stores
from mutations import bend, reword

ANSWERED, REFUSED = "answered", "refused"
One = Callable[[Random], str]

MOST_TRAILER_BYTES = 8_192
"""What a status may take: clients refuse larger metadata by default."""

_TYPED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.NOT_FOUND,
}
_BATCH = "/rtpredictor.v1.PredictionService/PredictBatch"


@dataclass(frozen=True)
class Target:
    """Something that reads; ``inputs`` in a full run, ``few`` in the share that ``make test`` has."""

    name: str
    inputs: int
    few: int
    opened: Callable[[Path], AbstractContextManager[One]]


@contextmanager
def _handlers(folder: Path) -> Iterator[One]:
    """All calls without the network: for volume."""
    with service.running(folder) as running:
        valid = {method: list(messages) for method, messages in seeds.of_calls().items()}
        handlers = {method: service.handler_of(running, method) for method in valid}
        others = [message.SerializeToString() for messages in valid.values() for message in messages]

        def one(random: Random) -> str:
            method = random.choice(list(valid))
            raw = _inputs(random, valid[method], others)
            try:
                service.call(handlers[method], raw)
            except service.Aborted as aborted:
                return _refusal(aborted.status)
            return ANSWERED

        yield one


@contextmanager
def _wire(folder: Path, *, nginx: bool = False) -> Iterator[One]:
    """All calls as raw bytes through the real transport."""
    with service.running(folder, nginx=nginx) as running, grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        valid = seeds.of_calls()
        several = {"PredictStream", "ReportJobs"}
        calls = {
            method: channel.stream_stream(method)
            if method.rpartition("/")[2] in several
            else channel.unary_unary(method)
            for method in valid
        }
        others = [message.SerializeToString() for messages in valid.values() for message in messages]

        def one(random: Random) -> str:
            method = random.choice(list(valid))
            raw = _inputs(random, valid[method], others)
            try:
                if method.rpartition("/")[2] in several:
                    list(calls[method](iter(raw), timeout=60))
                else:
                    calls[method](raw[0], timeout=60)
            except grpc.RpcError as error:
                assert error.code() in _TYPED, error
                return REFUSED
            return ANSWERED

        yield one


@contextmanager
def _arrow(folder: Path) -> Iterator[One]:
    """Arrow payloads in PredictBatch."""
    with service.running(folder) as running:
        handler, streams = service.handler_of(running, _BATCH), _streams()

        def one(random: Random) -> str:
            stream = bend(random.choice(streams), streams, random)
            request = seeds.prediction.PredictBatchRequest(arrow_jobs=stream)
            try:
                service.call(handler, [request.SerializeToString()])
            except service.Aborted as aborted:
                return _refusal(aborted.status)
            return ANSWERED

        yield one


@contextmanager
def _frames(folder: Path, *, nginx: bool = False) -> Iterator[One]:
    """Connections whose frames are wrong; every so often a good client asks."""
    with service.running(folder, nginx=nginx) as running, grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        predict = channel.unary_unary(frames.PREDICT)
        good = seeds.of_calls()[frames.PREDICT][0].SerializeToString()
        valid = frames.valid_call(good)
        taken = 0

        def one(random: Random) -> str:
            nonlocal taken
            taken += 1
            wrong = bend(valid, [valid], random)
            answered = frames.exchanged(running.port, wrong)
            if taken % 20 == 0:
                predict(good, timeout=60)
            return ANSWERED if answered else REFUSED

        yield one


def _streams() -> list[bytes]:
    table, write = seeds.arrow_table(), seeds.arrow_stream
    odd = pa.table({"user": pa.array(["u"] * 3), "wallclock_req": pa.array([60.0] * 3, pa.float16())})
    batches = pa.concat_tables([odd, odd])
    columns = [table.select([name]) for name in table.column_names]
    newest, older = pa.ipc.MetadataVersion.V5, pa.ipc.MetadataVersion.V4
    return [
        *(write(table, metadata_version=version) for version in (newest, older)),
        *(write(each) for each in (*columns, batches)),
        write(table, compression="lz4"),
    ]


def _inputs(random: Random, valid: list[seeds.Message], others: list[bytes]) -> list[bytes]:
    """Return messages of a call: some bent as bytes, some changed within their types."""
    made = []
    for _ in range(random.choice((1, 1, 1, 2))):
        message = random.choice(valid)
        if random.random() < 0.5 and message.DESCRIPTOR.fields:  # both find what the other does not
            changed = type(message)()
            changed.CopyFrom(message)
            for _ in range(random.choice((1, 1, 2, 5))):
                reword(changed, random)
            made.append(changed.SerializeToString())
        else:
            made.append(bend(message.SerializeToString(), others, random))
    return made


def _refusal(status: grpc.Status) -> str:
    """Assert that a refusal is one of the contract, and fits what clients take."""
    assert status.code in _TYPED, status
    size = len(status.details) + sum(len(value) for _, value in status.trailing_metadata)
    assert size <= MOST_TRAILER_BYTES, f"a status of {size} bytes: {status.details[:200]}"
    return REFUSED


TARGETS = (
    Target("handlers", 550_000, 2_000, _handlers),
    Target("arrow", 400_000, 1_000, _arrow),
    Target("wire", 30_000, 300, _wire),
    Target("frames", 10_000, 100, _frames),
    Target("nginx-wire", 20_000, 100, partial(_wire, nginx=True)),
    Target("nginx-frames", 10_000, 100, partial(_frames, nginx=True)),
    Target("artifact", 20_000, 300, artifacts.opened),
    Target("journal", 20_000, 100, stores.journal),
    Target("redis", 20_000, 100, stores.redis),
    Target("forecasts", 10_000, 20, stores.forecasts),
)
BY_NAME = {target.name: target for target in TARGETS}
