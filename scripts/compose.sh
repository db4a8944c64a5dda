#!/usr/bin/env bash
# The services as containers; what scripts/local.sh does with processes of this machine.
#
#   scripts/compose.sh available                         does a Docker engine with Compose answer?
#   scripts/compose.sh start|stop|restart|status|logs    API, UI, Prometheus and Alertmanager
#   scripts/compose.sh setup|build|data|train|model|predict|addresses|clean|clean-all
#
# Environment: DATA (an accounting log; without it a synthetic one of ROWS jobs), PROFILE (m2max adds its overlay),
# TIMEZONE, RT_PREDICTOR_START_SECONDS, RT_PREDICTOR_SECRETS (adds docker-compose.secure.yml), RT_PREDICTOR_REPLICAS (so many
# APIs behind one address), and what docker-compose.yml names; .env is read too.
# Works with docker-compose 1.29, Compose v2, and the bash 3.2 of macOS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/settings.sh

readonly ROWS=${ROWS:-100000} PROFILE=${PROFILE:-standard} TIMEZONE=${TIMEZONE:-UTC} DATA=${DATA:-}
readonly PROMETHEUS_PORT=${RT_PREDICTOR_PROMETHEUS_PORT:-9090}
readonly ALERTMANAGER_PORT=${RT_PREDICTOR_ALERTMANAGER_PORT:-9093}
readonly TAG=${RT_PREDICTOR_TAG:-0.1.0} REPLICAS=${RT_PREDICTOR_REPLICAS:-1} SECRETS=${RT_PREDICTOR_SECRETS:-}
readonly BESIDE="ui prometheus alertmanager" SEVERAL="redis replica balancer"
readonly IMAGES="rt-predictor-training:$TAG rt-predictor-api:$TAG rt-predictor-ui:$TAG"
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-rt-predictor} COMPOSE_DOCKER_CLI_BUILD=1
# 0 builds without BuildKit
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-1}
# lists the models in the volume, by a program that the images hold: they have no shell
readonly MANIFESTS='import glob; print(*sorted(glob.glob("/models/*/manifest.json")), sep="\n")'
# the service that answers
if [[ $REPLICAS -gt 1 ]]; then readonly FRONT=replica; else readonly FRONT=api; fi

program() { # Compose v2 is a part of docker, v1 a program of its own
  if docker compose version >/dev/null 2>&1; then say "docker compose"
  elif command -v docker-compose >/dev/null 2>&1; then say "docker-compose"
  else return 1; fi
}

available() {
  command -v docker >/dev/null 2>&1 || die "docker: not found; install Docker, or use local processes: LOCAL=1 (quickstart.sh: --local)"
  docker version --format '{{.Server.Version}}' >/dev/null 2>&1 ||
    die "docker: no engine answers; start it (sudo systemctl start docker), or use local processes: LOCAL=1 (quickstart.sh: --local)"
  program >/dev/null || die "docker compose: not found; install docker-compose, or use local processes: LOCAL=1 (quickstart.sh: --local)"
}

compose() {
  local words files=(-f docker-compose.yml)
  words=$(program)
  if [[ $PROFILE == m2max ]]; then files+=(-f docker-compose.m2max.yml); fi
  if [[ $FRONT == replica ]]; then files+=(-f docker-compose.replicas.yml); fi
  if [[ -n $SECRETS ]]; then files+=(-f docker-compose.secure.yml); fi
  # every profile, so that all parts are seen; what is started is named. Two words in v2
  # shellcheck disable=SC2086
  $words "${files[@]}" --profile training --profile replicas --profile grafana "$@"
}

dockerfile() { # dockerfile FOLDER: with BuildKit the lines that install keep what they download; the old builder knows no mounts
  if [[ $DOCKER_BUILDKIT == 0 ]]; then cat "$1/Dockerfile"; return; fi
  sed '/ AS build$/,/^FROM /s#^RUN #RUN --mount=type=cache,target=/root/.cache #' "$1/Dockerfile"
}

build() {
  local image
  for image in $IMAGES; do
    dockerfile "${image%:*}" | docker build -q -t "$image" ${RT_PREDICTOR_PYTHON:+--build-arg "PYTHON=$RT_PREDICTOR_PYTHON"} -f - . >/dev/null ||
      die "${image%:*}/Dockerfile: cannot be built; the lines above say why"
  done
}

need_images() {
  local image
  for image in $IMAGES; do
    docker image inspect "$image" >/dev/null 2>&1 || { say "building the images"; build; return; }
  done
}

in_training() { # in_training PROGRAM ARGUMENT...: sees the volume of models
  local entry=$1
  shift
  compose run --rm --no-deps -T --entrypoint "$entry" training "$@" </dev/null
}

containers() { # containers SERVICE [OPTION...]: asks the engine, which answers sooner than Compose
  docker ps -q --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --filter "label=com.docker.compose.service=$1" \
    --filter label=com.docker.compose.oneoff=False "${@:2}" 2>/dev/null
}

running() { # running SERVICE
  [[ -n $(containers "$1") ]]
}

ready() { # ready SERVICE: all of its containers say so; their own checks come every ten seconds only, asking is sooner
  local id found=1
  for id in $(containers "$1"); do
    found=0
    case $1 in
      api | replica) docker exec "$id" rt-predictor-api ready >/dev/null 2>&1 || return 1 ;;
      *) [[ $(docker inspect -f '{{.State.Health.Status}}' "$id" 2>/dev/null) == healthy ]] || return 1 ;;
    esac
  done
  return $found
}

wait_for() {
  local deadline=$((SECONDS + START_SECONDS))
  until ready "$1"; do
    [[ $SECONDS -lt $deadline ]] ||
      die "$1: not ready after $START_SECONDS s: $(compose logs --no-color --tail 1 "$1" 2>&1 | tail -n 1 | cut -c1-300); see make logs"
    sleep 1
  done
}

wait_for_newest() { # until the model that was published last answers: a running API looks for new ones every few seconds
  local newest deadline=$((SECONDS + 20))
  newest=$(compose exec -T "$FRONT" python -c "$MANIFESTS" </dev/null 2>/dev/null | tail -n 1) || return 0
  newest=$(basename "$(dirname "$newest")")
  until compose exec -T "$FRONT" rtp model --json </dev/null 2>/dev/null | grep -qF "\"$newest\""; do
    [[ $SECONDS -lt $deadline ]] || { say "note: the API does not answer with model $newest; see make logs"; return; }
    sleep 0.5
  done
}

must_be_free() { # must_be_free PORT VARIABLE: said before anything is started
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then in_use "$1" "$2"; fi
}

started() { # which services `start` starts
  if [[ $FRONT == replica ]]; then say "$SEVERAL $BESIDE"; else say "api $BESIDE"; fi
}

check_secrets() { # said before anything is started: Compose would make what is not there, as an empty folder
  local file
  [[ -n $SECRETS ]] || return 0
  [[ $FRONT == api ]] ||
    die "RT_PREDICTOR_REPLICAS=$REPLICAS: not together with RT_PREDICTOR_SECRETS; see docs/how-to/serve-many-callers.md"
  case $SECRETS in /* | ./* | ../*) ;; *) die "RT_PREDICTOR_SECRETS=$SECRETS: write it as a path, ./$SECRETS" ;; esac
  for file in service/cert.pem service/key.pem service/access client/ca.pem client/token; do
    [[ -f $SECRETS/$file ]] || die "$SECRETS/$file: not there; see docs/how-to/secure-the-service.md"
  done
}

replaced() { # replaced SERVICE...: Prometheus goes first, or it would see them die, and say so for minutes
  compose stop prometheus >/dev/null
  compose rm -sf "$@" >/dev/null
}

start() {
  local services scale=()
  services=$(started)
  [[ $REPLICAS =~ ^[1-9][0-9]?$ ]] || die "RT_PREDICTOR_REPLICAS=$REPLICAS: not a number of services; use 1 to 99"
  check_secrets
  need_images
  model || die "models: no model in the volume; run: make train"
  # one of the two ways at a time: they share a port, and do not share a history
  if [[ $FRONT == replica && -n $(containers api -a) ]]; then replaced api; fi
  if [[ $FRONT == api && -n $(containers balancer -a) ]]; then replaced redis replica balancer; fi
  if ! running api && ! running balancer; then must_be_free "$PORT" RT_PREDICTOR_PORT; fi
  if [[ $FRONT == api ]]; then running api || must_be_free "$METRICS_PORT" RT_PREDICTOR_METRICS_PORT; fi
  running ui || must_be_free "$UI_PORT" RT_PREDICTOR_UI_PORT
  running prometheus || must_be_free "$PROMETHEUS_PORT" RT_PREDICTOR_PROMETHEUS_PORT
  running alertmanager || must_be_free "$ALERTMANAGER_PORT" RT_PREDICTOR_ALERTMANAGER_PORT
  # Compose v2 knows of no replica unless it is started
  if [[ $FRONT == replica ]]; then scale=(--scale "replica=$REPLICAS"); fi
  # shellcheck disable=SC2086
  compose up -d --no-build ${scale[@]+"${scale[@]}"} $services || die "Compose cannot start the services; the lines above say why"
  wait_for "$FRONT"
  wait_for_newest
  wait_for ui
  if [[ $FRONT == replica ]]; then
    wait_for balancer
    say "$REPLICAS APIs behind one address, Redis, UI, Prometheus and Alertmanager run"
  else
    say "API, UI, Prometheus and Alertmanager run"
  fi
}

status() {
  local name failed=0
  for name in $(started); do
    if running "$name"; then say "$name: runs"; else say "$name: does not run"; failed=1; fi
  done
  [[ $failed -eq 0 ]] || exit 1
  addresses
  compose exec -T "$FRONT" rtp model </dev/null
}

addresses() {
  say "API         localhost:$PORT (gRPC)"
  say "UI          http://localhost:$UI_PORT"
  if [[ $FRONT == api ]]; then say "metrics     http${SECRETS:+s}://localhost:$METRICS_PORT/metrics"; fi
  say "Prometheus  http://localhost:$PROMETHEUS_PORT"
  say "alerts      http://localhost:$ALERTMANAGER_PORT"
}

log_path() { say "${DATA:-data/synthetic-$ROWS.parquet}"; }

data() { # the log to train on is there
  local path
  path=$(log_path)
  if [[ -n $DATA ]]; then
    [[ -f $DATA ]] || die "$DATA: no such file; give the path of an accounting log, or none for a synthetic one"
  elif [[ ! -s $path ]]; then
    need_images
    mkdir -p data
    docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/data:/out" --entrypoint rt-predictor-synthesize \
      "rt-predictor-training:$TAG" --rows "$ROWS" --out "/out/${path#data/}"
  fi
}

train() {
  local path
  need_images
  data
  path=$(log_path)
  RT_PREDICTOR_DATA_FOLDER=$(cd "$(dirname "$path")" && pwd)
  export RT_PREDICTOR_DATA_FOLDER
  # as the caller, who may read the log: home folders are closed to others
  # kernels that another one compiled could not be replaced
  compose run --rm --no-deps -T --user "$(id -u):$(id -g)" -e "NUMBA_CACHE_DIR=/var/cache/numba/$(id -u)" training --data "/data/$(basename "$path")" --models /models --profile "$PROFILE" \
    --timezone "$TIMEZONE" ${UPDATE:+--update} </dev/null
}

model() { # asks the volume itself, so that no limit of a service stands in the way
  local volume=${COMPOSE_PROJECT_NAME}_models
  # docker run would make a missing one
  docker volume inspect "$volume" >/dev/null 2>&1 || return 1
  [[ -n $(docker run --rm --network none -v "$volume:/models:ro" --entrypoint python "rt-predictor-training:$TAG" -c "$MANIFESTS") ]]
}

predict() { # a first prediction, for a job like those in the log; the script goes to the client through its stdin
  local user job=run/example_job.sh
  mkdir -p run
  if ! in_training python /opt/rt-predictor/share/example_job.py /models >"$job.new"; then
    rm -f "$job.new"
    die "models: no model with an example in the volume; run: make train"
  fi
  mv "$job.new" "$job"
  user=$(sed -n 's/^# user: //p' "$job")
  say "\$ rtp predict $job${user:+ --user $user}"
  compose exec -T "$FRONT" rtp predict - ${user:+--user "$user"} <"$job"
}

clean() { # the volumes stay, and with them models and history
  compose down --remove-orphans
  rm -rf run logs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
}

clean_all() {
  local image
  compose down --volumes --remove-orphans
  clean
  for image in $IMAGES; do
    if docker image inspect "$image" >/dev/null 2>&1; then docker image rm "$image" >/dev/null; fi
  done
  rm -f data/synthetic-*.parquet data/.trained-*
}

if [[ ${1:-} != available ]]; then available; fi
case "${1:-}" in
  setup) need_images ;;
  available | build | start | status | data | train | model | predict | addresses | clean) "$1" ;;
  stop) compose stop ;;
  restart) compose stop && start ;;
  logs) compose logs --tail 50 -f ;;
  clean-all) clean_all ;;
  *) die "${1:-no command}: unknown; scripts/compose.sh start|stop|restart|status|logs|setup|build|data|train|predict|clean|clean-all" ;;
esac
