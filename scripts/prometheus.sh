#!/usr/bin/env bash
# Takes prometheus and promtool out of the image that docker-compose.yml names, for tests/monitoring: those rules and
# dashboards are tested with the Prometheus that will read them. Without Docker the tests take the ones on the PATH.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
  { echo "error: docker: no engine answers; start it, or put prometheus and promtool on the PATH" >&2; exit 1; }
image=$(sed -n 's/^ *image: \(prom\/prometheus:.*\)$/\1/p' docker-compose.yml)
folder=.cache/prometheus
mkdir -p "$folder"
container=$(docker create "$image")
trap 'docker rm "$container" >/dev/null' EXIT
for program in prometheus promtool; do docker cp -L "$container:/bin/$program" "$folder/$program"; done
echo "prometheus: prometheus and promtool of $image are in $folder"
