"""What a worker process of this machine loads first: it shares our terminal, and the libraries write to it."""

from __future__ import annotations

import os
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Write nowhere; what goes wrong travels to us as an exception."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
