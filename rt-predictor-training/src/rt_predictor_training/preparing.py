"""From a log to what training rests on: read, replayed, and joined to what the current model rests on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from zipfile import BadZipFile

import numpy as np

from rt_predictor_core.artifact.files import TRAINING
from rt_predictor_core.artifact.load import Artifact
from rt_predictor_core.history.state import SNAPSHOT, State
from rt_predictor_formats.errors import Problem
from rt_predictor_training.course import Course
from rt_predictor_training.fit import course_of, jobs_needed
from rt_predictor_training.ingest import Intake, Jobs, ingest
from rt_predictor_training.memory import fitting
from rt_predictor_training.packing import packed_course, packed_jobs, unpacked_course, unpacked_jobs, within
from rt_predictor_training.profiles import Profile
from rt_predictor_training.stages import Stages


@dataclass(frozen=True)
class Prepared:
    """What training rests on.

    Attributes
    ----------
    course, state: the newest jobs, and the history after all of them. train_jobs: how many members have memory for.
    notes: what a person should know.
    """

    course: Course
    state: State
    train_jobs: int
    notes: tuple[str, ...]


def prepare(stages: Stages, intake: Intake, profile: Profile, base: Artifact | None) -> Prepared:
    """Read and replay a log; with a ``base``, only its jobs that the base does not know, after the base's own.

    Raises Problem as ``ingest``; NOTHING_NEW where the base knows all jobs, NOT_UPDATABLE where it kept none.
    """
    told = [profile.train_jobs, asdict(profile.folds), profile.memory_gib, base and base.path.name]
    key = _key(intake, told)
    prepared = stages.kept("features", key, lambda: _prepared(stages, intake, profile, base, key), _packed, _unpacked)
    stages.forget("read", key)
    return prepared


def _key(intake: Intake, told: list[object]) -> str:
    try:
        return intake.key(told)
    except OSError:
        return "missing"  # reading the log says what is wrong with it


def _prepared(stages: Stages, intake: Intake, profile: Profile, base: Artifact | None, key: str) -> Prepared:
    stages.begins("read", key)
    advance = stages.progress.advance
    with stages("read", unit="bytes"):
        jobs = stages.kept("read", key, lambda: ingest(intake, advance), packed_jobs, unpacked_jobs)
    with stages("features", unit="events"):
        allowed = fitting(profile, len(jobs))
        if base is not None:
            return _updated(base, jobs, allowed, advance)
        state = State()
        return Prepared(course_of(jobs, state, allowed, advance), state, allowed.train_jobs, jobs.facts.notes)


def _updated(base: Artifact, jobs: Jobs, profile: Profile, on_progress: Callable[[int, int], None]) -> Prepared:
    kept = _kept(base)
    unknown = ~_known(jobs, kept)
    if not unknown.any():
        raise Problem(
            "NOTHING_NEW",
            f"all {len(jobs)} jobs are known to the current model {base.path.name}",
            place=", ".join(jobs.facts.sources),
            remedy="give a log that goes on from there; the current model stays",
        )
    new = jobs.take(unknown)
    state = State.restore(**{name: base.snapshot[name] for name in SNAPSHOT})
    newer = Course.of(new, state, profile.train_jobs + 2 * profile.folds.most_jobs, on_progress)
    joined = kept.followed_by(newer)
    early = len(kept) + len(newer) - len(joined)
    notes = [*new.facts.notes, f"updated {base.path.name} with {len(new)} jobs; {len(jobs) - len(new)} it knew already"]
    if early:
        notes.append(
            f"{early} of the new jobs were submitted before the last end in the former log: the history takes them in, "
            "but nothing is fitted to them"
        )
    course = joined.newest(jobs_needed(joined.facts, profile))
    return Prepared(course, state, profile.train_jobs, tuple(notes))


def _kept(base: Artifact) -> Course:
    try:
        with np.load(base.path / TRAINING, allow_pickle=False) as arrays:
            return unpacked_course(dict(arrays))
    except (OSError, KeyError, TypeError, ValueError, EOFError, BadZipFile) as error:
        raise Problem(
            "NOT_UPDATABLE",
            f"the current model kept no jobs that this release could go on from ({error})",
            place=str(base.path),
            remedy="train once without --update, on the whole log",
        ) from error


def _known(jobs: Jobs, kept: Course) -> np.ndarray:
    """Return which jobs of a log an earlier log held, bool[n]: by identity and end, or by time where those are gone.

    One that waited when the earlier log ended and was withdrawn since counts as held: the queue misses it for a while.
    """
    facts, events = kept.facts, jobs.events
    ended = np.isin(_pairs(events.identity, events.end), _pairs(facts.known, facts.known_end))
    return np.where(events.ran, ended | (events.end < facts.known_from), events.submit <= facts.last_submit)


def _pairs(identity: np.ndarray, end: np.ndarray) -> np.ndarray:
    # tasks of an array may share identity and submit, so the end is told too
    pairs = np.empty(len(end), [("identity", np.uint64), ("end", np.int64)])
    pairs["identity"], pairs["end"] = identity, end
    return pairs.view("V16").ravel()


def _packed(prepared: Prepared) -> dict[str, np.ndarray]:
    state = {f"state.{name}": array for name, array in prepared.state.snapshot().items()}
    words = json.dumps([prepared.train_jobs, prepared.notes]).encode()
    return {**packed_course(prepared.course), **state, "prepared": np.frombuffer(words, np.uint8)}


def _unpacked(arrays: Mapping[str, np.ndarray]) -> Prepared:
    train_jobs, notes = json.loads(arrays["prepared"].tobytes())
    return Prepared(unpacked_course(arrays), State.restore(**within("state", arrays)), train_jobs, tuple(notes))
