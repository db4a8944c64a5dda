"""GetModel, ListModels."""

from __future__ import annotations

from typing import Any

from rt_predictor_api import convert
from rt_predictor_api.catalogue import Catalogue
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
        current = self._engine.manifest
        if current is None:
            raise Problem("NO_MODEL", "no model is loaded yet", remedy="try again shortly")
        manifest = current if request.version in {"", current.version} else self._known(request.version)
        return messages.GetModelResponse(model=convert.model(manifest, current.version))

    def ListModels(self, request: messages.ListModelsRequest, context: Any) -> messages.ListModelsResponse:  # noqa: N802
        """Describe all valid models, newest first."""
        del context
        check(request)
        current = self._engine.manifest
        answers = current.version if current else None
        return messages.ListModelsResponse(models=[convert.model(one, answers) for one in self._catalogue.manifests()])

    def _known(self, version: str) -> Manifest:
        manifest = self._catalogue.manifest(version)
        if manifest is None:
            raise Problem("MODEL_UNKNOWN", f"no valid model {shown(version)}", place="version", remedy="see ListModels")
        return manifest
