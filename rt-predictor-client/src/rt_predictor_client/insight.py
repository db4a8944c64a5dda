"""What the service tells of its forecasts and models beyond the figures themselves, as values."""

from __future__ import annotations

from dataclasses import dataclass

from rt_predictor_client.words import word
from rtpredictor.v1 import forecast_pb2


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
