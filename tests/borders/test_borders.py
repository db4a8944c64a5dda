"""Who may import whom: the contracts of .importlinter, and what is really loaded by a fresh interpreter."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BOOSTING = {"xgboost", "lightgbm", "catboost"}
INGEST = {"polars", "pandera"}
CONTRACTS = {"rtpredictor", "open_inference"}
PACKAGES = {
    "rt_predictor_formats",
    "rt_predictor_core",
    "rt_predictor_training",
    "rt_predictor_api",
    "rt_predictor_client",
    "rt_predictor_ui",
}

FORBIDDEN = {
    "rtpredictor": PACKAGES,
    "open_inference": PACKAGES,
    "rt_predictor_formats": PACKAGES | BOOSTING | INGEST | CONTRACTS | {"numpy", "pyarrow", "grpc", "click", "rich"},
    "rt_predictor_core": PACKAGES | BOOSTING | CONTRACTS | {"grpc", "prometheus_client", "streamlit", "pydantic"},
    "rt_predictor_training": PACKAGES | CONTRACTS | {"grpc", "streamlit", "prometheus_client"},
    "rt_predictor_api": PACKAGES | BOOSTING | INGEST | {"streamlit", "rt_predictor_core.sources"},
    "rt_predictor_client": PACKAGES | BOOSTING | INGEST | {"numpy", "numba", "pyarrow", "streamlit", "pydantic"},
    "rt_predictor_ui": PACKAGES | BOOSTING | INGEST | {"numba"},
}
"""What must not be loaded although it is installed here, by package."""

ALLOWED = {
    "rt_predictor_core": {"rt_predictor_formats"},
    "rt_predictor_training": {"rt_predictor_core", "rt_predictor_formats"},
    "rt_predictor_api": {"rt_predictor_core", "rt_predictor_formats"},
    "rt_predictor_client": {"rt_predictor_formats"},
    "rt_predictor_ui": {"rt_predictor_client", "rt_predictor_formats"},
}
"""What a package may load of the others."""

IMPORT_ALL = """
import importlib, json, pkgutil, sys
def visit(name):
    # __main__ would run the command
    if name not in sys.argv[2:] and not name.endswith(".__main__"):
        for module in pkgutil.iter_modules(getattr(importlib.import_module(name), "__path__", ()), name + "."):
            visit(module.name)
visit(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""
"""Imports every module of a package, whether or not another one imports it, and prints what is loaded then."""


def loaded(package: str, *skipped: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after it has imported all of a package."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL, package, *skipped],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_fresh_interpreter_loads_nothing_forbidden(package: str) -> None:
    # sources read logs with libraries that only training's environment has; importlinter holds them to sources
    skipped = ("rt_predictor_core.sources",) if package == "rt_predictor_core" else ()
    forbidden = FORBIDDEN[package] - {package} - ALLOWED.get(package, set())
    assert loaded(package, *skipped) & forbidden == set()


def test_core_needs_no_ingest_library_outside_sources() -> None:
    assert loaded("rt_predictor_core", "rt_predictor_core.sources") & INGEST == set()


def test_formats_needs_nothing_but_the_standard_library() -> None:
    top = {name.partition(".")[0] for name in loaded("rt_predictor_formats")}
    # what the editable installation itself puts into every interpreter of this environment
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    at_start = {name.partition(".")[0] for name in bare.stdout.split()}
    assert top - at_start - set(sys.stdlib_module_names) == {"rt_predictor_formats"}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts on the packages below a folder."""
    sources = [str(folder / f"{name.replace('_', '-')}/src") for name in sorted(PACKAGES)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sources, str(folder / "proto/src")])}
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", str(ROOT / ".importlinter")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("package", "line", "contract"),
    [
        ("rt-predictor-formats", "import numpy", "formats: the standard library alone"),
        ("rt-predictor-core", "def late() -> None:\n    import grpc", "core: no service"),
        ("rt-predictor-training", "import rt_predictor_api", "training: neither the API"),
        ("rt-predictor-api", "def late() -> None:\n    import lightgbm", "api: neither training"),
        ("rt-predictor-client", "import rt_predictor_core", "client: small enough"),
        ("rt-predictor-ui", "import grpc", "ui: no transport of its own"),
    ],
)
def test_the_contracts_catch_an_import_across_a_border(tmp_path: Path, package: str, line: str, contract: str) -> None:
    for name in (*PACKAGES, "proto"):
        folder = "proto" if name == "proto" else name.replace("_", "-")
        shutil.copytree(
            ROOT / folder / "src", tmp_path / folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    module = tmp_path / package / "src" / package.replace("-", "_") / "across.py"
    module.write_text(line + "\n", encoding="utf-8")
    done = lint_imports(tmp_path)
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert done.returncode != 0
    assert any(text.startswith(contract) for text in broken), done.stdout + done.stderr
