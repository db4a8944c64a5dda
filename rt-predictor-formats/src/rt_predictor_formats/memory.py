"""Slurm's sizes of memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rt_predictor_formats.errors import Problem, shown

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)(?:([KMGTP])B?)?", re.ASCII | re.IGNORECASE)
_MEGABYTES = {"K": 1 / 1024, "": 1.0, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3}


def parse_memory(text: str) -> float:
    """Return a size in MB; a bare number is MB, as for sbatch's ``--mem``. Raises Problem MEMORY_INVALID."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        remedy = "write a number with K, M, G, T or P, such as 16G"
        raise Problem("MEMORY_INVALID", f"{shown(text)} is no size of memory", remedy=remedy)
    return float(match[1]) * _MEGABYTES[(match[2] or "").upper()]


@dataclass(frozen=True)
class RequestedMemory:
    """A requested size [MB] and what it is counted by: ``"job"``, ``"node"`` or ``"cpu"``."""

    megabytes: float
    per: str

    def total(self, nodes: float | None, cpus: float | None) -> float:
        """Return the memory over all nodes [MB]; an unknown count is taken as one."""
        factor = {"node": nodes, "cpu": cpus}.get(self.per, 1.0)
        return self.megabytes * (factor or 1.0)


def parse_reqmem(text: str) -> RequestedMemory:
    """Return what sacct's ReqMem says: ``4000Mn`` per node, ``2Gc`` per cpu, ``16G`` for the job (Slurm 21.08 on).

    Raises Problem MEMORY_INVALID.
    """
    cleaned = text.strip()
    per = {"n": "node", "c": "cpu"}.get(cleaned[-1:], "job")
    return RequestedMemory(parse_memory(cleaned[:-1] if per != "job" else cleaned), per)
