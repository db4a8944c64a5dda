"""What the service needs after hours: memory, open files and latency under mixed load, while models are swapped.

Single calls come at a fixed rate, beside them batches of Arrow, streams in chunks and reports of ended jobs, from
processes of their own. A window is a minute. In its last sixth batches and streams pause, and empty calls come beside
single ones: so that it shows which of a change is the service's and which is the machine's. What the first third of
the windows showed stands beside the last third.
"""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import psutil

from load import OPTIONS, Heard, Load, encoded, send
from logs import add_log_options, log_of
from ours import train
from results import Benchmark
from rt_predictor_core.artifact.load import newest, versions
from rt_predictor_core.artifact.rollback import roll_back
from rtpredictor.v1 import history_service_pb2, history_service_pb2_grpc, job_pb2
from servers import ours
from serving_cases import EMPTY
from serving_jobs import Asked
from tables import cores, markdown

JOBS = 60_000
ROWS = 2_000
WORKERS = 2
SERVICE = "/rtpredictor.v1.PredictionService/"
COLUMNS = {
    "minute": ",.1f",
    "calls": ",d",
    "refused": ",d",
    "p50 ms": ",.2f",
    "p99 ms": ",.2f",
    "calm p50 ms": ",.2f",
    "empty p50 ms": ",.2f",
    "memory MiB": ",.0f",
    "files": ",d",
    "swaps": ",d",
    "events": ",d",
}
WATCHED = ("p50 ms", "p99 ms", "calm p50 ms", "empty p50 ms", "memory MiB", "files")
CALM = 1 / 6
"""Share of a window in which batches and streams pause."""


class Beside:
    """What goes on beside the measured calls: reports of ended jobs, and swaps of the model."""

    def __init__(self, address: str, models: Path, asked: argparse.Namespace) -> None:
        self.events = self.swaps = 0
        self._address, self._models, self._asked = address, models, asked
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Report and swap until the block ends; an error ends the run."""
        with ThreadPoolExecutor(2) as pool:
            tasks = [pool.submit(self._report), pool.submit(self._swap)]
            try:
                yield
            finally:
                self._stop.set()
            for task in tasks:
                task.result()

    def _report(self) -> None:
        with grpc.insecure_channel(self._address, options=OPTIONS) as channel:
            stub = history_service_pb2_grpc.HistoryServiceStub(channel)
            while not self._stop.wait(1.0):
                request = history_service_pb2.ReportJobsRequest(events=[self._event() for _ in range(10)])
                if stub.ReportJobs(iter([request]), timeout=60).accepted != len(request.events):
                    raise SystemExit("error: a report was not accepted")

    def _event(self) -> job_pb2.JobEvent:
        self.events += 1
        number, now = self.events, int(time.time())
        job = job_pb2.Job(user=f"user{number % 50}", name=f"run_{number % 7}", wallclock_req=3600)
        job.job_id = f"soak-{number}"
        job.submit_time.FromSeconds(now - 600)
        event = job_pb2.JobEvent(job=job, state=job_pb2.JOB_STATE_COMPLETED)
        event.start_time.FromSeconds(now - 500)
        event.end_time.FromSeconds(now - number % 400)
        return event

    def _swap(self) -> None:
        """Let the older of two models become current again, and remove what that displaces."""
        while not self._stop.wait(self._asked.swap_seconds):
            roll_back(self._models, versions(self._models)[1], time.time())
            self.swaps += 1
            for version in versions(self._models)[2:]:
                shutil.rmtree(self._models / version)


def measured(address: str, asked: argparse.Namespace, jobs: Asked, beside: Beside) -> Iterator[dict[str, Any]]:
    """Yield a row for each window."""
    alone, arrow = encoded(*jobs.one_by_one()), encoded(jobs.as_arrow())
    chunks = encoded(*jobs.in_chunks(250))
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < 60 * asked.minutes:
        seconds = min(asked.window, 60 * asked.minutes - passed + 1)
        busy, calm = (1 - CALM) * seconds, CALM * seconds
        single = Load(address, SERVICE + "Predict", alone, seconds=busy, rate=asked.rate)
        mixed = together(
            single,
            Load(address, SERVICE + "PredictBatch", arrow, seconds=busy, rate=1.0),
            Load(address, SERVICE + "PredictStream", chunks, seconds=busy, stream=True, in_flight=1),
        )
        beside_empty = together(
            replace(single, seconds=calm), Load(address, EMPTY, encoded(b""), seconds=calm, rate=asked.rate)
        )
        yield row((time.monotonic() - begin) / 60, mixed, beside_empty, beside)


def together(*loads: Load) -> list[Heard]:
    """Send loads beside each other."""
    with ThreadPoolExecutor(len(loads)) as pool:
        return list(pool.map(send, loads))


def row(minute: float, mixed: list[Heard], calm: list[Heard], beside: Beside) -> dict[str, Any]:
    """Return what a window showed; latency is that of single calls, and of empty ones."""
    started = psutil.Process().children(recursive=True)
    processes = [one for one in started if "rt_predictor_api.worker" in one.cmdline() or one.name() == "nginx"]
    return {
        "minute": minute,
        "calls": sum(one.calls.total() for one in mixed + calm),
        "refused": sum(one.calls["RESOURCE_EXHAUSTED"] for one in mixed + calm),
        "p50 ms": mixed[0].ms(50),
        "p99 ms": mixed[0].ms(99),
        "calm p50 ms": calm[0].ms(50),
        "empty p50 ms": calm[1].ms(50),
        "memory MiB": sum(one.memory_info().rss for one in processes) / (1 << 20),
        "files": sum(one.num_fds() for one in processes),
        "swaps": beside.swaps,
        "events": beside.events,
    }


def thirds(table: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return of each watched column the median of the first third of the windows and of the last."""
    part = max(1, len(table) // 3)
    return {
        name: (median(one[name] for one in table[:part]), median(one[name] for one in table[-part:]))
        for name in WATCHED
    }


def text(figures: Mapping[str, Any]) -> str:
    """Return the table, and how the last third differs from the first."""
    lines = [
        (
            f"{WORKERS} workers, {cores()} cores; {figures['rate']:g} single calls and 10 events per second, one Arrow "
            f"batch of {figures['rows']:,} rows per second and one stream without pause; in the calm sixth of each "
            "window as many empty calls instead of those."
        ),
        "",
        markdown(COLUMNS, figures["table"]),
        "",
    ]
    for name, (first, last) in figures["thirds"].items():
        lines.append(f"- {name}: first third {first:,.2f}, last third {last:,.2f} ({100 * (last / first - 1):+.1f} %)")
    return "\n".join(lines)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_log_options(parser, JOBS)
    parser.add_argument("--profile", default="standard", help="of the model that is trained; default: standard")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"jobs that are asked about; default: {ROWS}")
    parser.add_argument("--minutes", type=float, default=20.0, help="how long; default: 20")
    parser.add_argument("--window", type=float, default=60.0, help="length of a window [s]; default: 60")
    parser.add_argument("--rate", type=float, default=100.0, help="single calls per second; default: 100")
    parser.add_argument("--swap-seconds", type=float, default=30.0, help="time between two swaps; default: 30")


def trained(asked: argparse.Namespace, profile: str) -> Path:
    """Return a model; it is trained once. There are two, so that a swap changes something."""
    folder = asked.work / f"soak-{profile}"
    if not list(folder.glob("*/manifest.json")):
        train(log_of(asked), profile, asked.work, folder.name)
    return newest(folder).path


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure and return the figures."""
    models = asked.work / "soak-models"
    shutil.rmtree(models, ignore_errors=True)
    for profile in ("quick", asked.profile):
        path = trained(asked, profile)
        shutil.copytree(path, models / path.name)
    jobs = Asked.of(log_of(asked), models, asked.rows)
    table = []
    with ours(models, asked.work, WORKERS) as address:
        beside = Beside(address, models, asked)
        with beside.running():
            for one in measured(address, asked, jobs, beside):
                print({name: round(value, 2) for name, value in one.items()}, flush=True)
                table.append(one)
    return {"rate": asked.rate, "rows": asked.rows, "table": table, "thirds": thirds(table)}


BENCHMARK = Benchmark(
    "soak",
    __doc__,
    arguments,
    run,
    text,
    small=(
        *("--jobs", "4000", "--rows", "200", "--minutes", "0.3", "--window", "5"),
        *("--rate", "20", "--swap-seconds", "4"),
    ),
)

if __name__ == "__main__":
    BENCHMARK.main()
