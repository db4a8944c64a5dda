"""Looks for newer models and lets the engine adopt the newest valid one."""

from __future__ import annotations

from collections.abc import Callable

from rt_predictor_api.catalogue import Catalogue
from rt_predictor_api.engine import Engine
from rt_predictor_api.periodic import Periodic
from rt_predictor_api.security import audit


class Watch:
    """Polls the folder of models in a thread of its own.

    Parameters
    ----------
    catalogue, engine: where models come from and where they go.
    seconds: time between two looks.
    on_adopted: called after each adoption.
    """

    def __init__(self, catalogue: Catalogue, engine: Engine, seconds: float, on_adopted: Callable[[], None]) -> None:
        self._catalogue = catalogue
        self._engine = engine
        self._on_adopted = on_adopted
        self._looks = Periodic(self.look, seconds, name="watch", failed="could not adopt a newer model")

    def look(self) -> None:
        """Adopt the newest valid model unless it answers already.

        The newest may be older than the one that answers: removing a version is how an administrator rolls back.
        Without any valid model, the one that answers stays.

        Raises
        ------
        Problem
            ``HISTORY_CORRUPT`` where the journal cannot be replayed.
        """
        for version in self._catalogue.versions():
            if version == self._engine.folder:
                return
            artifact = self._catalogue.load(version)
            if artifact is not None:
                before = self._engine.folder
                self._engine.adopt(artifact)
                act = "model rolled back" if version < before else "model adopted"
                audit.record(act, version=version, before=before)
                self._on_adopted()
                return

    def start(self) -> None:
        """Begin to look every so often."""
        self._looks.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended, at the latest after the look in progress."""
        self._looks.stop()
