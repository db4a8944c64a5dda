"""What the service tells of its forecasts and models beyond the figures themselves, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rt_predictor_client.words import moment, word
from rtpredictor.v1 import forecast_pb2, model_service_pb2


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a median is what it is: ``baseline_seconds`` and all contributions sum to it.

    Attributes
    ----------
    baseline_seconds: median of the typical job of the training log [s].
    contributions: pairs of group and signed seconds, the largest first; groups are those of the contract's
    ``Contribution``.
    unexplained: why there are none, such as ``no_baseline``; None if there are.
    """

    baseline_seconds: float
    contributions: tuple[tuple[str, float], ...]
    unexplained: str | None


def explanation(message: forecast_pb2.Explanation) -> Explanation:
    """Return an explanation message as values."""
    reason = message.unexplained
    return Explanation(
        baseline_seconds=message.baseline_seconds,
        contributions=tuple((one.group, one.seconds) for one in message.contributions),
        unexplained=word(forecast_pb2.UnexplainedReason, reason, "UNEXPLAINED_REASON_") if reason else None,
    )


@dataclass(frozen=True, slots=True)
class BaselineScore:
    """How a baseline did on some of the jobs: mean error in hours, median error in minutes."""

    name: str
    mae_hours: float
    median_ae_minutes: float


@dataclass(frozen=True, slots=True)
class PartScore:
    """How the ensemble, and beside it the baselines, did on the jobs that ``label`` names; width in hours."""

    label: str
    jobs: int
    mae_hours: float
    median_ae_minutes: float
    coverage_90: float
    width_90_hours: float
    baselines: tuple[BaselineScore, ...]


@dataclass(frozen=True, slots=True)
class FeatureImportance:
    """A feature, the group of contributions that it belongs to, and its share of what a member rests on."""

    feature: str
    group: str
    share: float


@dataclass(frozen=True, slots=True)
class MemberImportance:
    """What a member, or the blend ``ensemble``, rests on: the largest share first; shares sum to 1."""

    name: str
    features: tuple[FeatureImportance, ...]


@dataclass(frozen=True, slots=True)
class EvaluationInfo:
    """How a model did on the newest jobs of its log, which no model had seen.

    Attributes
    ----------
    first_submit_time, last_submit_time: of those jobs, in UTC.
    overall: all of them. months, weeks: by submission, in order. bands: by true run time. tiers: by history tier.
    reliability: pairs of a quantile's level and the share of jobs that ran no longer than it, by rising level.
    importance: of the blend, then of each member that tells it.
    """

    version: str
    first_submit_time: datetime | None
    last_submit_time: datetime | None
    overall: PartScore
    months: tuple[PartScore, ...]
    weeks: tuple[PartScore, ...]
    bands: tuple[PartScore, ...]
    tiers: tuple[PartScore, ...]
    reliability: tuple[tuple[float, float], ...]
    importance: tuple[MemberImportance, ...]


def evaluation_info(message: model_service_pb2.GetEvaluationResponse) -> EvaluationInfo | None:
    """Return how a model did as values; None where it was published by a release that kept none."""
    if not message.HasField("evaluation"):
        return None
    told = message.evaluation
    return EvaluationInfo(
        version=message.version,
        first_submit_time=moment(told, "first_submit_time"),
        last_submit_time=moment(told, "last_submit_time"),
        overall=_part(told.overall),
        months=tuple(map(_part, told.months)),
        weeks=tuple(map(_part, told.weeks)),
        bands=tuple(map(_part, told.bands)),
        tiers=tuple(map(_part, told.tiers)),
        reliability=tuple((one.level, one.measured) for one in told.reliability),
        importance=tuple(map(_importance, told.importance)),
    )


def _part(part: model_service_pb2.PartScore) -> PartScore:
    return PartScore(
        label=part.label,
        jobs=part.jobs,
        mae_hours=part.mae_hours,
        median_ae_minutes=part.median_ae_minutes,
        coverage_90=part.coverage_90,
        width_90_hours=part.width_90_hours,
        baselines=tuple(BaselineScore(one.name, one.mae_hours, one.median_ae_minutes) for one in part.baselines),
    )


def _importance(member: model_service_pb2.MemberImportance) -> MemberImportance:
    features = tuple(FeatureImportance(one.feature, one.group, one.share) for one in member.features)
    return MemberImportance(member.name, features)
