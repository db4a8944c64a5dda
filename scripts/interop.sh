#!/usr/bin/env bash
# Builds the public gRPC tools that tests/e2e asks the service with: grpcurl, and the probe of Kubernetes.
# Go fetches and builds them from their sources, in minutes; the tests that need them are skipped without.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# where Go's own archive goes, which no shell looks at unless it is told
PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null 2>&1 || { echo "error: go: not found; install Go 1.24 or newer: https://go.dev/doc/install" >&2; exit 1; }
export GOBIN=$PWD/.cache/interop/bin
for tool in github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4 github.com/grpc-ecosystem/grpc-health-probe@v0.4.62; do
  echo "interop: building ${tool##*/}"
  go install "$tool"
done
echo "interop: the tools are in .cache/interop/bin"
