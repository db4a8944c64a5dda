"""What the service must not load."""

from __future__ import annotations

import json
import subprocess
import sys

FORBIDDEN = {
    "xgboost",
    "lightgbm",
    "catboost",
    "polars",
    "pandera",
    "sklearn",
    "streamlit",
    "rt_predictor_training",
    "rt_predictor_client",
    "rt_predictor_ui",
}

PROGRAM = """
import importlib, json, pkgutil, sys
import rt_predictor_api
for module in pkgutil.walk_packages(rt_predictor_api.__path__, "rt_predictor_api."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_importing_every_module_of_the_service_loads_no_forbidden_library() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
    loaded = set(json.loads(run.stdout))
    assert "rt_predictor_core" in loaded
    assert loaded & FORBIDDEN == set()
