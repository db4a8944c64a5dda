"""Rolling back: an older version becomes current again, as a new version with the same files.

Versions only ever move forward, so whoever watches the folder sees one more publication; nothing is taken away.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Final

from rt_predictor_core.artifact.load import Artifact, load, newest, versions
from rt_predictor_core.artifact.manifest import PromotionEntry
from rt_predictor_core.artifact.publish import next_version, publish
from rt_predictor_formats.errors import Problem, shown

_OTHER: Final = "choose another version: rt-predictor-train --list shows them"


def roll_back(models: Path, version: str, now: float) -> Artifact | None:
    """Publish the files of an older version again, under a name that makes it current; None if it is current already.

    ``now`` in seconds since 1970. The manifest keeps all but version, promotion and hashes. Both the older version
    and the one that was current stay in the folder, whatever else is pruned.

    Raises Problem VERSION_UNKNOWN, which lists those that exist, what ``load`` raises if the version is not valid,
    and what ``publish`` raises.
    """
    chosen = _valid(models, version)
    current = newest(models)
    if current.manifest.sha256 == chosen.manifest.sha256:
        return None
    manifest = replace(
        chosen.manifest,
        version=next_version(models, now, sha256(f"{version} {now}".encode()).digest()),
        promotion=PromotionEntry(rolled_back_to=version, rolled_back_from=current.path.name),
    )
    files = {name: _read(chosen.path / name, digest) for name, digest in chosen.manifest.sha256.items()}
    return load(publish(models, manifest, files, spare={version, current.path.name}))


def _valid(models: Path, version: str) -> Artifact:
    known = versions(models)
    if version not in known:
        raise Problem(
            "VERSION_UNKNOWN",
            f"no version {shown(version)}",
            place=str(models),
            remedy=f"choose one of {', '.join(known)}" if known else "train a model first: there is none",
        )
    try:
        return load(models / version)
    except Problem as problem:
        raise Problem(problem.code, problem.thing, place=problem.place, remedy=_OTHER) from problem


def _read(path: Path, digest: str) -> bytes:
    """Read a file that was verified a moment ago: hashed again, it would be published with whatever it holds now."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = Problem("ARTIFACT_UNREADABLE", str(error.strerror), place=str(path), remedy=_OTHER)
        raise problem from error
    if sha256(content).hexdigest() != digest:
        raise Problem("ARTIFACT_CORRUPT", "the file changed while it was read", place=str(path), remedy=_OTHER)
    return content
