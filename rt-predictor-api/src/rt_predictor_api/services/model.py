"""GetModel, ListModels, GetEvaluation."""

from __future__ import annotations

from typing import Any

from rt_predictor_api import convert, evaluations
from rt_predictor_api.catalogue import Catalogue, Known
from rt_predictor_api.engine import Engine
from rt_predictor_api.validation import check
from rt_predictor_core.artifact.manifest import Manifest
from rt_predictor_formats.errors import Problem, shown
from rtpredictor.v1 import model_service_pb2 as messages
from rtpredictor.v1.model_service_pb2_grpc import ModelServiceServicer


class ModelService(ModelServiceServicer):
    """Describes models."""

    def __init__(self, engine: Engine, catalogue: Catalogue) -> None:
        self._engine = engine
        self._catalogue = catalogue

    def GetModel(self, request: messages.GetModelRequest, context: Any) -> messages.GetModelResponse:  # noqa: N802 - named by the contract
        """Describe the model that answers, or the one of a version."""
        del context
        check(request)
        current, asked = self._asked(request.version)
        return messages.GetModelResponse(model=convert.model(asked.manifest, current.version))

    def ListModels(self, request: messages.ListModelsRequest, context: Any) -> messages.ListModelsResponse:  # noqa: N802
        """Describe all valid models, newest first."""
        del context
        check(request)
        current = self._engine.manifest
        answers = current.version if current else None
        return messages.ListModelsResponse(models=[convert.model(one, answers) for one in self._catalogue.manifests()])

    def GetEvaluation(self, request: messages.GetEvaluationRequest, context: Any) -> messages.GetEvaluationResponse:  # noqa: N802
        """Tell how the model that answers, or the one of a version, did part by part."""
        del context
        check(request)
        _, asked = self._asked(request.version)
        response = messages.GetEvaluationResponse(version=asked.manifest.version)
        if asked.evaluation is not None:
            response.evaluation.CopyFrom(evaluations.message(asked.evaluation))
        return response

    def _asked(self, version: str) -> tuple[Manifest, Known]:
        """Return the manifest of the model that answers, and what is known of the one that is asked for."""
        current = self._engine.known
        if current is None:
            raise Problem("NO_MODEL", "no model is loaded yet", remedy="try again shortly")
        asked = current if version in {"", current.manifest.version} else self._catalogue.known(version)
        if asked is None:
            raise Problem("MODEL_UNKNOWN", f"no valid model {shown(version)}", place="version", remedy="see ListModels")
        return current.manifest, asked
