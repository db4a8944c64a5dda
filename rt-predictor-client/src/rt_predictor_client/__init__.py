"""Python SDK and the rtp command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rt_predictor_client.client import Client
    from rt_predictor_client.config import BreakerPolicy, Config, Security, load_config
    from rt_predictor_client.errors import (
        CircuitOpen,
        ClientError,
        NotAllowed,
        NotFound,
        Outdated,
        Rejected,
        TimedOut,
        TooMuch,
        Unreachable,
    )
    from rt_predictor_client.insight import (
        BaselineScore,
        EvaluationInfo,
        Explanation,
        FeatureImportance,
        MemberImportance,
        PartScore,
    )
    from rt_predictor_client.listing import JobForecast, JobPage, JobRecord
    from rt_predictor_client.requests import (
        DialMeasure,
        Forecast,
        MethodScore,
        ModelInfo,
        RemainingForecast,
        ReportResult,
        RowError,
    )
    from rt_predictor_formats.sbatch import JobRequest

__all__ = [
    "BaselineScore",
    "BreakerPolicy",
    "CircuitOpen",
    "Client",
    "ClientError",
    "Config",
    "DialMeasure",
    "EvaluationInfo",
    "Explanation",
    "FeatureImportance",
    "Forecast",
    "JobForecast",
    "JobPage",
    "JobRecord",
    "JobRequest",
    "MemberImportance",
    "MethodScore",
    "ModelInfo",
    "NotAllowed",
    "NotFound",
    "Outdated",
    "PartScore",
    "Rejected",
    "RemainingForecast",
    "ReportResult",
    "RowError",
    "Security",
    "TimedOut",
    "TooMuch",
    "Unreachable",
    "load_config",
]

__version__ = "0.1.0"

_MODULES = {
    "Client": "rt_predictor_client.client",
    "BreakerPolicy": "rt_predictor_client.config",
    "Config": "rt_predictor_client.config",
    "Security": "rt_predictor_client.config",
    "load_config": "rt_predictor_client.config",
    "DialMeasure": "rt_predictor_client.requests",
    "BaselineScore": "rt_predictor_client.insight",
    "EvaluationInfo": "rt_predictor_client.insight",
    "Explanation": "rt_predictor_client.insight",
    "FeatureImportance": "rt_predictor_client.insight",
    "MemberImportance": "rt_predictor_client.insight",
    "PartScore": "rt_predictor_client.insight",
    "Forecast": "rt_predictor_client.requests",
    "JobForecast": "rt_predictor_client.listing",
    "JobPage": "rt_predictor_client.listing",
    "JobRecord": "rt_predictor_client.listing",
    "JobRequest": "rt_predictor_formats.sbatch",
    "MethodScore": "rt_predictor_client.requests",
    "ModelInfo": "rt_predictor_client.requests",
    "RemainingForecast": "rt_predictor_client.requests",
    "ReportResult": "rt_predictor_client.requests",
    "RowError": "rt_predictor_client.requests",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: ``rtp --help`` must not wait for grpc."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "rt_predictor_client.errors")), name)
