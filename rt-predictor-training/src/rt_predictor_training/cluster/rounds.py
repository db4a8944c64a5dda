"""How far a fit on the workers is: each boosting round travels as an event to the process that waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from distributed import Client, get_worker


class Rounds:
    """Rounds of one fit, told once each, however often the fit has to begin anew."""

    def __init__(self, on_tree: Callable[[], None], total: int) -> None:
        self._on_tree, self._total, self._told = on_tree, total, 0
        self.done = 0

    def tell(self) -> None:
        """Tell of the rounds that were done since; the caller's thread is the one that ``on_tree`` runs in."""
        while self._told < min(self.done, self._total):
            self._told += 1
            self._on_tree()

    def finish(self) -> None:
        """Tell of all rounds: an event may still be on its way, and a library may need fewer rounds."""
        self.done = self._total
        self.tell()


@dataclass(frozen=True)
class Teller:
    """Called on a worker after each round; of all that grow the same trees ``address`` alone tells of it."""

    topic: str
    address: str

    def __call__(self) -> None:
        """Send one event."""
        worker = get_worker()
        if worker.address == self.address:
            worker.log_event(self.topic, 1)


@contextmanager
def told(client: Client, rounds: Rounds, address: str) -> Iterator[Teller]:
    """Count the rounds of one attempt that the worker at ``address`` tells of."""
    topic = f"rt-predictor-rounds-{uuid4()}"
    counted = 0

    def count(_event: tuple[float, Any]) -> None:
        nonlocal counted
        counted += 1
        rounds.done = max(rounds.done, counted)

    client.subscribe_topic(topic, count)
    try:
        yield Teller(topic, address)
    finally:
        if client.status == "running":
            client.unsubscribe_topic(topic)
