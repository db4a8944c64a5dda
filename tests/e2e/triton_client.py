"""Asks the service with the public tritonclient, which nobody here wrote; runs in an environment of its own.

triton_client.py HOST:PORT    rows as JSON on standard input; what the service said on standard output
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, service_pb2
from tritonclient.utils import InferenceServerException

MODEL = "rt-predictor"


def wire() -> dict[str, dict[str, Any]]:
    """Return number, type and repetition of every field of every message that this client knows."""
    found = {}
    waiting = list(service_pb2.DESCRIPTOR.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        waiting += message.nested_types
        found[message.full_name] = {
            field.name: [field.number, field.type, field.is_repeated] for field in message.fields
        }
    return found


def tensor(name: str, values: list[Any]) -> InferInput:
    """Return a column in the form that this client sends by itself: raw."""
    text = isinstance(values[0], str)
    array = np.array([value.encode() for value in values], object) if text else np.array(values, np.float64)
    if name == "submit_time":
        array = array.astype(np.int64)
    kind = {"O": "BYTES", "i": "INT64", "f": "FP64"}[array.dtype.kind]
    made = InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array)
    return made


def listed(values: np.ndarray) -> list[Any]:
    """Return values as JSON has them."""
    return [value.decode() if isinstance(value, bytes) else value for value in values.tolist()]


def refused(client: InferenceServerClient, *inputs: InferInput) -> str:
    """Return the status and the words of a call that fails."""
    try:
        client.infer(MODEL, list(inputs))
    except InferenceServerException as error:
        return f"{error.status()} {error.message()}"
    return ""


def main(address: str) -> None:
    """Make every call that this client has for a server without extensions."""
    columns = json.load(sys.stdin)
    client = InferenceServerClient(address)
    outputs = [output["name"] for output in client.get_model_metadata(MODEL, as_json=True)["outputs"]]
    inputs = [tensor(name, values) for name, values in columns.items()]
    answer = client.infer(MODEL, inputs, request_id="seven", parameters={"risk": 0.2})
    wanted = client.infer(MODEL, inputs, outputs=[InferRequestedOutput("tier")])
    said = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(MODEL),
        "other_ready": client.is_model_ready("resnet"),
        "server": client.get_server_metadata(as_json=True),
        "model": client.get_model_metadata(MODEL, as_json=True),
        "outputs": {name: listed(answer.as_numpy(name)) for name in outputs},
        "id": answer.get_response().id,
        "wanted": [output.name for output in wanted.get_response().outputs],
        "refused": refused(client, tensor("colour", ["red"])),
        "wire": wire(),
    }
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
