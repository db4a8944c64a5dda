"""What the tests of this folder share: commands, and the bundle that they install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def made(folder: Path) -> Path:
    """Return a new archive of all parts with a model trained on ``log.parquet``, which lies beside it in ``folder``."""
    log = folder / "log.parquet"
    for command in (
        [BIN / "rt-predictor-synthesize", "--rows", "3000", "--out", log],
        [BIN / "rt-predictor-train", "--data", log, "--models", folder / "models", "--profile", "quick"],
        [ROOT / "scripts/bundle.sh", "--out", folder, "--models", folder / "models"],
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    return archive
