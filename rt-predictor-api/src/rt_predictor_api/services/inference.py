"""The Open Inference Protocol: ServerLive, ServerReady, ModelReady, ServerMetadata, ModelMetadata, ModelInfer."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as installed
from typing import Any

from open_inference import inference_pb2 as messages
from open_inference.inference_pb2_grpc import GRPCInferenceServiceServicer
from rt_predictor_api import metrics, open_inference
from rt_predictor_api.engine import Engine
from rt_predictor_api.metrics import Metrics
from rt_predictor_api.settings import Settings
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_formats.errors import Problem, shown

VERSION = installed("rt-predictor-api")
"""Looked up once: an upgrade takes the old one's files away while it runs."""


class InferenceService(GRPCInferenceServiceServicer):
    """Forecasts jobs for clients of a public protocol; ``clock`` as for the PredictionService."""

    def __init__(self, engine: Engine, settings: Settings, counted: Metrics, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._settings = settings
        self._metrics = counted
        self._clock = clock

    def ServerLive(self, request: messages.ServerLiveRequest, context: Any) -> messages.ServerLiveResponse:  # noqa: N802 - named by the protocol
        """Say that the service takes calls."""
        del request, context
        return messages.ServerLiveResponse(live=True)

    def ServerReady(self, request: messages.ServerReadyRequest, context: Any) -> messages.ServerReadyResponse:  # noqa: N802
        """Say whether there is a model."""
        del request, context
        return messages.ServerReadyResponse(ready=self._engine.manifest is not None)

    def ModelReady(self, request: messages.ModelReadyRequest, context: Any) -> messages.ModelReadyResponse:  # noqa: N802
        """Say whether a model, or a version of it, is the one that answers."""
        del context
        current = self._engine.manifest
        ready = current is not None and _is_meant(request.name, request.version, current.version)
        return messages.ModelReadyResponse(ready=ready)

    def ServerMetadata(  # noqa: N802
        self, request: messages.ServerMetadataRequest, context: Any
    ) -> messages.ServerMetadataResponse:
        """Describe the service."""
        del request, context
        return messages.ServerMetadataResponse(name=open_inference.MODEL, version=VERSION)

    def ModelMetadata(self, request: messages.ModelMetadataRequest, context: Any) -> messages.ModelMetadataResponse:  # noqa: N802
        """Describe the model that answers."""
        del context
        return open_inference.metadata(self._current(request.name, request.version))

    def ModelInfer(self, request: messages.ModelInferRequest, context: Any) -> messages.ModelInferResponse:  # noqa: N802
        """Forecast a job per row."""
        del context
        self._current(request.model_name, request.model_version)
        names = open_inference.wanted(request)
        risk = open_inference.risk(request, self._settings.default_risk)
        asked = open_inference.asked(request, int(self._clock()), self._settings.max_batch_rows)
        self._metrics.count(metrics.ROWS_REJECTED, "ModelInfer", by=len(asked.errors))
        open_inference.refuse_bad_rows(asked)
        answer = self._engine.predict(asked)
        # another model may have been adopted meanwhile
        _require(request.model_name, request.model_version, answer.version)
        return open_inference.response(request, answer, risk, names)

    def _current(self, name: str, version: str) -> Manifest:
        current = self._engine.manifest
        if current is None:
            raise Problem("NO_MODEL", "no model is loaded yet", remedy="try again shortly")
        _require(name, version, current.version)
        return current


def _is_meant(name: str, version: str, current: str) -> bool:
    return name == open_inference.MODEL and version in {"", current}


def _require(name: str, version: str, current: str) -> None:
    if not _is_meant(name, version, current):
        thing = f"no model {shown(name)}" + (f" of version {shown(version)}" if version else "")
        remedy = f"ask for {open_inference.MODEL} without a version, or with {current}"
        raise Problem("MODEL_UNKNOWN", thing, place="model_name", remedy=remedy)
