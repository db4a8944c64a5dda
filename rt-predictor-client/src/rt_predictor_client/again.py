"""Streams that are tried again: by the client, because gRPC loses messages of those that it sends again itself.

Where a try ends while a message is on its way, gRPC's core may leave that message out of the next, as seen with 1.85:
the answers to those behind it would be taken for its own. So streams have a channel on which gRPC repeats nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import SystemRandom
from time import monotonic, sleep
from typing import TypeVar

import grpc

from rt_predictor_client.channel import ATTEMPTS, BACKOFF_FACTOR, FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS, RETRIED

Answer = TypeVar("Answer")

_CODES = frozenset(grpc.StatusCode[name] for name in RETRIED)
_RANDOM = SystemRandom()


def again(call: Callable[[float], Answer], seconds: float) -> Answer:
    """Return what a call answers, which is made again where nothing answers, as gRPC does with calls of one message.

    ``call`` gets the seconds that it may take; it raises grpc.RpcError, and so does this.
    """
    end = monotonic() + seconds
    for pause in _pauses():
        try:
            return call(max(0.0, end - monotonic()))
        except grpc.RpcError as error:
            if error.code() not in _CODES or monotonic() + pause > end:
                raise
        sleep(pause)
    return call(max(0.0, end - monotonic()))


def _pauses() -> Iterator[float]:
    longest = FIRST_BACKOFF_SECONDS
    for _ in range(ATTEMPTS - 1):
        yield _RANDOM.uniform(0.0, longest)
        longest = min(longest * BACKOFF_FACTOR, MOST_BACKOFF_SECONDS)
