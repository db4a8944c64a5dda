"""The manifest: what an artifact is, where it comes from, how good it was, and the hash of every file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from rt_predictor_core.numbers import strict_json
from rt_predictor_formats.errors import Problem

FORMAT: Final = 1
"""Number of the artifact's layout; another one is refused."""

NAME: Final = "manifest.json"

REMEDY: Final = "train again with rt-predictor-train, or remove the folder to fall back to the previous version"

_LATER: Final[dict[str, Any]] = {"dial": ()}
"""What stands for fields that the first manifests of this format do not have."""


@dataclass(frozen=True)
class MemberEntry:
    """One member: its library and version, its weight in the blend, the shape of its arrays, its native files."""

    name: str
    library_version: str
    weight: float
    shape: str
    native_files: tuple[str, ...]


@dataclass(frozen=True)
class TargetEntry:
    """See ``models.target.Target``; ``grace`` is null where the scheduler does not enforce the request."""

    power: float
    usual_wallclock: float
    grace: float | None


@dataclass(frozen=True)
class Manifest:
    """Everything about an artifact but its arrays.

    Attributes
    ----------
    format: see ``FORMAT``. version: name of the folder. created: seconds since 1970.
    features: fingerprint of the feature table (``features.table.FINGERPRINT``).
    profile: name of the training profile. sources: names of the log files and their format.
    jobs: accepted rows of the log. rejected: refused rows. first_submit, last_submit: seconds since 1970.
    levels: quantile levels. members, target: the model's parts.
    conformal: offsets [tier][level] in units of the target.
    known_from: see ``history.store.MemoryStore``.
    scores: on the newest jobs, which no model had seen; the ensemble first, by the backtest's names.
    dial: what each accepted risk led to on those jobs: ``risk``, ``measured_rate`` (share that ran longer than the
    recommended wallclock) and ``bound_to_request`` (mean of recommended over requested wallclock); empty
    where it was not measured.
    stage_seconds: duration of each training stage. peak_memory_mb: of the training process.
    libraries: versions that trained it. sha256: of every other file, by its path in the folder.
    """

    format: int
    version: str
    created: int
    features: str
    profile: str
    sources: tuple[str, ...]
    jobs: int
    rejected: int
    first_submit: int
    last_submit: int
    levels: tuple[float, ...]
    members: tuple[MemberEntry, ...]
    target: TargetEntry
    conformal: tuple[tuple[float, ...], ...]
    known_from: int
    scores: tuple[dict[str, Any], ...]
    dial: tuple[dict[str, Any], ...] = ()
    stage_seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    libraries: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the manifest as indented JSON; not-a-number becomes null."""
        return strict_json(asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of an artifact folder.

        Raises Problem ARTIFACT_INCOMPLETE if there is none, ARTIFACT_CORRUPT if it cannot be understood,
        ARTIFACT_FORMAT if it is of another format.
        """
        path = folder / NAME
        try:
            document = json.loads(path.read_text("utf-8"))
            if document["format"] != FORMAT:
                raise Problem(
                    "ARTIFACT_FORMAT",
                    f"the artifact has format {document['format']}, this release reads {FORMAT}",
                    place=str(path),
                    remedy=REMEDY,
                )
            return cls._from_document(document)
        except FileNotFoundError:
            raise Problem("ARTIFACT_INCOMPLETE", "no manifest", place=str(folder), remedy=REMEDY) from None
        except OSError as error:
            raise Problem(
                "ARTIFACT_UNREADABLE",
                str(error.strerror),
                place=str(path),
                remedy="check the permissions of the folder",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Problem(
                "ARTIFACT_CORRUPT", f"unreadable manifest ({error!r})", place=str(path), remedy=REMEDY
            ) from error

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> Manifest:
        values = {entry.name: {**_LATER, **document}[entry.name] for entry in fields(cls)}
        values["members"] = tuple(
            MemberEntry(**{**member, "native_files": tuple(member["native_files"])}) for member in values["members"]
        )
        values["target"] = TargetEntry(**values["target"])
        values["conformal"] = tuple(tuple(float(offset) for offset in row) for row in values["conformal"])
        for name in ("sources", "levels", "scores", "dial"):
            values[name] = tuple(values[name])
        return cls(**values)
