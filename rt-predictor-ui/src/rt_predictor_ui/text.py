"""Words and labels of the pages; no widget, no call."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rt_predictor_client import Forecast
from rt_predictor_client.output import degraded_words, history_words, percent
from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_formats.times import MINUTE, human_duration

LABELS: Mapping[str, str] = {
    "user": "User",
    "wallclock_req": "Requested time",
    "nodes_req": "Nodes",
    "processors_req": "Processors",
    "gpus_req": "GPUs",
    "mem_req": "Memory over all nodes",
    "partition": "Partition",
    "account": "Account",
    "qos": "Quality of service",
    "name": "Job name",
    "work_dir": "Working folder",
    "risk": "Accepted risk",
}
"""What the form calls each canonical column."""

MEANINGS: Mapping[str, str] = {
    **{name: text for name, text in LABELS.items() if name != "risk"},
    "wallclock_req": "Requested time [s]",
    "time": "Requested time, in Slurm's forms",
    "mem_req": "Memory over all nodes [MB]",
    "submit_time": "Submit time",
    "submit_line": "Command line",
    "job_id": "Job id",
    "nnodes": "Nodes, as sacct writes them",
    "reqcpus": "Processors, as sacct writes them",
    "reqmem": "ReqMem of sacct",
    "reqtres": "ReqTRES of sacct",
    "submit": "Submit of sacct",
    "swf_memory": "Memory per processor [KB], of SWF",
    "swf_queue": "Queue of SWF",
}
"""What the pages call each meaning that a column of a file can have."""

_GIGABYTE = 1024
_EXACT_BELOW = 10 * MINUTE
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~$:&-])")


def escape(text: str) -> str:
    """Return text as Markdown that shows it unchanged: names come from elsewhere and must not become markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def label(column: str) -> str:
    """Return what the form calls a column; the column itself if the form does not have it."""
    return LABELS.get(column.removeprefix("job."), column)


def memory_text(megabytes: float) -> str:
    """Return a size [MB] in Slurm's form, such as ``16G``."""
    if megabytes >= _GIGABYTE and megabytes % _GIGABYTE == 0:
        return f"{int(megabytes) // _GIGABYTE}G"
    return f"{megabytes:.10g}M"


def request_words(request: JobRequest) -> str:
    """Return a request in one line: ``ada, relax_01, 2 nodes, 1 d requested``."""
    words = [request.user, request.name, request.partition, *_resources(request)]
    return ", ".join(word for word in words if word) or "a job of which nothing is given"


def resource_words(request: JobRequest) -> str:
    """Return what a request asks for, without who asks: ``2 nodes, 1 d requested``."""
    return ", ".join(_resources(request)) or "nothing is given"


def _resources(request: JobRequest) -> list[str]:
    counts = (
        (request.nodes_req, "node", "nodes"),
        (request.processors_req, "processor", "processors"),
        (request.gpus_req, "GPU", "GPUs"),
    )
    words = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    if request.wallclock_req is not None:
        words.append(f"{human_duration(request.wallclock_req)} requested")
    return words


def spoken_duration(seconds: float) -> str:
    """Return a forecast duration [s] as people say it: above ten minutes, seconds would promise too much."""
    return human_duration(round(seconds / MINUTE) * MINUTE if seconds >= _EXACT_BELOW else seconds)


def median_words(forecast: Forecast) -> str:
    """Return the median as a sentence."""
    return f"About {spoken_duration(forecast.median_seconds)}"


def band_words(lower: float, upper: float, share: float) -> str:
    """Return an interval [s] and the share of jobs that it covers as a sentence."""
    return f"{share_words(share)} of such jobs take {spoken_duration(lower)} to {spoken_duration(upper)}"


def share_words(share: float) -> str:
    """Return a share as people say it: ``9 in 10``, ``half``, otherwise percent."""
    spoken = {0.5: "Half", 0.8: "8 in 10", 0.9: "9 in 10"}
    return spoken.get(round(share, 6), percent(share))


def exceed_words(forecast: Forecast, request: JobRequest) -> str:
    """Return the chance to run past the request; says what is missing if no time was requested."""
    if forecast.probability_exceeds_request is None or request.wallclock_req is None:
        return "No time was requested, so there is no limit to run past."
    chance = percent(forecast.probability_exceeds_request)
    return f"Chance to run past the requested {human_duration(request.wallclock_req)}: {chance}"


def cold_start_words(request: JobRequest) -> str:
    """Return that nothing is known of the user, and what that means."""
    who = f"the user {request.user}" if request.user else "a user who is not named"
    return (
        f"Cold start: the service knows no finished job of {who}. The forecast rests on the request alone and is wider "
        "than it will be after the first reported jobs."
    )


def basis_words(forecast: Forecast) -> str:
    """Return which history the forecast rests on."""
    return f"Based on {history_words(forecast)}."


def degraded_sentence(reason: str) -> str:
    """Return why a forecast is worse than it could be, as a sentence."""
    words = degraded_words(reason)
    return f"{words[:1].upper()}{words[1:]}."
