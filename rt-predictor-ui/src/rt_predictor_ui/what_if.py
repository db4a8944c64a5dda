"""Other requests for the same job, to be compared with the one that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_formats.times import LONGEST


@dataclass(frozen=True)
class Variant:
    """A request by the name of what is different in it."""

    name: str
    request: JobRequest


def variants(request: JobRequest) -> tuple[Variant, ...]:
    """Return the request itself, with half the nodes and with twice the time, as far as it has these."""
    found = [Variant("As requested", request)]
    if request.nodes_req is not None and request.nodes_req > 1:
        found.append(Variant("Half the nodes", _on_half(request)))
    if request.wallclock_req is not None and request.wallclock_req < LONGEST:
        longer = replace(request, wallclock_req=min(2 * request.wallclock_req, LONGEST))
        found.append(Variant("Twice the time", longer))
    return tuple(found)


def _on_half(request: JobRequest) -> JobRequest:
    """Return the request on half the nodes: what counts over all nodes halves with them."""
    nodes = request.nodes_req or 1
    half = nodes // 2
    return replace(
        request,
        nodes_req=half,
        processors_req=None if request.processors_req is None else max(request.processors_req * half // nodes, 1),
        gpus_req=None if request.gpus_req is None else request.gpus_req * half // nodes,
        mem_req=None if request.mem_req is None else request.mem_req * half / nodes,
    )
