"""What a caller may do: four scopes, and the one that each call of the contract needs."""

from __future__ import annotations

PREDICT = "predict"
REPORT = "report"
HISTORY = "history"
ADMIN = "admin"

ALL = (PREDICT, REPORT, HISTORY, ADMIN)
"""Forecasts and models; telling what happened to jobs; asking what did; acts that change the service.

None contains another.
"""

OPEN = (
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1alpha.ServerReflection/",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
)
"""What answers anyone: balancers ask for health, and what reflection tells is published."""

NEEDED = {
    "/rtpredictor.v1.PredictionService/Predict": PREDICT,
    "/rtpredictor.v1.PredictionService/PredictBatch": PREDICT,
    "/rtpredictor.v1.PredictionService/PredictStream": PREDICT,
    "/rtpredictor.v1.PredictionService/PredictRemaining": PREDICT,
    "/rtpredictor.v1.HistoryService/ReportJobs": REPORT,
    "/rtpredictor.v1.HistoryService/ListJobs": HISTORY,
    "/rtpredictor.v1.ModelService/GetModel": PREDICT,
    "/rtpredictor.v1.ModelService/ListModels": PREDICT,
    "/rtpredictor.v1.ModelService/GetEvaluation": PREDICT,
    "/inference.GRPCInferenceService/ModelReady": PREDICT,
    "/inference.GRPCInferenceService/ServerMetadata": PREDICT,
    "/inference.GRPCInferenceService/ModelMetadata": PREDICT,
    "/inference.GRPCInferenceService/ModelInfer": PREDICT,
}
"""The scope of each call, by its path; a test compares it with the contract."""


def needed(path: str) -> str:
    """Return the scope that a call needs: of one that the table lacks, the rarest."""
    return NEEDED.get(path, ADMIN)
