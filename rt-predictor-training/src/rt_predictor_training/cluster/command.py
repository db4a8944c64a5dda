"""``--cluster``: the engine that a command line asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rt_predictor_formats.errors import Problem, shown
from rt_predictor_training.members import LOCAL, Engine
from rt_predictor_training.profiles import Profile

WORKERS = 2
"""Workers that are started where nothing else is said."""

_NEEDED = ("dask", "distributed", "dask_jobqueue", "sklearn", "pandas")


@contextmanager
def engine_of(
    where: str | None, workers: int | None, wait_minutes: float, profile: Profile
) -> Iterator[tuple[Engine, list[str]]]:
    """Give the engine that fits where it is asked for, and the list that its notes for a person will be in.

    ``where`` is None for this process, local, slurm, or a scheduler's address; what was started for it is stopped in
    the end. Raises Problem OPTIONS, CLUSTER_EXTRA, CLUSTER_SLURM, and those of ``Crew``.
    """
    if where is None:
        if workers is not None:
            raise Problem("OPTIONS", "--workers needs --cluster", remedy="add --cluster local, or leave it out")
        yield LOCAL, []
        return
    _check(where)
    from rt_predictor_training.cluster.crew import Crew
    from rt_predictor_training.cluster.engine import DaskEngine
    from rt_predictor_training.cluster.start import connections, stopped_by_signal

    # at a scheduler that runs already, those that are there will do
    wanted = workers or (1 if "://" in where else WORKERS)
    with (
        stopped_by_signal(),
        connections(where, wanted, profile) as connect,
        Crew(connect, wanted, 60.0 * wait_minutes) as crew,
    ):
        crew.assemble()
        yield DaskEngine(crew), crew.notes


def _check(where: str) -> None:
    if where not in {"local", "slurm"} and not where.startswith(("tcp://", "tls://")):
        raise Problem(
            "OPTIONS", f"no cluster {shown(where)}", place="--cluster", remedy="give local, slurm, or tcp://HOST:PORT"
        )
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise Problem(
            "CLUSTER_EXTRA",
            f"{', '.join(missing)}: not installed",
            place="--cluster",
            remedy="run: pip install 'rt-predictor-training[cluster]'",
        )
