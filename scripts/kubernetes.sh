#!/usr/bin/env bash
# Fetches what tests/kubernetes judges k8s/ with: kustomize, Kubernetes' Pod Security Standards, the schemas of its
# releases, and those of the Prometheus operator's kinds. All go to .cache/kubernetes; tests are skipped without.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly KUSTOMIZE=v5.8.0 OPERATOR=v0.85.0 FOLDER=$PWD/.cache/kubernetes
# where Go's own archive goes, which no shell looks at unless it is told
PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null 2>&1 || { echo "error: go: not found; install Go 1.24 or newer: https://go.dev/doc/install" >&2; exit 1; }
mkdir -p "$FOLDER/crds"

echo "kubernetes: building kustomize $KUSTOMIZE"
GOBIN=$FOLDER/bin go install "sigs.k8s.io/kustomize/kustomize/v5@$KUSTOMIZE"

echo "kubernetes: building the judge of Pod Security"
(cd tests/kubernetes/pod_security && go build -o "$FOLDER/bin/pod-security" .)

echo "kubernetes: taking the schemas of the Prometheus operator $OPERATOR"
module=$(cd "$FOLDER" && go mod download -json "github.com/prometheus-operator/prometheus-operator@$OPERATOR" |
  sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
for kind in servicemonitors prometheusrules; do
  install -m 644 "$module/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$FOLDER/crds/"
done

echo "kubernetes: installing requirements/kubernetes.txt"
. scripts/site.sh
.venv/bin/uv pip install --quiet --python .venv/bin/python --target "$FOLDER/python" --require-hashes -r requirements/kubernetes.txt
echo "kubernetes: all is in .cache/kubernetes"
