#!/usr/bin/env bash
# The services as processes of this machine, from .venv; what scripts/compose.sh does with containers.
#
#   scripts/local.sh start|stop|restart|status|logs     API and UI in the background: pids in run/, output in logs/
#   scripts/local.sh setup|build|data|train|model|predict|addresses|clean|clean-all
#
# Environment: DATA (an accounting log; without it a synthetic one of ROWS jobs), PROFILE, TIMEZONE,
# RT_PREDICTOR_MODELS, RT_PREDICTOR_HISTORY, RT_PREDICTOR_PORT, RT_PREDICTOR_METRICS_PORT, RT_PREDICTOR_UI_PORT,
# RT_PREDICTOR_START_SECONDS. Works with the bash 3.2 of macOS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/settings.sh

readonly ROWS=${ROWS:-100000} PROFILE=${PROFILE:-standard} TIMEZONE=${TIMEZONE:-UTC} DATA=${DATA:-}
readonly MODELS=${RT_PREDICTOR_MODELS:-models} HISTORY=${RT_PREDICTOR_HISTORY:-history}
readonly UI_HOST=${RT_PREDICTOR_UI_HOST:-127.0.0.1} STOP_SECONDS=40
readonly BIN=$PWD/.venv/bin
export RT_PREDICTOR_ADDRESS=localhost:$PORT

command_of() { # the command line of a process; a bare Debian has no ps, macOS no /proc
  if [[ -r /proc/$1/cmdline ]]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -o args= -p "$1" 2>/dev/null; fi
}

pid_of() { # pid_of SERVICE: its process id if it runs; a file left by a crash or a reboot is removed
  local pid="" what=rt-predictor-api
  [[ $1 == ui ]] && what=streamlit
  [[ -f run/$1.pid ]] || return 1
  pid=$(<"run/$1.pid")
  # the number may belong to a stranger by now
  if [[ $pid =~ ^[0-9]+$ ]] && kill -0 "$pid" 2>/dev/null && [[ $(command_of "$pid") == *"$what"* ]]; then
    say "$pid"
  else
    rm -f "run/$1.pid"
    return 1
  fi
}

must_be_free() { # must_be_free PORT VARIABLE
  "$BIN/python" - "$1" <<'PY' || in_use "$1" "$2"
import socket, sys
with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("127.0.0.1", int(sys.argv[1])))
    except (OSError, OverflowError, ValueError):
        sys.exit(1)
PY
}

launch() { # launch SERVICE COMMAND...: in a process group of its own, so that Ctrl-C here does not reach it
  local name=$1
  shift
  mkdir -p run logs
  (set -m; nohup "$@" >>"logs/$name.log" 2>&1 </dev/null & printf '%s\n' $! >"run/$name.pid")
}

answers() { # does the service answer?
  case $1 in
    api) "$BIN/rtp" health >/dev/null 2>&1 ;;
    ui) "$BIN/python" -c 'import sys, urllib.request as u; u.urlopen(f"http://127.0.0.1:{sys.argv[1]}/_stcore/health", timeout=3)' "$UI_PORT" >/dev/null 2>&1 ;;
  esac
}

wait_for() { # until the service answers, ends, or the deadline passes
  local name=$1 deadline=$((SECONDS + START_SECONDS)) reason
  until answers "$name"; do
    if ! pid_of "$name" >/dev/null; then
      reason=$(grep -a '^error: ' "logs/$name.log" | tail -n 1) || reason=$(tail -n 1 "logs/$name.log")
      die "$name: ended while starting: ${reason#error: } (logs/$name.log)"
    fi
    [[ $SECONDS -lt $deadline ]] || die "$name: does not answer after $START_SECONDS s; see logs/$name.log, or wait longer with RT_PREDICTOR_START_SECONDS"
    sleep 0.3
  done
}

wait_for_newest() { # until the model that was published last answers: a running API looks for new ones every few seconds
  local newest deadline=$((SECONDS + 20))
  newest=$(newest_model) || return 0
  until "$BIN/rtp" --address "localhost:$PORT" model --json 2>/dev/null | grep -qF "\"$newest\""; do
    [[ $SECONDS -lt $deadline ]] || { say "note: the API does not answer with model $newest; see logs/api.log"; return; }
    sleep 0.3
  done
}

newest_model() { # name of the newest version in the folder of models
  local manifests=("$MODELS"/*/manifest.json)
  [[ -f ${manifests[0]} ]] || return 1
  basename "$(dirname "${manifests[${#manifests[@]} - 1]}")"
}

needs_environment() { [[ -x $BIN/rtp ]] || die ".venv: not there yet; run: make setup LOCAL=1"; }

nginx_as_in_containers() { # before the API where it is at hand, unless the site has chosen or wants what does not go with it
  [[ -z ${RT_PREDICTOR_NGINX:-}${RT_PREDICTOR_TLS_CLIENT_CA:-} ]] || return 0
  if "$BIN/python" -c 'import rt_predictor_api.front.nginx as n; raise SystemExit(n.program() is None)'; then
    export RT_PREDICTOR_NGINX=true
  fi
}

start() {
  local api="" ui=""
  needs_environment
  api=$(pid_of api) || must_be_free "$PORT" RT_PREDICTOR_PORT
  [[ -n $api ]] || must_be_free "$METRICS_PORT" RT_PREDICTOR_METRICS_PORT
  ui=$(pid_of ui) || must_be_free "$UI_PORT" RT_PREDICTOR_UI_PORT
  if [[ -z $api ]]; then
    # the output of an earlier start must not be taken for this one's
    if [[ -f logs/api.log ]]; then mv logs/api.log logs/api.previous.log; fi
    nginx_as_in_containers
    launch api "$BIN/rt-predictor-api" --models "$MODELS" --history "$HISTORY" --port "$PORT" --metrics-port "$METRICS_PORT"
  fi
  wait_for api
  wait_for_newest
  if [[ -z $ui ]]; then
    if [[ -f logs/ui.log ]]; then mv logs/ui.log logs/ui.previous.log; fi
    # no header may say which address a visitor has: RT_PREDICTOR_TRUSTED_PROXIES goes by it
    FORWARDED_ALLOW_IPS="" launch ui "$BIN/streamlit" run rt-predictor-ui/src/app.py --server.headless true --server.address "$UI_HOST" \
      --server.port "$UI_PORT" --server.fileWatcherType none --browser.gatherUsageStats false
  fi
  wait_for ui
  if [[ -n $api && -n $ui ]]; then say "API and UI run already"; else say "API and UI run"; fi
}

stop_one() {
  local pid deadline=$((SECONDS + STOP_SECONDS))
  pid=$(pid_of "$1") || { say "$1: does not run"; return; }
  kill -TERM "$pid"
  # not kill -0: a process that has ended answers it until its parent has taken note
  while pid_of "$1" >/dev/null; do
    if [[ $SECONDS -ge $deadline ]]; then
      say "$1: still busy after $STOP_SECONDS s, killed"
      kill -KILL "$pid" 2>/dev/null || true
      break
    fi
    sleep 0.1
  done
  rm -f "run/$1.pid"
  say "$1: stopped"
}

stop() { stop_one ui; stop_one api; }

status() {
  local name pid failed=0
  needs_environment
  for name in api ui; do
    if ! pid=$(pid_of "$name"); then say "$name: does not run"; failed=1
    elif answers "$name"; then say "$name: runs (process $pid)"
    else say "$name: process $pid runs but does not answer; see logs/$name.log"; failed=1; fi
  done
  [[ $failed -eq 0 ]] || exit 1
  addresses
  "$BIN/rtp" model
}

addresses() {
  say "API      localhost:$PORT (gRPC)"
  say "UI       http://localhost:$UI_PORT"
  say "metrics  http://localhost:$METRICS_PORT/metrics"
}

logs() {
  ls logs/*.log >/dev/null 2>&1 || die "logs/: empty; nothing was started here yet (make start LOCAL=1)"
  exec tail -n 50 -F logs/api.log logs/ui.log
}

log_path() { say "${DATA:-data/synthetic-$ROWS.parquet}"; }

data() { # the log to train on is there
  local path
  path=$(log_path)
  if [[ -n $DATA ]]; then
    [[ -e $DATA ]] || die "$DATA: no such file; give the path of an accounting log, or none for a synthetic one"
  elif [[ ! -s $path ]]; then
    needs_environment
    mkdir -p data
    "$BIN/rt-predictor-synthesize" --rows "$ROWS" --out "$path"
  fi
}

train() {
  needs_environment
  data
  "$BIN/rt-predictor-train" --data "$(log_path)" --models "$MODELS" --profile "$PROFILE" --timezone "$TIMEZONE" \
    ${UPDATE:+--update}
}

model() { # is there a model that this release can use?
  "$BIN/python" - "$MODELS" 2>/dev/null <<'PY'
import pathlib, sys
from rt_predictor_core.artifact.load import newest
newest(pathlib.Path(sys.argv[1]))
PY
}

predict() { # a first prediction, for a job like those in the log
  local user job=run/example_job.sh
  mkdir -p run
  if ! "$BIN/python" scripts/example_job.py "$MODELS" >"$job.new"; then rm -f "$job.new"; exit 1; fi
  mv "$job.new" "$job"
  user=$(sed -n 's/^# user: //p' "$job")
  say "\$ rtp predict $job${user:+ --user $user}"
  "$BIN/rtp" predict "$job" ${user:+--user "$user"}
}

clean() {
  stop
  rm -rf run logs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
}

clean_all() { # .venv stays: setup compares it with what it should be and makes it anew where it differs
  clean
  rm -rf ./models ./history
  rm -f data/synthetic-*.parquet data/.trained-*
}

case "${1:-}" in
  setup | build) scripts/setup.sh --runtime ;;
  start | stop | status | logs | data | train | model | predict | addresses | clean) "$1" ;;
  restart) stop; start ;;
  clean-all) clean_all ;;
  available) ;;
  *) die "${1:-no command}: unknown; scripts/local.sh start|stop|restart|status|logs|setup|data|train|predict|clean|clean-all" ;;
esac
