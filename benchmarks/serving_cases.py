"""What the serving benchmark measures: rows with our figure, a peer's in the same run, and the ratio."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow as pa

from flooding import flood
from load import GOOD, OPTIONS, REFUSED, WARM_UP_CALLS, Heard, Load, encoded, send
from natives import Natives
from rt_predictor_api.front import nginx
from rt_predictor_client import Client
from servers import empty, giving_way, mlserver, mlserver_request, on_cores, ours, peer_environment
from serving_jobs import Asked

PREDICT = "/rtpredictor.v1.PredictionService/Predict"
STREAM = "/rtpredictor.v1.PredictionService/PredictStream"
EMPTY = "/grpc.health.v1.Health/Check"
MLSERVER = "/inference.GRPCInferenceService/ModelInfer"

CUT = "CANCELLED"
"""How grpc ends some calls of those that it refuses while many arrive."""

OVERLOAD = 5
"""So many times what the service can do is sent to it."""

OVERLOAD_BURSTS = 10
"""That lasts for so many bursts: its first moments, in which the service finds out, are part of what is measured."""

BRIEF = 3
"""So many bursts of two processes and of one take the place of one."""

FEW = 5
IN_FLIGHT = 8
MANY = 16
CHUNK_ROWS = 250
ARROW_CHUNK_ROWS = 2_000
RATE = 200
"""Calls per second of the open loop."""


@dataclass(frozen=True)
class Setting:
    """What all cases share: jobs, models, a folder to work in, how long a burst lasts [s], and how many rounds."""

    asked: Asked
    models: Path
    work: Path
    seconds: float
    rounds: int

    def bursts(self, sides: Mapping[str, Load], expected: tuple[str, ...] = (GOOD, REFUSED)) -> dict[str, list[Heard]]:
        """Send a burst to each side in turn, round by round; see ``load.send``."""
        heard: dict[str, list[Heard]] = {name: [] for name in sides}
        for _ in range(self.rounds):
            for name, load in sides.items():
                heard[name].append(flood(load, self.work, expected))
        return heard

    def load(self, address: str, method: str, sent: Sequence[bytes], **more: Any) -> Load:
        """Return a burst."""
        return Load(address, method, encoded(*sent), seconds=self.seconds, **more)


def row(case: str, what: str, figure: float | None, peer: str = "", other: float | None = None) -> dict[str, Any]:
    """Return a row; the ratio is ours by the peer's."""
    ratio = figure / other if figure is not None and other else None
    return {"case": case, "what": what, "ours": figure, "peer": peer, "peer's": other, "ratio": ratio}


def middle(heard: Sequence[Heard], figure: Callable[[Heard], float]) -> float:
    """Return the median over the rounds."""
    return float(np.median([figure(one) for one in heard]))


def percent(level: float) -> Callable[[Heard], float]:
    """Return what reads a percentile [ms]."""
    return lambda heard: heard.ms(level)


def rate(heard: Heard) -> float:
    """Return good replies per second."""
    return heard.per_second


def unary(setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure one job per call beside a call that does nothing, on the same server; with and without the cache."""
    jobs = setting.asked.one_by_one()
    for case, entries, sent in (("unary", 0, jobs), ("unary, kept", 4096, jobs[:1])):
        with ours(setting.models, setting.work, forecast_cache_entries=entries) as address:
            sides = {"predict": (PREDICT, sent), "empty": (EMPTY, [b""])}
            heard = setting.bursts({name: setting.load(address, *what) for name, what in sides.items()})
            for level in (50, 95, 99):
                figures = [middle(heard[name], percent(level)) for name in sides]
                yield row(case, f"p{level} ms, 1 in flight", figures[0], "empty call", figures[1])
            if not entries:
                open_loop = {"predict": setting.load(address, PREDICT, sent, rate=float(RATE))}
                at_rate = setting.bursts(open_loop)["predict"]
                yield row(case, f"p99 ms at {RATE}/s, open loop", middle(at_rate, percent(99)))


def in_process(setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure the ensemble for one row and for many beside the libraries' own calls; one thread, no server."""
    table, forecaster = setting.asked.table(), setting.asked.artifact.forecaster
    natives = Natives(setting.asked.artifact.path / "members")
    single = [table[i : i + 1] for i in range(min(200, len(table)))]
    for what, rows, unit in (("us per row, one row", single, 1e6), (f"us per row, {len(table):,} rows", [table], 1e6)):
        sides = (forecaster.said, natives.said)  # ours walks the classifier's trees as well
        took = [[_seconds(side, rows) for side in sides] for _ in range(setting.rounds + 1)][1:]
        figures = unit * np.median(took, axis=0)
        yield row("in process", what, float(figures[0]), "library calls", float(figures[1]))


def _seconds(call: Callable[[np.ndarray], Any], tables: Sequence[np.ndarray]) -> float:
    """Return how long a call takes per row [s]."""
    begin = time.perf_counter()
    for table in tables:
        call(table)
    return (time.perf_counter() - begin) / sum(map(len, tables))


def peer(setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure the service beside MLServer with the same three native models, one row per call."""
    versions = {member.name: member.library_version for member in setting.asked.artifact.manifest.members}
    environment = peer_environment(setting.work, versions)
    # its codec takes no missing values; which way the trees are walked costs the same
    request = mlserver_request(environment, np.nan_to_num(setting.asked.table()[0].astype(float)).tolist())
    jobs = setting.asked.one_by_one()
    with (
        ours(setting.models, setting.work, forecast_cache_entries=0) as address,
        mlserver(environment, setting.asked.artifact.path, setting.work) as other,
    ):
        for callers in (1, IN_FLIGHT):
            sides = {
                "ours": setting.load(address, PREDICT, jobs, in_flight=callers),
                "theirs": setting.load(other, MLSERVER, [request], in_flight=callers),
            }
            heard = setting.bursts(sides)
            for what, figure in (("calls/s", rate), ("p95 ms", percent(95))):
                figures = [middle(heard[name], figure) for name in sides]
                yield row("peer", f"{what}, {callers} in flight", figures[0], "MLServer", figures[1])


def batch(setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure all jobs as Arrow in one call, beside the libraries' calls on one core; and as streams, beside that call.

    What is Arrow is measured from table to table, the client included.
    """
    jobs, table = setting.asked.jobs.num_rows, setting.asked.table()
    natives = Natives(setting.asked.artifact.path / "members")
    chunks = setting.asked.in_chunks(CHUNK_ROWS)
    took: list[tuple[float, ...]] = []
    with ours(setting.models, setting.work, forecast_cache_entries=0) as address, Client(address) as client:
        ways = (
            lambda: map(client.predict_arrow, setting.asked.payloads(jobs)),
            lambda: client.predict_arrow_many(setting.asked.payloads(ARROW_CHUNK_ROWS)),
        )
        for _ in range(setting.rounds + 1):
            arrow = [_answered(way(), jobs) for way in ways]
            rows = send(setting.load(address, STREAM, chunks, stream=True))
            took.append((*arrow, 1 / rows.per_second, jobs * _seconds(natives.said, [table])))
    whole, stream, rows, library = (jobs / float(np.median(column)) for column in zip(*took[1:], strict=True))
    yield row("batch", f"rows/s, {jobs:,} as Arrow", whole, "library calls in process", library)
    yield row("stream", f"rows/s, Arrow, {ARROW_CHUNK_ROWS:,} per message", stream, "in one call", whole)
    yield row("stream", f"rows/s, rows, {CHUNK_ROWS} per message", rows, "Arrow in one call", whole)


def _answered(answers: Iterator[bytes], jobs: int) -> float:
    """Return how long it takes until all answers are read as tables [s]; exits where jobs are not forecast."""
    begin = time.perf_counter()
    tables = [pa.ipc.open_stream(answer).read_all() for answer in answers]
    took = time.perf_counter() - begin
    if (told := sum(table["error"].null_count for table in tables)) != jobs:
        raise SystemExit(f"error: {told} of {jobs} jobs were forecast")
    return took


def workers(setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure two server processes beside one, saturated.

    They share the cores with nginx where it is, and with the load, which gives way to them. Each burst draws anew which
    worker has which connection, and how busy the machine is; so many are sent, and short ones.
    """
    jobs = setting.asked.one_by_one()
    setting = replace(setting, seconds=setting.seconds / BRIEF, rounds=setting.rounds * BRIEF)
    for case, before in _fronts("workers"):
        with ExitStack() as running:
            sides = {}
            for number in (2, 1):
                work = setting.work / f"workers-{number}"
                way = ours(setting.models, work, number, forecast_cache_entries=0, nginx=before)
                sides[str(number)] = setting.load(running.enter_context(way), PREDICT, jobs, in_flight=MANY)
            with giving_way():
                heard = setting.bursts(sides, (GOOD, REFUSED, CUT))
        two, one = (middle(of, rate) for of in heard.values())
        yield row(case, "calls/s of 2 processes, saturated", two, "1 process", one)


def overload(setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure what becomes of several times more calls than can be answered, and of those after them.

    The service, nginx included, keeps to one core and the load to the others: it comes from elsewhere.
    """
    for case, before in _fronts("overload"):
        with ExitStack() as running:
            with on_cores(0, 1):
                way = ours(setting.models, setting.work, forecast_cache_entries=0, nginx=before)
                address = running.enter_context(way)
            with on_cores(1, None):
                yield from _overloaded(case, setting, address)


def _fronts(case: str) -> Iterator[tuple[str, str]]:
    """Yield what a case is called without nginx before the service and with it, and the setting that makes it so."""
    yield case, "false"
    if nginx.program() is None:
        print(f"nginx: not found; {case} is measured without it")
        return
    yield f"{case}, with nginx", "true"


def _overloaded(case: str, setting: Setting, address: str) -> Iterator[dict[str, Any]]:
    jobs = setting.asked.one_by_one()
    few = setting.load(address, PREDICT, jobs, rate=RATE)
    heard: dict[str, list[Heard]] = {"quiet": [], "full": [], "over": []}
    recovered = []
    for _ in range(setting.rounds):
        heard["quiet"].append(flood(few, setting.work))
        heard["full"].append(flood(setting.load(address, PREDICT, jobs, in_flight=FEW), setting.work))
        rate_ = OVERLOAD * heard["full"][-1].per_second
        far_more = replace(setting.load(address, PREDICT, jobs, rate=rate_), seconds=OVERLOAD_BURSTS * setting.seconds)
        heard["over"].append(flood(far_more, setting.work, (GOOD, REFUSED, CUT)))
        last = max(heard["over"][-1].sent, default=0.0)
        recovered.append(_recovery(flood(few, setting.work), last, middle(heard["quiet"], percent(99))))
    quiet, full = middle(heard["quiet"], percent(99)), middle(heard["full"], rate)
    sent = middle(heard["over"], lambda one: one.calls.total() / one.seconds)
    yield row(case, "calls/s sent", sent, "what it can do", full)
    yield row(case, "calls/s answered", middle(heard["over"], rate), "what it can do", full)
    for level in (50, 99):
        answered = middle(heard["over"], percent(level))
        yield row(case, f"p{level} ms of answered calls", answered, f"p99 at {RATE}/s", quiet)
    yield row(case, "share refused", middle(heard["over"], lambda one: one.share(REFUSED)))
    if any(one.refused for one in heard["over"]):
        yield row(case, "p50 ms of refused calls", middle(heard["over"], lambda one: one.refused_ms(50)))
    yield row(case, "share cut off by the transport", middle(heard["over"], lambda one: one.share(CUT)))
    yield row(case, "seconds until p99 of before", float(np.median(recovered)))


def transport(setting: Setting) -> Iterator[dict[str, Any]]:
    """Measure what a call costs the processor in a server of threads and in one of asyncio that do nothing."""
    figures: dict[str, list[tuple[float, float]]] = {"threads": [], "asyncio": []}
    with empty("threads", setting.work) as one, empty("asyncio", setting.work) as other:
        for _ in range(setting.rounds):
            for kind, address in (("threads", one), ("asyncio", other)):
                with grpc.insecure_channel(address, options=OPTIONS) as channel:
                    spent = channel.unary_unary("/echo/Cpu")
                    before = float(spent(b""))
                    heard = send(setting.load(address, "/echo/Echo", [bytes(200)], in_flight=IN_FLIGHT))
                    # the warm-up of the load is among the calls that were paid for
                    calls = len(heard.took) + IN_FLIGHT * WARM_UP_CALLS
                    figures[kind].append((1e6 * (float(spent(b"")) - before) / calls, heard.ms(50)))
    for place, what in enumerate((f"processor us per call, {IN_FLIGHT} in flight", f"p50 ms, {IN_FLIGHT} in flight")):
        ours_, theirs = (float(np.median([pair[place] for pair in figures[kind]])) for kind in figures)
        yield row("transport", what, ours_, "asyncio", theirs)


def _recovery(after: Heard, end: float, usual: float) -> float:
    """Return after how long since ``end`` calls take at most what was usual [ms]: the first of ten in a row."""
    good = 1000 * np.array(after.took) <= usual
    runs = np.convolve(good, np.ones(10), "valid") >= 10  # noqa: PLR2004
    return float(after.sent[int(np.argmax(runs))] - end) if runs.any() else float("nan")


CASES: dict[str, Callable[[Setting], Iterator[dict[str, Any]]]] = {
    "unary": unary,
    "in-process": in_process,
    "peer": peer,
    "batch": batch,
    "workers": workers,
    "overload": overload,
    "transport": transport,
}
