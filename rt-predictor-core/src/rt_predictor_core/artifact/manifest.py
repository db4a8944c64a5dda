"""The manifest: what an artifact is, where it comes from, how good it was, and the hash of every file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final

from rt_predictor_core.artifact.files import open_inside
from rt_predictor_core.artifact.typed import entry
from rt_predictor_core.numbers import strict_json
from rt_predictor_core.schema import LATEST_TIME
from rt_predictor_formats.errors import Problem

FORMAT: Final = 3
"""Number of the artifact's layout; another one is refused."""

NAME: Final = "manifest.json"

LARGEST: Final = 16 << 20
"""No manifest is larger [bytes]."""

LARGEST_COUNT: Final = 1 << 63
"""No number of jobs is as large."""

REMEDY: Final = "train again with rt-predictor-train, or remove the folder to fall back to the previous version"


@dataclass(frozen=True)
class MemberEntry:
    """One member: its library and version, the shape of its arrays, its native files.

    ``weight`` is its part of the median, ``weights`` its part of each quantile level.
    """

    name: str
    library_version: str
    weight: float
    weights: tuple[float, ...]
    shape: str
    native_files: tuple[str, ...]


@dataclass(frozen=True)
class TargetEntry:
    """See ``models.target.Target``; ``grace`` is null where the scheduler does not enforce the request."""

    power: float
    usual_wallclock: float
    grace: float | None
    leeway: float = 0.0


@dataclass(frozen=True)
class TierEntry:
    """Jobs of one history tier (``features.keys.TIERS``) in the newest fold, and how good the ensemble was on them."""

    tier: str
    jobs: int
    mae_h: float
    coverage_90: float


@dataclass(frozen=True)
class FoldEntry:
    """The newest fold, which ``Manifest.scores`` were measured on: first and last submit [s since 1970], tiers."""

    first_submit: int
    last_submit: int
    jobs: int
    tiers: tuple[TierEntry, ...]


@dataclass(frozen=True)
class PromotionEntry:
    """Why an artifact was published.

    Attributes
    ----------
    compared_with: version that was current; null where there was nothing to compare with fairly.
    jobs: both were measured on. mae_h, current_mae_h: of the artifact and of the one that was current [h].
    pinball_h, current_pinball_h: mean pinball loss over the levels that both forecast [h].
    forced: it was worse, and published all the same. findings: codes of the issues that training found.
    rolled_back_to: version whose files these are. rolled_back_from: version that was current then.
    """

    compared_with: str | None = None
    jobs: int = 0
    mae_h: float | None = None
    current_mae_h: float | None = None
    pinball_h: float | None = None
    current_pinball_h: float | None = None
    forced: bool = False
    findings: tuple[str, ...] = ()
    rolled_back_to: str | None = None
    rolled_back_from: str | None = None


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
    calibration: levels to read [tier][nominal level], see ``models.conformal``.
    known_from: see ``history.store.MemoryStore``.
    scores: on the newest jobs, which no model had seen; the ensemble first, by the backtest's names.
    dial: what each accepted risk led to on those jobs: ``risk``, ``measured_rate`` (share that the recommended
    wallclock would have cut short and the request did not) and ``bound_to_request`` (mean of recommended over
    requested wallclock); empty where it was not measured.
    stage_seconds: duration of each training stage. peak_memory_mb: of the training process.
    libraries: versions that trained it. sha256: of every other file, by its path in the folder.
    resumed: stages and members that were taken from an interrupted run. updated_from: version that a run with
    ``--update`` went on from.
    queued: whether the members use what waits, the features of ``features.queued``.
    fold, promotion: null in artifacts that were made before training recorded them.
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
    calibration: tuple[tuple[float, ...], ...]
    known_from: int
    scores: tuple[dict[str, Any], ...]
    dial: tuple[dict[str, Any], ...] = ()
    stage_seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    libraries: dict[str, str] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)
    fold: FoldEntry | None = None
    promotion: PromotionEntry | None = None
    resumed: tuple[str, ...] = ()
    updated_from: str | None = None
    queued: bool = False

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
            with open_inside(folder, NAME, LARGEST) as file:
                document = json.loads(file.read())
            if document["format"] != FORMAT:
                raise Problem(
                    "ARTIFACT_FORMAT",
                    f"the artifact has format {document['format']}, this release reads {FORMAT}",
                    place=str(path),
                    remedy=REMEDY,
                )
            manifest = entry(cls, document)
            manifest.check()
        except FileNotFoundError:
            raise Problem("ARTIFACT_INCOMPLETE", "no manifest", place=str(folder), remedy=REMEDY) from None
        except OSError as error:
            raise Problem(
                "ARTIFACT_UNREADABLE",
                str(error.strerror),
                place=str(path),
                remedy="check the permissions of the folder",
            ) from error
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise Problem(
                "ARTIFACT_CORRUPT", f"unreadable manifest ({error!r})", place=str(path), remedy=REMEDY
            ) from error
        return manifest

    def check(self) -> None:
        """Do nothing where all that is told of a model can be told; raise ValueError else."""
        for name in ("created", "first_submit", "last_submit"):
            if not 0 <= getattr(self, name) < LATEST_TIME:
                raise ValueError(f"{name}: {getattr(self, name)} does not fit")
        if not 0 <= self.jobs < LARGEST_COUNT:
            raise ValueError(f"jobs: {self.jobs} does not fit")
        for one in (*self.scores, *self.dial):
            _check_measures(one)
        if not all("name" in score for score in self.scores):
            raise ValueError("scores: one has no name")


def _check_measures(measures: dict[str, Any]) -> None:
    for name, value in measures.items():
        if not (isinstance(value, str) if name == "name" else value is None or _is_number(value)):
            raise ValueError(f"{name}: {str(value)[:80]!r} is no measure")
        if name == "name":
            value.encode()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)
