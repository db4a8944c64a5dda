#!/usr/bin/env bash
# From nothing to a running service and a first prediction. Run it again whenever you like: what works is kept.
#
#   ./quickstart.sh [--local|--docker] [--profile quick|standard|m2max] [--data PATH] [--rows N] [--timezone TZ]
#
#   --local | --docker   local processes in .venv, or containers; default: containers where a Docker engine answers
#   --profile            how much to train: quick (about a minute), standard (default), m2max (10 cores, 48 GB)
#   --data               your accounting log: Eagle parquet or csv, SWF(.gz), sacct -P; default: a synthetic log
#   --rows               jobs of the synthetic log (default 100000)
#   --timezone           zone of times in the log that carry none, such as America/Denver (default UTC)
set -euo pipefail
started_in=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/settings.sh

step() { printf '\n[%s/5] %s\n' "$1" "$2"; }

where="" PROFILE=standard DATA="" ROWS=100000 TIMEZONE=UTC
while [[ $# -gt 0 ]]; do
  case $1 in
    --local) where=local ;;
    --docker) where=compose ;;
    --profile | --data | --rows | --timezone)
      [[ $# -ge 2 && -n $2 ]] || die "$1: needs a value; see ./quickstart.sh --help"
      case $1 in --profile) PROFILE=$2 ;; --data) DATA=$2 ;; --rows) ROWS=$2 ;; --timezone) TIMEZONE=$2 ;; esac
      shift ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' quickstart.sh; exit 0 ;;
    *) die "$1: unknown option; see ./quickstart.sh --help" ;;
  esac
  shift
done

case $PROFILE in quick | standard | m2max) ;; *) die "--profile $PROFILE: unknown; use quick, standard or m2max" ;; esac
[[ $ROWS =~ ^[1-9][0-9]{0,8}$ ]] || die "--rows $ROWS: not a number of jobs; use a whole number such as 100000"
if [[ -n $DATA ]]; then
  case $DATA in /*) ;; *) DATA=$started_in/$DATA ;; esac
  [[ -f $DATA && -r $DATA ]] || die "--data $DATA: not found or not readable; name an accounting log, or none for a synthetic one"
fi
if [[ $where == compose ]]; then scripts/compose.sh available; fi
if [[ -z $where ]]; then
  if scripts/compose.sh available 2>/dev/null; then where=compose; else where=local; fi
fi
export PROFILE DATA ROWS TIMEZONE
services=scripts/$where.sh

trained_on() { # what decides the model: the same line means that nothing has to be trained again
  local file
  if [[ -n $DATA ]]; then
    # Linux, else macOS
    file=$(stat -c '%s %Y' "$DATA" 2>/dev/null || stat -f '%z %m' "$DATA")
    say "$PROFILE $TIMEZONE $file $DATA"
  else
    say "$PROFILE synthetic $ROWS"
  fi
}

if [[ $where == local ]]; then
  step 1 "environment: .venv"
  "$services" setup
else
  step 1 "environment: container images"
  "$services" build
fi

step 2 "data: ${DATA:-a synthetic log of $ROWS jobs}"
"$services" data

# beside the data, because `make clean` empties run/
stamp=data/.trained-$where
if [[ -f $stamp && $(<"$stamp") == "$(trained_on)" ]] && "$services" model; then
  step 3 "training: there is a model of this log and profile, kept"
else
  step 3 "training: profile $PROFILE"
  mkdir -p data
  rm -f "$stamp"
  "$services" train
  trained_on >"$stamp"
fi

step 4 "services"
"$services" start

step 5 "a first prediction"
"$services" predict

if [[ $where == local ]]; then
  suffix=" LOCAL=1" ask=".venv/bin/rtp predict job.sh"
else
  suffix="" ask="docker-compose exec -T api rtp predict - --user \$USER <job.sh"
fi
printf '\nrt-predictor runs:\n\n'
"$services" addresses
cat <<TEXT

ask      $ask
status   make status$suffix
logs     make logs$suffix
stop     make stop$suffix
TEXT
