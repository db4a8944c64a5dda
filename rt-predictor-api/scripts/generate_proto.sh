#!/bin/sh
# Generates the Python messages and stubs from the contract into proto/src; needs grpcio-tools and mypy-protobuf.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    [ -x .venv/bin/python ] && PYTHON=.venv/bin/python
fi
exec "$PYTHON" proto/generate.py
