"""What callers send of users and jobs is in no line of the log."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import grpc

from rt_predictor_api.interceptors.errors import origin
from rtpredictor.v1.prediction_service_pb2 import PredictRequest

MARK = "zuse7konrad"


def test_an_unforeseen_error_is_logged_without_its_text(served: Any, job: Any, caplog: Any) -> None:
    with served() as client:
        engine = client.service._engine
        engine._served = MARK  # a part that does not fit: the error names it
        with suppress(grpc.RpcError):
            client.prediction.Predict(PredictRequest(job=job()))
        engine._served = None
    (failed,) = [record.msg for record in caplog.records if record.levelname == "ERROR"]
    assert failed["reason"] == "INTERNAL"
    assert failed["exception"].endswith("AttributeError")
    assert "engine.py" in failed["exception"]
    assert MARK not in str(failed)


def test_the_origin_of_an_error_tells_its_chain_by_type_and_place() -> None:
    def fail() -> None:
        try:
            int(MARK)
        except ValueError as error:
            raise KeyError(MARK) from error

    try:
        fail()
    except KeyError as error:
        text = origin(error)
    assert text.index("ValueError") < text.index("KeyError")
    assert text.count("test_privacy.py") == 3
    assert MARK not in text
