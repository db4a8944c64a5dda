#!/usr/bin/env bash
# Makes .venv at the root with everything installed; a second run takes about a second and changes nothing.
#
#   scripts/setup.sh [--dev]      services and development tools (what `make test` needs)
#   scripts/setup.sh --runtime    the services alone (what quickstart.sh needs)
#
# PYTHON=/path/to/python chooses the interpreter; the default is the first of 3.11 or newer in PATH.
# Works with the bash 3.2 of macOS.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PACKAGES="proto rt-predictor-formats rt-predictor-core rt-predictor-training rt-predictor-api rt-predictor-client rt-predictor-ui"
readonly STAMP=.venv/rt-predictor-setup
kind=dev

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

as_root() { # run a command as root, or say that we cannot
  if [[ $(id -u) -eq 0 ]]; then "$@"; elif sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

apt_install() { # apt_install WHY PACKAGE: on Debian and Ubuntu, if we may
  command -v apt-get >/dev/null 2>&1 || return 1
  say "installing $2 ($1)"
  local log
  log=$(mktemp)
  if as_root env DEBIAN_FRONTEND=noninteractive bash -c \
    'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$0"' "$2" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
  else
    tail -n 3 "$log" >&2
    rm -f "$log"
    return 1
  fi
}

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
complete() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

find_python() { # the first usable interpreter, one that can make environments if there is one
  local candidate first=""
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
    candidate=$(command -v "$candidate") && usable "$candidate" || continue
    [[ -n $first ]] || first=$candidate
    if complete "$candidate"; then first=$candidate; break; fi
  done
  [[ -n $first ]] || die "Python 3.11 or newer: not found${PYTHON:+ as PYTHON=$PYTHON}; install it (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.11) or name it: PYTHON=/path/to/python3"
  printf '%s\n' "$first"
}

make_environment() { # .venv with pip in it
  local python version
  python=$(find_python)
  if ! complete "$python"; then
    version=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')
    apt_install "$python cannot make environments without it" "$version" ||
      die "$python: module ensurepip is missing; run: sudo apt-get install $version"
  fi
  say "making .venv with $("$python" --version 2>&1) from $python"
  "$python" -m venv --clear .venv || die ".venv: cannot be made; is $PWD writable and is there space? (df -h .)"
}

openmp() { # LightGBM and XGBoost load the system's OpenMP library
  case $(uname -s) in
    Linux)
      .venv/bin/python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null && return
      apt_install "OpenMP for LightGBM and XGBoost" libgomp1 ||
        die "libgomp.so.1: not found; run: sudo apt-get install libgomp1 (Fedora, Rocky: sudo dnf install libgomp)" ;;
    Darwin)
      .venv/bin/python -c 'import lightgbm' 2>/dev/null || die "libomp.dylib: not found; run: brew install libomp" ;;
  esac
}

fingerprint() { # of all that decides what is in .venv; the root too, because the environment holds its path
  .venv/bin/python - "$PWD" <<'PY'
import hashlib, pathlib, sys
digest = hashlib.sha256(f"{sys.argv[1]} {sys.version}".encode())
for pattern in ("requirements/*.txt", "*/pyproject.toml", "proto/*.py", "proto/rtpredictor/v1/*.proto", "proto/open_inference/*.proto", "proto/third_party/**/*.proto"):
    for path in sorted(pathlib.Path().glob(pattern)):
        digest.update(f"{path}\0".encode() + path.read_bytes())
print(digest.hexdigest())
PY
}

current() { # is .venv what it should be? An environment with the development tools serves the services too
  [[ -f $STAMP && -f proto/src/rtpredictor/v1/py.typed ]] && .venv/bin/python -c '' 2>/dev/null || return 1
  local have print
  read -r have print <"$STAMP"
  [[ $print == "$(fingerprint)" ]] && [[ $have == "$kind" || $have == dev ]]
}

install() {
  local quiet=--quiet package paths=()
  [[ -t 2 ]] && quiet=--no-python-downloads # on a terminal, show how far the downloads are
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt ||
    die "uv: cannot be installed with pip; is the package index reachable? (proxy: HTTPS_PROXY, mirror: PIP_INDEX_URL, certificates: PIP_CERT)"
  say "installing the libraries of requirements/$kind.txt"
  .venv/bin/uv pip install $quiet --python .venv/bin/python --require-hashes -r "requirements/$kind.txt" ||
    die "requirements/$kind.txt: cannot be installed; the line above says why; run this again, what was downloaded is kept"
  for package in $PACKAGES; do paths+=(-e "./$package"); done
  say "installing the seven packages in place"
  .venv/bin/uv pip install $quiet --python .venv/bin/python --no-deps --no-build-isolation --reinstall "${paths[@]}" ||
    die "the packages cannot be installed in place; the line above says which and why"
}

case "${1:-}" in
  "" | --dev) ;;
  --runtime) kind=runtime ;;
  *) die "$1: unknown option; scripts/setup.sh [--dev|--runtime]" ;;
esac

if current; then
  say ".venv is up to date"
  exit 0
fi
# an environment of another tool's making (uv venv) may lack pip; a broken one is made anew
if ! { usable .venv/bin/python && { .venv/bin/python -m pip --version || .venv/bin/python -m ensurepip; }; } >/dev/null 2>&1; then
  make_environment
fi
if [[ $kind == runtime && -f $STAMP ]] && grep -q '^dev ' "$STAMP"; then kind=dev; fi
rm -f "$STAMP"
if [[ $(uname -s) == Linux ]]; then openmp; fi
. scripts/site.sh
install
if [[ $(uname -s) == Darwin ]]; then openmp; fi
printf '%s %s\n' "$kind" "$(fingerprint)" >"$STAMP.new"
mv "$STAMP.new" "$STAMP"
say ".venv is ready ($(.venv/bin/python --version), $kind)"
