"""Load on a gRPC server from a process of its own: what to do comes from stdin, what came back goes to stdout, as JSON.

Messages are sent as they are given, encoded before, so that the same program loads any server. The status of every
reply is read by grpc's own client.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
GOOD, REFUSED = "OK", "RESOURCE_EXHAUSTED"
WARM_UP_CALLS = 20
PYTHON = (sys.executable, str(Path(__file__)))
LEAST_WAIT_SECONDS = 5.0
"""How long the replies of an open loop may stay out after its end."""


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes
    ----------
    address: host:port. method: full name. messages: sent in turn, base64; of a stream, all of them each time.
    in_flight: callers that each wait for their reply before they send the next. seconds: for how long.
    rate: calls per second that are sent whatever comes back, instead of callers; 0 for callers. stream: one per call.
    """

    address: str
    method: str
    messages: Sequence[str]
    in_flight: int = 1
    seconds: float = 1.5
    rate: float = 0.0
    stream: bool = False


@dataclass
class Heard:
    """What came back: calls by status; when good ones were sent and how long they took, how long refusals took [s]."""

    calls: Counter[str] = field(default_factory=Counter)
    sent: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Good replies per second."""
        return len(self.took) / self.seconds

    def share(self, code: str) -> float:
        """Return the share of the calls with a status."""
        return self.calls[code] / max(1, self.calls.total())

    def ms(self, percent: float) -> float:
        """Return a percentile of how long good calls took [ms]; not a number without any."""
        return 1000 * float(np.percentile(self.took, percent)) if self.took else float("nan")

    def refused_ms(self, percent: float) -> float:
        """Return a percentile of how long it took until calls were refused [ms]; not a number without any."""
        return 1000 * float(np.percentile(self.refused, percent)) if self.refused else float("nan")

    def take(self, code: str, sent: float, done: float) -> None:
        """Note a reply."""
        self.calls[code] += 1
        if code == GOOD:
            self.sent.append(sent)
            self.took.append(done - sent)
        elif code == REFUSED:
            self.refused.append(done - sent)


def encoded(*messages: bytes) -> list[str]:
    """Return messages as ``Load`` takes them."""
    return [base64.b64encode(message).decode() for message in messages]


def send(
    load: Load, processes: int = 1, expected: Sequence[str] = (GOOD, REFUSED), program: Sequence[str] = PYTHON
) -> Heard:
    """Send a load from so many processes, each its part of it; exits if a reply has another status than expected."""
    part = json.dumps({**asdict(load), "rate": load.rate / processes})
    with ThreadPoolExecutor(processes) as pool:
        done = list(pool.map(lambda _: _in_a_process(program, part), range(processes)))
    whole = Heard()
    for heard in done:
        whole.calls.update(heard["calls"])
        whole.sent += heard["sent"]
        whole.took += heard["took"]
        whole.refused += heard["refused"]
        whole.seconds = max(whole.seconds, heard["seconds"])
    if bad := set(whole.calls) - set(expected):
        raise SystemExit(f"error: {load.method} at {load.address} answered {', '.join(sorted(bad))}: {whole.calls}")
    return whole


def _in_a_process(program: Sequence[str], load: str) -> dict[str, Any]:
    done = subprocess.run(program, input=load.encode(), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"error: {program[-1]} ended with {done.returncode}")
    return dict(json.loads(done.stdout))


class _Caller:
    """A channel and its calls."""

    def __init__(self, load: Load) -> None:
        import grpc

        self._error = grpc.RpcError
        self._messages = [base64.b64decode(message) for message in load.messages]
        self._stream = load.stream
        self._channel = grpc.insecure_channel(load.address, options=OPTIONS)
        grpc.channel_ready_future(self._channel).result(30)
        make = self._channel.stream_stream if load.stream else self._channel.unary_unary
        self.call: Any = make(load.method)

    def messages(self) -> Iterator[bytes]:
        """Return the messages, again and again."""
        return itertools.cycle(self._messages)

    def once(self, message: bytes) -> str:
        """Call and wait; return the status."""
        try:
            if self._stream:
                for _ in self.call(iter(self._messages)):
                    pass
            else:
                self.call(message)
        except self._error as error:
            return str(error.code().name)
        return GOOD


def _callers(load: Load, heard: Heard) -> None:
    callers, lock = [_Caller(load) for _ in range(load.in_flight)], threading.Lock()
    for caller in callers:
        for message in itertools.islice(caller.messages(), 1 if load.stream else WARM_UP_CALLS):
            caller.once(message)
    end = time.perf_counter() + load.seconds

    def ask(number: int) -> None:
        # each begins elsewhere, so that equal messages do not meet
        for message in itertools.islice(callers[number].messages(), number * 101, None):
            sent = time.perf_counter()
            if sent > end:
                return
            code = callers[number].once(message)
            with lock:
                heard.take(code, time.time() - (time.perf_counter() - sent), time.time())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(load.in_flight)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard.seconds = time.perf_counter() - begin


def _at_rate(load: Load, heard: Heard) -> None:
    """Send at fixed moments; a reply counts from the moment at which its call was due."""
    callers, lock, left = [_Caller(load) for _ in range(4)], threading.Lock(), threading.Semaphore(0)
    messages, out = callers[0].messages(), list[Any]()

    def note(due: float, future: Any) -> None:
        with lock:
            heard.take(future.code().name, due, time.time())
        left.release()

    for caller in callers:
        caller.once(next(messages))
    begin, number = time.time(), round(load.rate * load.seconds)
    for i in range(number):
        due = begin + i / load.rate
        if (wait := due - time.time()) > 0:
            time.sleep(wait)
        # a call of which nobody holds the future is cancelled
        out.append(callers[i % len(callers)].call.future(next(messages)))
        out[-1].add_done_callback(lambda done, due=due: note(due, done))
    for _ in range(number):
        if not left.acquire(timeout=load.seconds + LEAST_WAIT_SECONDS):
            raise SystemExit("error: replies stayed out")
    heard.seconds = time.time() - begin


def main() -> None:
    """Do what stdin says."""
    load, heard = Load(**json.loads(sys.stdin.read())), Heard()
    (_at_rate if load.rate else _callers)(load, heard)
    print(json.dumps(vars(heard)))


if __name__ == "__main__":
    main()
