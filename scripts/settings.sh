# shellcheck shell=bash
# Sourced by local.sh, compose.sh and quickstart.sh: what both ways of running have in common.

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# .env as Compose reads it: KEY=VALUE lines, and what the environment has set already wins
if [[ -f .env ]]; then
  while IFS= read -r line || [[ -n $line ]]; do
    [[ $line =~ ^([A-Z_][A-Z0-9_]*)=(.*)$ ]] || continue
    name=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    value=${value%\"} value=${value#\"}
    if [[ -z ${!name+set} ]]; then export "$name=$value"; fi
  done <.env
  unset line name value
fi

# threads that wait for each other must not keep the cores busy: seven times slower where cores are shared
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

# read by the scripts that source this one
# shellcheck disable=SC2034
readonly PORT=${RT_PREDICTOR_PORT:-50051} METRICS_PORT=${RT_PREDICTOR_METRICS_PORT:-8181} UI_PORT=${RT_PREDICTOR_UI_PORT:-8501}
# shellcheck disable=SC2034
readonly START_SECONDS=${RT_PREDICTOR_START_SECONDS:-180}

in_use() { die "port $1: in use by another program; stop that one (ss -ltnp or lsof -i :$1 names it) or choose another port: $2=NUMBER"; }
