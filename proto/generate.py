"""Generate the Python messages, gRPC stubs and their types from the contract.

The only way stubs are made: by the package's build, by ``make build`` and by
``rt-predictor-api/scripts/generate_proto.sh``. The output is never edited or committed.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
THIRD_PARTY = ROOT / "third_party"
OUT = ROOT / "src"

OWN = ("rtpredictor", "open_inference")
"""Folders with contracts of this service; each becomes a package of its name."""


def plugin(name: str) -> str:
    """Return protoc's option for a plug-in of mypy-protobuf, found beside this interpreter or on PATH."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        raise SystemExit(f"generate.py: {name} not found; install mypy-protobuf into this environment")
    return f"--plugin={name}={found}"


def generate(out: Path = OUT) -> list[Path]:
    """Write the packages of ``OWN`` and ``buf.validate`` below ``out``, replacing what was there.

    Returns the generated files. Raises SystemExit with protoc's own message if the contract is invalid.
    """
    own = [path.relative_to(ROOT) for package in OWN for path in sorted((ROOT / package).rglob("*.proto"))]
    vendored = [path.relative_to(THIRD_PARTY) for path in sorted(THIRD_PARTY.rglob("*.proto"))]
    for package in (*OWN, "buf"):
        shutil.rmtree(out / package, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    include = [str(ROOT), str(THIRD_PARTY), str(files("grpc_tools") / "_proto")]
    status = protoc.main(
        [
            "protoc",
            *(f"-I{path}" for path in include),
            plugin("protoc-gen-mypy"),
            plugin("protoc-gen-mypy_grpc"),
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
            *map(str, own + vendored),
        ]
    )
    if status != 0:
        raise SystemExit(f"generate.py: protoc failed with status {status}; mend the .proto file that it names above")
    for package in (*OWN, "buf"):
        for folder in (out / package, *(path for path in (out / package).rglob("*") if path.is_dir())):
            (folder / "__init__.py").touch()
            (folder / "py.typed").touch()
    for unused in (out / "buf").rglob("*_pb2_grpc.py*"):
        unused.unlink()
    return sorted(path for package in (*OWN, "buf") for path in (out / package).rglob("*") if path.is_file())


if __name__ == "__main__":
    for generated in generate():
        sys.stdout.write(f"{generated.relative_to(ROOT)}\n")
