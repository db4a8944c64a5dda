"""The journal in a Redis stream, for several machines: the same promises as the file, kept by a server.

Appending is one script, which Redis runs as a whole: what is new is remembered by its identity and added to the
stream. A thread of each process waits for what others append and moves the mark, so that a forecast asks Redis only
where there is something to read, and knows when the server is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from threading import Event as Flag
from threading import Thread
from typing import Any

import structlog
from redis import Redis, RedisError
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry

from rt_predictor_api.breaker import Breaker, Open
from rt_predictor_api.settings import variable
from rt_predictor_core.history.events import Entry, Event, Lesson, entry_of, row_of
from rt_predictor_formats.errors import Problem

STREAM, KNOWN, NUMBER = "{rtpredictor}:journal", "{rtpredictor}:known", "{rtpredictor}:number"
"""Keys of the entries, of the identities of events, and of the newest number; in one slot of a Redis cluster."""

EVENTS_AT_A_TIME = 1_000
"""Events that one script adds; the server answers nobody else meanwhile."""

ENTRIES_AT_A_TIME = 2_000
WAIT_SECONDS = 1.0
"""How long one look for new entries waits for them."""

RETRIES = 2
BREAK_AFTER, TRY_AFTER_SECONDS = 3, 5.0
"""Calls that fail in a row until further ones fail at once, and for how long they do."""

_APPEND = """
local new = {}
for i = 1, #ARGV, 2 do
  new[#new + 1] = redis.call('SADD', KEYS[2], ARGV[i])
  if new[#new] == 1 then
    redis.call('XADD', KEYS[1], redis.call('INCR', KEYS[3]) .. '-1', 'entry', ARGV[i + 1])
  end
end
return new
"""


class RedisJournal:
    """Events in the order in which they were first reported; for several threads, processes and machines.

    Parameters
    ----------
    url: ``redis://`` or ``rediss://`` with user, password, host, port and database.
    seconds: how long one answer of the server may take.
    trusted: do not ask whether the server keeps what it acknowledges.

    Raises
    ------
    Problem
        ``SETTING_INVALID`` for an address that is none. A server that does not answer may come later.
    """

    def __init__(self, url: str, seconds: float, *, trusted: bool = False) -> None:
        self._redis = _client(url, seconds, seconds, Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.5), RETRIES))
        # one that waits for entries must not try again: that something is wrong is what it has to tell
        self._waiting = _client(url, seconds, WAIT_SECONDS + seconds, Retry(NoBackoff(), 0))
        self._place = self._redis.connection_pool.connection_kwargs.get("host", "redis")
        self._append = self._redis.register_script(_APPEND)
        self._breaker = Breaker(BREAK_AFTER, TRY_AFTER_SECONDS, RedisError)
        self._kept = trusted
        self._number = 0
        self._gone: str | None = "not reached yet"
        self._log = structlog.get_logger()
        self._stop, self._looked = Flag(), Flag()
        self._thread = Thread(target=self._run, name="redis", daemon=True)
        self._thread.start()
        # so that a service that starts beside a server that answers begins with its entries
        self._looked.wait(WAIT_SECONDS + seconds)

    def append(self, events: Sequence[Event], lessons: Sequence[Lesson | None] | None = None) -> list[bool]:
        """Store events with what they taught; when this returns the server keeps them.

        Returns one flag per event: True where it is new. Where it raises, some may be stored: report them again.

        Raises
        ------
        Problem
            ``HISTORY_UNAVAILABLE`` where the server does not answer or refuses, ``HISTORY_NOT_DURABLE`` where it would
            acknowledge what it may lose.
        """
        taught = lessons or [None] * len(events)
        pairs = [
            (_identity(event), json.dumps(row_of(event, lesson))) for event, lesson in zip(events, taught, strict=True)
        ]
        new: list[bool] = []
        with self._explained(), self._breaker.calling():
            self._require_durable()
            for begin in range(0, len(pairs), EVENTS_AT_A_TIME):
                some = [text for pair in pairs[begin : begin + EVENTS_AT_A_TIME] for text in pair]
                new += [flag == 1 for flag in self._append(keys=[STREAM, KNOWN, NUMBER], args=some)]
            if any(new):
                self._number = int(self._redis.get(NUMBER) or 0)
        return new

    def mark(self) -> int:
        """Return the number of the newest entry that this process knows of.

        Raises
        ------
        Problem
            ``HISTORY_UNAVAILABLE`` while the server does not answer.
        """
        if self._gone is not None:
            raise self._unavailable(self._gone)
        return self._number

    def newest(self) -> int:
        """Return the number of the newest entry; 0 where there is none.

        Raises
        ------
        Problem
            ``HISTORY_UNAVAILABLE`` where the server does not answer.
        """
        with self._explained(), self._breaker.calling():
            return int(self._redis.get(NUMBER) or 0)

    def replay(self, after: int = 0) -> Iterator[Entry]:
        """Yield what was stored later than the entry ``after``, in order of arrival.

        Raises
        ------
        Problem
            ``HISTORY_UNAVAILABLE`` where the server does not answer, ``HISTORY_CORRUPT`` where an entry cannot be read.
        """
        while True:
            with self._explained(), self._breaker.calling():
                page: Any = self._redis.xrange(STREAM, min=f"({after}-1", count=ENTRIES_AT_A_TIME)
            for key, fields in page:
                after = int(key.partition(b"-")[0])
                yield self._entry(after, fields)
            if len(page) < ENTRIES_AT_A_TIME:
                return

    def close(self) -> None:
        """End the thread and the connections."""
        self._stop.set()
        self._thread.join()
        self._redis.close()
        self._waiting.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except RedisError as error:
                if self._gone is None:
                    self._log.error("redis does not answer", place=self._place, problem=str(error))
                self._gone = str(error)
                self._looked.set()
                self._stop.wait(WAIT_SECONDS)

    def _look(self) -> None:
        """Wait for entries that this process does not know of, and move the mark to the newest."""
        if self._gone is None:
            self._waiting.xread({STREAM: f"{self._number}-1"}, count=1, block=int(1000 * WAIT_SECONDS))
        newest = int(self._waiting.get(NUMBER) or 0)
        self._number = max(newest, self._number)
        self._gone = None
        self._looked.set()

    def _require_durable(self) -> None:
        """Do nothing where the server brings everything to disk before it answers."""
        if self._kept:
            return
        told: Any = self._redis.config_get("append*")
        if (told.get("appendonly"), told.get("appendfsync")) != ("yes", "always"):
            raise Problem(
                "HISTORY_NOT_DURABLE",
                "Redis acknowledges what a power cut may take",
                place=self._place,
                remedy=f"set appendonly yes and appendfsync always there, or {variable('redis_trusted')}=true here",
            )
        self._kept = True

    def _entry(self, number: int, fields: Any) -> Entry:
        try:
            return entry_of(number, json.loads(fields[b"entry"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            remedy = f"restore Redis from a backup, or delete the entry {number}-1 of {STREAM}"
            raise Problem(
                "HISTORY_CORRUPT", f"entry {number} cannot be read", place=self._place, remedy=remedy
            ) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Open:
            raise self._unavailable("it did not answer before") from None
        except RedisError as error:
            raise self._unavailable(str(error)) from error

    def _unavailable(self, thing: str) -> Problem:
        return Problem(
            "HISTORY_UNAVAILABLE",
            f"Redis cannot be used ({thing})",
            place=self._place,
            remedy="see that it runs and can be reached; reports have to be sent again",
        )


def _client(url: str, connect_seconds: float, seconds: float, retry: Retry) -> Redis:
    try:
        return Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=connect_seconds, retry=retry)
    except ValueError as error:
        # without the address itself, which may hold a password
        remedy = "write it as redis://user:password@host:6379/0"
        raise Problem("SETTING_INVALID", "no address of a Redis", place=variable("redis_url"), remedy=remedy) from error


def _identity(event: Event) -> bytes:
    """Return what makes an event the same, 16 bytes."""
    text = "\0".join([event.cluster, event.job_id, str(event.submit_time), event.kind])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
