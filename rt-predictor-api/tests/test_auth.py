"""Who is let in, by token, and what the audit log tells of it."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import open_inference
import rtpredictor.v1
from open_inference.inference_pb2 import ModelMetadataRequest, ServerReadyRequest
from open_inference.inference_pb2_grpc import GRPCInferenceServiceStub
from rt_predictor_api.interceptors.auth import permit
from rt_predictor_api.security import scopes
from rt_predictor_api.security.access import Caller, issue
from rt_predictor_formats.errors import Problem
from rtpredictor.v1.history_service_pb2 import ListJobsRequest, ReportJobsRequest
from rtpredictor.v1.model_service_pb2 import GetEvaluationRequest, GetModelRequest, ListModelsRequest
from rtpredictor.v1.prediction_service_pb2 import (
    PredictBatchRequest,
    PredictRemainingRequest,
    PredictRequest,
    PredictStreamRequest,
)


def calls(client: Any, job: Any, event: Any) -> dict[str, Callable[[], Any]]:
    """Return a good call of every method of the contract, by its name."""
    prediction, history, model = client.prediction, client.history, client.model
    inference = GRPCInferenceServiceStub(client.channel)
    return {
        "Predict": lambda: prediction.Predict(PredictRequest(job=job())),
        "PredictBatch": lambda: prediction.PredictBatch(PredictBatchRequest(jobs=[job()])),
        "PredictStream": lambda: list(prediction.PredictStream(iter([PredictStreamRequest(jobs=[job()])]))),
        "PredictRemaining": lambda: prediction.PredictRemaining(PredictRemainingRequest(job=job(), elapsed_seconds=5)),
        "ReportJobs": lambda: history.ReportJobs(iter([ReportJobsRequest(events=[event(1)])])),
        "ListJobs": lambda: history.ListJobs(ListJobsRequest()),
        "GetModel": lambda: model.GetModel(GetModelRequest()),
        "ListModels": lambda: model.ListModels(ListModelsRequest()),
        "GetEvaluation": lambda: model.GetEvaluation(GetEvaluationRequest()),
        "ModelMetadata": lambda: inference.ModelMetadata(ModelMetadataRequest(name="rt-predictor")),
    }


def contract() -> Iterator[str]:
    """Yield the path of every call of the contract, and of the public protocol beside it."""
    for package in (rtpredictor.v1, open_inference):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name.endswith("_pb2"):
                described = importlib.import_module(module.name).DESCRIPTOR
                for service in described.services_by_name.values():
                    yield from (f"/{service.full_name}/{method.name}" for method in service.methods)


def test_every_call_of_the_contract_has_a_scope_and_no_other() -> None:
    assert set(scopes.NEEDED) == {path for path in contract() if not path.startswith(scopes.OPEN)}
    assert set(scopes.NEEDED.values()) < set(scopes.ALL)


def test_every_call_that_the_service_answers_is_open_or_has_a_scope(served: Any) -> None:
    with served(reflection=True) as client:
        answered = client.service._grpc._state.registered_method_handlers
        closed = {path for path in answered if not path.startswith(scopes.OPEN)}
    assert len(answered) > len(closed) > 0
    assert closed == set(scopes.NEEDED)


def test_an_unknown_call_needs_the_rarest_scope() -> None:
    path = "/inference.GRPCInferenceService/RepositoryModelLoad"
    permit(Caller("root", frozenset({"admin"})), path)
    with pytest.raises(Problem, match="the scope admin"):
        permit(Caller("portal", frozenset({"predict", "report"})), path)


@pytest.mark.parametrize("scope", scopes.ALL)
def test_a_token_opens_the_calls_of_its_scope_and_no_others(
    served: Any, job: Any, event: Any, refusal: Any, access_file: Any, scope: str
) -> None:
    path, tokens = access_file(portal=scope)
    by_name = {path.rpartition("/")[2]: needed for path, needed in scopes.NEEDED.items()}
    with served(access_file=path, token=tokens["portal"]) as client:
        for method, call in calls(client, job, event).items():
            if by_name[method] == scope:
                assert call() is not None
                continue
            refused = refusal(call)
            assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "SCOPE_MISSING")
            assert f"the scope {by_name[method]}" in refused.text
            assert "'portal'" in refused.text


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "TOKEN_MISSING"),
        ([("authorization", "")], "TOKEN_MISSING"),
        ([("authorization", "Basic cG9ydGFsOng=")], "TOKEN_MISSING"),
        ([("authorization", "{token}")], "TOKEN_MISSING"),
        ([("authorization", "Bearer {token}"), ("authorization", "Bearer {token}")], "TOKEN_MISSING"),
        ([("token", "Bearer {token}")], "TOKEN_MISSING"),
        ([("authorization", "Bearer ")], "TOKEN_UNKNOWN"),
        ([("authorization", "Bearer {token}x")], "TOKEN_UNKNOWN"),
        ([("authorization", "Bearer {hash}")], "TOKEN_UNKNOWN"),
        ([("authorization", "Bearer portal")], "TOKEN_UNKNOWN"),
        ([("authorization", "bearer {token}")], ""),
        ([("authorization", "Bearer  {token} ")], ""),
    ],
)
def test_what_is_no_known_token_is_unauthenticated(
    guarded: Any, job: Any, refusal: Any, entries: list[tuple[str, str]], reason: str
) -> None:
    client, token, line = guarded
    words = {"token": token, "hash": line.split()[-1]}
    metadata = [(key, value.format(**words)) for key, value in entries]

    def call() -> Any:
        return client.prediction.Predict(PredictRequest(job=job()), metadata=metadata)

    if not reason:
        assert call().forecast.median_seconds > 0
        return
    refused = refusal(call)
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", reason)
    assert "administrator" in refused.parts["remedy"]
    assert token not in refused.text


@pytest.fixture(scope="module")
def guarded(trained: Any, serve: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service that knows one token, a client without one, the token, and its line."""
    base = tmp_path_factory.mktemp("guarded")
    shutil.copytree(trained, base / "models" / trained.name)
    token, line = issue("portal", ["predict", "report"])
    (base / "access").write_text(line)
    with serve(base / "models", base / "history", access_file=base / "access", reflection=True) as client:
        yield client, token, line


def test_health_and_reflection_answer_anyone(guarded: Any) -> None:
    client, _, _ = guarded
    assert GRPCInferenceServiceStub(client.channel).ServerReady(ServerReadyRequest()).ready
    assert client.status("rtpredictor.v1.PredictionService") == "SERVING"
    stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
    (answer,) = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    assert "rtpredictor.v1.ModelService" in {service.name for service in answer.list_services_response.service}


def test_a_caller_without_a_token_is_refused_before_its_message_is_read(guarded: Any) -> None:
    client, _, _ = guarded
    raw = client.channel.unary_unary("/rtpredictor.v1.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        raw(b"\xff" * 1_000, timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_refused_stream_learns_nothing(guarded: Any, event: Any, refusal: Any) -> None:
    client, token, _ = guarded
    before = client.value("rtpredictor_journal_events")
    assert refusal(lambda: client.report(event(7))).code == "UNAUTHENTICATED"
    assert client.value("rtpredictor_journal_events") == before
    assert client.bearer(token).report(event(7)).accepted == 1


def test_without_an_access_file_a_token_does_no_harm(served: Any, job: Any) -> None:
    with served(token="rtp_of_another_service") as client:
        assert client.prediction.Predict(PredictRequest(job=job())).forecast.median_seconds > 0


def test_a_changed_file_is_taken_and_told(
    served: Any, refusal: Any, until: Any, access_file: Any, audited: Any
) -> None:
    path, tokens = access_file(old="predict")
    with served(access_file=path, watch_interval_seconds=0.05) as client:
        assert client.bearer(tokens["old"]).model.GetModel(GetModelRequest())
        _, newer = access_file(new="predict")
        until(lambda: audited("access file changed"), "the new file")
        assert client.bearer(newer["new"]).model.GetModel(GetModelRequest())
        refused = refusal(lambda: client.bearer(tokens["old"]).model.GetModel(GetModelRequest()))
        assert refused.reason == "TOKEN_UNKNOWN"
        (line,) = audited("access file changed")
        assert (line["added"], line["removed"], line["tokens"]) == (["new"], ["old"], 1)
        assert client.value('rtpredictor_security_reloads_total{file="access file",outcome="taken"}') == 1


@pytest.mark.parametrize("broken", ["", "new predict", "new predict sha256:0", None])
def test_a_broken_file_is_refused_and_the_old_one_stays(
    served: Any, until: Any, access_file: Any, audited: Any, replace: Any, broken: str | None
) -> None:
    path, tokens = access_file(old="predict")
    good = path.read_text()
    refused = 'rtpredictor_security_reloads_total{file="access file",outcome="refused"}'
    with served(access_file=path, watch_interval_seconds=0.05, token=tokens["old"]) as client:
        path.unlink() if broken is None else replace(path, broken)
        until(lambda: client.value(refused), "the refusal")
        assert client.model.GetModel(GetModelRequest())
        (line,) = audited("access file refused")
        assert line["reason"] == ("FILE_UNREADABLE" if broken is None else "ACCESS_INVALID")
        client.service._guard.look()
        assert client.value(refused) == 1, "a refusal is told once"
        replace(path, f"{good}cert:* predict\n")
        until(lambda: audited("access file changed"), "the mended file")


def test_refused_calls_are_on_record_with_who_it_was_but_cannot_fill_the_disk(
    served: Any, access_file: Any, audited: Any
) -> None:
    path, tokens = access_file(slurm="report")
    with served(access_file=path, token=tokens["slurm"]) as client:
        for _ in range(40):
            with pytest.raises(grpc.RpcError):
                client.model.GetModel(GetModelRequest())
        lines = audited("call refused")
        assert 10 <= len(lines) < 40
        first = lines[0]
        assert (first["reason"], first["rpc"], first["identity"]) == ("SCOPE_MISSING", "GetModel", "slurm")
        assert first["peer"].startswith("ipv4:127.0.0.1:")
        assert client.value('rtpredictor_calls_refused_total{reason="scope_missing"}') == 40
        assert client.value('rtpredictor_requests_total{code="PERMISSION_DENIED",rpc="GetModel"}') == 40


def test_the_start_is_on_record_with_its_security_whatever_else_is_logged(start: Any, access_file: Any) -> None:
    path, _ = access_file(portal="predict")
    service = start(RT_PREDICTOR_ACCESS_FILE=str(path), RT_PREDICTOR_LOG_LEVEL="info")
    line = service.said("service started")
    assert line is not None
    assert (line["logger"], line["tokens"], line["tls"], line["reflection"]) == ("audit", 1, "", True)
