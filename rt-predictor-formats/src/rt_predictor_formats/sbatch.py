"""What a batch script or a command line asks of Slurm: ``#SBATCH`` lines and sbatch's options.

The options are those of https://slurm.schedmd.com/sbatch.html.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from rt_predictor_formats.errors import Problem, shown
from rt_predictor_formats.memory import parse_memory
from rt_predictor_formats.times import parse_duration

T = TypeVar("T")

LARGEST_SCRIPT = 4 * 1024 * 1024
"""Longest script that is read [bytes]; Slurm's own limit."""

_SHORT = {
    "-t": "--time",
    "-N": "--nodes",
    "-n": "--ntasks",
    "-c": "--cpus-per-task",
    "-G": "--gpus",
    "-p": "--partition",
    "-A": "--account",
    "-q": "--qos",
    "-J": "--job-name",
    "-D": "--chdir",
}
_MEMORY = ("--mem", "--mem-per-cpu", "--mem-per-gpu")
_GPUS = ("--gpus", "--gpus-per-node", "--gres", "--gpus-per-task")
_VARIABLES = {
    "SBATCH_ACCOUNT": "--account",
    "SBATCH_GPUS": "--gpus",
    "SBATCH_GPUS_PER_NODE": "--gpus-per-node",
    "SBATCH_GPUS_PER_TASK": "--gpus-per-task",
    "SBATCH_GRES": "--gres",
    "SBATCH_JOB_NAME": "--job-name",
    "SBATCH_MEM_PER_CPU": "--mem-per-cpu",
    "SBATCH_MEM_PER_GPU": "--mem-per-gpu",
    "SBATCH_MEM_PER_NODE": "--mem",
    "SBATCH_PARTITION": "--partition",
    "SBATCH_QOS": "--qos",
    "SBATCH_TIMELIMIT": "--time",
}
_READ = frozenset(
    [*_SHORT.values(), *_MEMORY, *_GPUS, "--ntasks-per-node"],
)
# Options that take no word after them. Without the list, the script's name would pass for their value.
_SWITCHES = frozenset(
    [
        *("-H", "-h", "-I", "-k", "-O", "-Q", "-s", "-u", "-V", "-v", "-W"),
        *("--contiguous", "--disable-stdout-job-summary", "--exclusive", "--get-user-env", "--help", "--hold"),
        *("--ignore-pbs", "--kill-on-invalid-dep", "--nice", "--no-kill", "--no-requeue", "--overcommit"),
        *("--oversubscribe", "--parsable", "--propagate", "--quiet", "--reboot", "--requeue", "--spread-job"),
        *("--stepmgr", "--test-only", "--usage", "--use-min-nodes", "--verbose", "--version", "--wait"),
    ]
)
_DIRECTIVE = "#SBATCH"
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_GPU_TYPE = re.compile(r"[\w.+-]*[A-Za-z][\w.+-]*", re.ASCII)


@dataclass(frozen=True)
class JobRequest:
    """A request by the names and units of the canonical job; None is not given.

    wallclock_req [s], mem_req [MB over all nodes]; ``nodes_req`` of a range such as ``2-4`` is its greatest number.
    """

    user: str | None = None
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    wallclock_req: int | None = None
    nodes_req: int | None = None
    processors_req: int | None = None
    gpus_req: int | None = None
    mem_req: float | None = None
    name: str | None = None
    work_dir: str | None = None


@dataclass(frozen=True)
class _Option:
    """The value of an option and where it stands, for an error."""

    value: str
    place: str


_Options = dict[str, _Option]


def merge(*requests: JobRequest) -> JobRequest:
    """Return one request in which a later one's values beat an earlier one's.

    Totals stay as they are: a later number of nodes does not multiply an earlier memory. Where options of a command
    line beat those of a script, give both to ``parse_script``.
    """
    merged: dict[str, object] = {}
    for request in requests:
        values = {field.name: getattr(request, field.name) for field in fields(request)}
        merged.update({name: value for name, value in values.items() if value is not None})
    return JobRequest(**merged)  # type: ignore[arg-type]  # the values come from JobRequests


def decode_script(content: bytes, place: str) -> str:
    """Return the text of a job script; ``place`` names it. Raises Problem SCRIPT_INVALID for what is none."""
    if len(content) > LARGEST_SCRIPT or b"\0" in content:
        raise Problem("SCRIPT_INVALID", "this is no job script", place=place, remedy="give a text file below 4 MB")
    return content.decode("utf-8", errors="replace")


def parse_script(text: str, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> JobRequest:
    """Return what the ``#SBATCH`` lines before the first command ask for; unknown options are passed over.

    ``arguments`` are options of the command line: they beat sbatch's variables in ``environment``, such as
    SBATCH_PARTITION, which beat the script, before anything is counted together.
    Raises Problem whose place names the line, the variable or the option.
    """
    options: _Options = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        if line.startswith(_DIRECTIVE):
            _add(options, _words(line[len(_DIRECTIVE) :], number), f"line {number}")
    _replace(options, _from_environment(environment or {}))
    given: _Options = {}
    _add(given, arguments, "")
    _replace(options, given)
    return _request(options)


def parse_options(arguments: Sequence[str]) -> JobRequest:
    """Return what command-line options of sbatch ask for, up to the script's name.

    Raises Problem whose place names the option.
    """
    return parse_script("", arguments)


def _from_environment(environment: Mapping[str, str]) -> _Options:
    return {
        name: _Option(environment[variable], variable)
        for variable, name in _VARIABLES.items()
        if environment.get(variable)
    }


def _replace(options: _Options, stronger: _Options) -> None:
    """Put stronger options over others; another way to ask for memory or GPUs replaces the weaker one's."""
    for rivals in (_MEMORY, _GPUS):
        if not stronger.keys().isdisjoint(rivals):
            for name in rivals:
                options.pop(name, None)
    options.update(stronger)


def _words(text: str, number: int) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError as error:
        remedy = "close the quotes"
        raise Problem("SCRIPT_INVALID", f"{shown(text)}: {error}", place=f"line {number}", remedy=remedy) from None


def _add(options: _Options, words: Sequence[str], where: str) -> None:
    for name, value in _pairs(words):
        if name not in _READ:
            continue
        place = f"{where} {name}".strip()
        if not value:
            raise Problem("OPTION_EMPTY", "the option has no value", place=place, remedy=f"write {name}=VALUE")
        if name in _MEMORY:  # Slurm takes one of the three, the last one given
            for other in _MEMORY:
                options.pop(other, None)
        options[name] = _Option(value, place)


def _pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield options with their values; ends where the options end."""
    i = 0
    while i < len(words) and words[i].startswith("-") and words[i] not in {"-", "--"}:
        name, value, alone = _split(words[i])
        i += 1
        if alone and i < len(words) and _takes(name, words[i]):
            value = words[i]
            i += 1
        yield name, value


def _split(word: str) -> tuple[str, str, bool]:
    """Return an option's long name, the value written with it, and whether there was none."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value, not equals
    return _SHORT.get(word[:2], word[:2]), word[2:].removeprefix("="), not word[2:]


def _takes(name: str, word: str) -> bool:
    """Return whether the next word is the option's value; for an unknown option, only if it looks like one."""
    return name in _READ or (name not in _SWITCHES and not word.startswith("-"))


def _read(options: _Options, name: str, parse: Callable[[str], T]) -> T | None:
    option = options.get(name)
    if option is None:
        return None
    try:
        return parse(option.value)
    except Problem as problem:
        raise Problem(problem.code, problem.thing, place=option.place, remedy=problem.remedy) from None


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) == 0:
        raise Problem("COUNT_INVALID", f"{shown(text)} is no count", remedy="write a whole number from 1 up")
    return int(text)


def _nodes(text: str) -> int:
    """Read ``4`` or a range such as ``2-4``, of which the greatest number counts: the job may get as many."""
    return max(_number(part) for part in text.split("-", 1))


def _gpus(text: str) -> int:
    """Read ``2``, ``a100:2``, ``a100`` (one of them), and lists of these."""
    return sum(_gpu_count(entry.rpartition(":")[2]) for entry in text.split(","))


def _gpu_count(word: str) -> int:
    if _NUMBER.fullmatch(word):
        return int(word)
    if _GPU_TYPE.fullmatch(word):
        return 1
    raise Problem("COUNT_INVALID", f"{shown(word)} is no number of GPUs", remedy="write a number or TYPE:NUMBER")


def _gres(text: str) -> int | None:
    """Read the GPUs of generic resources such as ``gpu:a100:2,ssd:1``; None if there are none among them."""
    entries = [entry.removeprefix("gres/").removeprefix("gres:") for entry in text.split(",")]
    gpus = [entry for entry in entries if entry.partition(":")[0] == "gpu"]
    return _gpus(",".join(gpus)) if gpus else None


def _text(options: _Options, name: str) -> str | None:
    return _read(options, name, str)


def _request(options: _Options) -> JobRequest:
    nodes = _read(options, "--nodes", _nodes)
    tasks = _read(options, "--ntasks", _number)
    per_node = _read(options, "--ntasks-per-node", _number)
    if tasks is None and per_node is not None:
        tasks = per_node * (nodes or 1)
    per_task = _read(options, "--cpus-per-task", _number)
    # every node runs one task at least
    processors = None if tasks is None and per_task is None else max(tasks or 1, nodes or 1) * (per_task or 1)
    gpus = _total_gpus(options, nodes, tasks)
    return JobRequest(
        account=_text(options, "--account"),
        partition=_text(options, "--partition"),
        qos=_text(options, "--qos"),
        wallclock_req=_read(options, "--time", parse_duration),
        nodes_req=nodes,
        processors_req=processors,
        gpus_req=gpus,
        mem_req=_total_memory(options, nodes, processors, gpus),
        name=_text(options, "--job-name"),
        work_dir=_text(options, "--chdir"),
    )


def _total_gpus(options: _Options, nodes: int | None, tasks: int | None) -> int | None:
    counts = (
        (_read(options, "--gpus", _gpus), 1),
        (_read(options, "--gpus-per-node", _gpus), nodes),
        (_read(options, "--gres", _gres), nodes),
        (_read(options, "--gpus-per-task", _gpus), tasks),
    )
    return next((count * (factor or 1) for count, factor in counts if count is not None), None)


def _total_memory(options: _Options, nodes: int | None, processors: int | None, gpus: int | None) -> float | None:
    for name, factor in zip(_MEMORY, (nodes, processors, gpus), strict=True):
        size = _read(options, name, parse_memory)
        if size is not None:
            return size * (factor or 1)
    return None
