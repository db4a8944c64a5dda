"""Members fitted by a crew of workers; a fit that loses one of them begins anew with those that are left."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, Final

from rt_predictor_formats.errors import Problem
from rt_predictor_training.cluster import fits
from rt_predictor_training.cluster.crew import POLL_SECONDS, Crew, Lost
from rt_predictor_training.cluster.fits import Call
from rt_predictor_training.cluster.rounds import Rounds, told
from rt_predictor_training.members import chance, lgb, xgb
from rt_predictor_training.members.chance import Chance
from rt_predictor_training.members.member import Fitted, Task

ATTEMPTS: Final = 3
"""A fit begins anew at most so often, less one."""

SETTLE_SECONDS: Final = 5.0
"""An error of a library may come that long before the scheduler knows that a worker is lost."""


class DaskEngine:
    """Fits members on a crew, one after another."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def member(self, name: str, task: Task) -> Fitted:
        """Fit a member of ``MEMBERS``; see ``Engine``.

        Raises Problem CLUSTER_LOST when workers are lost again and again, CLUSTER_EMPTY when none is left.
        """
        if name == "xgboost":
            return xgb.fit(task, lambda task, parameters: self._fitted(name, task, fits.xgboost(task, parameters)))
        if name == "lightgbm":
            return lgb.fit(task, self._lightgbm)
        fitted: Fitted = self._fitted(name, task, fits.catboost(task))
        return fitted

    def chance(self, task: Task) -> Chance:
        """Fit the probability to run into the request."""
        return chance.fit(task, self._lightgbm)

    def _lightgbm(self, task: Task) -> Callable[[dict[str, Any]], Any]:
        return lambda parameters: self._fitted("lightgbm", task, fits.lightgbm(task, parameters))

    def _fitted(self, name: str, task: Task, call: Call) -> Any:
        rounds = Rounds(task.on_tree, task.trees)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                result = self._attempt(task, call, rounds)
            except Problem:
                raise
            except Exception as error:
                why = self._reason(error)
                if attempt == ATTEMPTS:
                    raise _given_up(name, why) from error
                self._crew.notes.append(f"{name} began anew: {why}")
                self._crew.renew()
            else:
                rounds.finish()
                return result
        raise AssertionError

    def _attempt(self, task: Task, call: Call, rounds: Rounds) -> Any:
        dealt = self._crew.deal(task.train)
        with told(self._crew.client, rounds, dealt.first) as teller:
            outcome: Future[Any] = Future()
            Thread(target=_run, args=(outcome, call, dealt, teller), daemon=True).start()
            while not wait([outcome], POLL_SECONDS).done:
                self._crew.check()
                rounds.tell()
            return outcome.result()

    def _reason(self, error: Exception) -> str:
        """Return why a fit failed: a lost worker goes before what a library says of that."""
        end = time.monotonic() + SETTLE_SECONDS
        while not isinstance(error, Lost) and time.monotonic() < end:
            try:
                self._crew.check()
            except Lost as lost:
                return str(lost)
            time.sleep(POLL_SECONDS)
        return " ".join(f"{error}".split()) or type(error).__name__


def _run(outcome: Future[Any], call: Call, *arguments: Any) -> None:
    # an attempt that was given up may end at any time and in any way; nobody waits for it then
    try:
        outcome.set_result(call(*arguments))
    except BaseException as error:  # noqa: BLE001
        outcome.set_exception(error)


def _given_up(name: str, why: str) -> Problem:
    return Problem(
        "CLUSTER_LOST",
        f"{name} could not be fitted in {ATTEMPTS} attempts, the last ended as {why}",
        place="--cluster",
        remedy="look at the workers' logs (memory, time limit), or train without --cluster",
    )
