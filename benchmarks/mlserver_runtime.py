"""The peer's side, run in the peer's environment: three native models as one runtime of MLServer, and a request to it.

``python mlserver_runtime.py ROW`` writes a request for one row, a JSON list, to stdout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from natives import Natives


class Ensemble(MLModel):
    """Each library's own model and call, and the mean of the three."""

    async def load(self) -> bool:
        """Load the models from the folder of an artifact's members."""
        self._natives = Natives(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the quantiles of the rows."""
        rows = NumpyCodec.decode_input(payload.inputs[0])
        outputs = [NumpyCodec.encode_output("quantiles", np.mean(self._natives.said(rows), axis=0))]
        return InferenceResponse(model_name=self.name, outputs=outputs)


def main() -> None:
    """Write a request."""
    from mlserver.grpc.converters import ModelInferRequestConverter

    rows = np.array([json.loads(sys.argv[1])], np.float32)
    request = InferenceRequest(inputs=[NumpyCodec.encode_input("rows", rows)])
    message = ModelInferRequestConverter.from_types(request, model_name="ensemble")
    sys.stdout.buffer.write(message.SerializeToString())


if __name__ == "__main__":
    main()
