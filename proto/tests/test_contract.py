"""The contract passes its linter, explains itself, and generates what is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
BUF = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
SERVICES = {
    "PredictionService": {"Predict", "PredictBatch", "PredictStream", "PredictRemaining"},
    "HistoryService": {"ReportJobs", "ListJobs"},
    "ModelService": {"GetModel", "ListModels", "GetEvaluation"},
    "GRPCInferenceService": {
        "ServerLive",
        "ServerReady",
        "ModelReady",
        "ServerMetadata",
        "ModelMetadata",
        "ModelInfer",
    },
}

needs_buf = pytest.mark.skipif(BUF is None, reason="buf is not installed (pip install buf-bin)")


def buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert BUF is not None
    return subprocess.run([BUF, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    out = tmp_path_factory.mktemp("contract") / "contract.binpb"
    built = buf("build", "--output", str(out))
    assert built.returncode == 0, built.stderr
    files = FileDescriptorSet.FromString(out.read_bytes()).file
    return [file for file in files if file.package in {"rtpredictor.v1", "inference"}]


def comments(file: Any) -> dict[tuple[int, ...], str]:
    return {tuple(location.path): location.leading_comments.strip() for location in file.source_code_info.location}


def methods(contract: list[Any]) -> Iterator[tuple[str, str, str]]:
    for file in contract:
        said = comments(file)
        for s, service in enumerate(file.service):
            for m, method in enumerate(service.method):
                # 6 is a file's list of services, 2 a service's list of methods (descriptor.proto)
                yield service.name, method.name, said.get((6, s, 2, m), "")


@needs_buf
def test_the_linter_has_nothing_to_say() -> None:
    linted = buf("lint")
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


@needs_buf
def test_the_contract_is_formatted() -> None:
    formatted = buf("format", "--diff", "--exit-code", "--path", "rtpredictor", "--path", "open_inference")
    assert formatted.returncode == 0, formatted.stdout


@needs_buf
def test_every_call_says_what_it_does(contract: list[Any]) -> None:
    documented = {(service, method): text for service, method, text in methods(contract)}
    assert {service: {m for s, m in documented if s == service} for service, _ in documented} == SERVICES
    assert [call for call, text in documented.items() if not text.endswith(".")] == []


@needs_buf
def test_every_number_of_a_job_says_its_unit_or_what_is_counted(contract: list[Any]) -> None:
    (file,) = [file for file in contract if file.name.endswith("/job.proto")]
    said = comments(file)
    (job,) = [(i, message) for i, message in enumerate(file.message_type) if message.name == "Job"]
    units = {"wallclock_req": "[s]", "mem_req": "[MB]"}
    for position, field in enumerate(job[1].field):
        assert units.get(field.name, "") in said[4, job[0], 2, position]


def test_the_generated_services_offer_every_call() -> None:
    modules = {
        "PredictionService": "rtpredictor.v1.prediction_service",
        "GRPCInferenceService": "open_inference.inference",
    }
    for service, names in SERVICES.items():
        module = modules.get(service, f"rtpredictor.v1.{service.lower()[:-7]}_service")
        stubs = import_module(f"{module}_pb2_grpc")
        assert names <= set(vars(getattr(stubs, f"{service}Servicer")))


def test_generating_again_gives_what_is_installed(tmp_path: Path) -> None:
    if util.find_spec("grpc_tools") is None:
        pytest.skip("grpcio-tools is not installed")
    program = "import sys; from pathlib import Path; from generate import generate; generate(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    fresh = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*_pb2*.py*")}
    installed = ROOT / "src"
    kept = {path.relative_to(installed): path.read_bytes() for path in installed.rglob("*_pb2*.py*")}
    assert {path: data for path, data in kept.items() if path.suffix in {".py", ".pyi"}} == fresh
