"""Evaluations of models as messages of the contract."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from rt_predictor_core.artifact.evaluation import Evaluation, ImportanceEntry, PartEntry
from rt_predictor_core.features.groups import group_of
from rtpredictor.v1 import model_service_pb2 as messages


def message(evaluation: Evaluation) -> messages.Evaluation:
    """Return an evaluation as a message."""
    return messages.Evaluation(
        first_submit_time=Timestamp(seconds=evaluation.first_submit),
        last_submit_time=Timestamp(seconds=evaluation.last_submit),
        overall=_part(evaluation.overall),
        months=map(_part, evaluation.months),
        weeks=map(_part, evaluation.weeks),
        bands=map(_part, evaluation.bands),
        tiers=map(_part, evaluation.tiers),
        reliability=[
            messages.QuantileReliability(level=one.level, measured=one.measured) for one in evaluation.reliability
        ],
        importance=map(_importance, evaluation.importance),
    )


def _part(part: PartEntry) -> messages.PartScore:
    return messages.PartScore(
        label=part.label,
        jobs=part.jobs,
        mae_hours=part.mae_h,
        median_ae_minutes=part.median_ae_min,
        coverage_90=part.coverage_90,
        width_90_hours=part.width_90_h,
        baselines=[
            messages.BaselineScore(name=one.name, mae_hours=one.mae_h, median_ae_minutes=one.median_ae_min)
            for one in part.baselines
        ],
    )


def _importance(member: ImportanceEntry) -> messages.MemberImportance:
    return messages.MemberImportance(
        name=member.name,
        features=[
            messages.FeatureImportance(feature=one.feature, group=group_of(one.feature), share=one.share)
            for one in member.features
        ],
    )
