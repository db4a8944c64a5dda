#!/usr/bin/env bash
# Runs a suite that needs a part of its own, and says so where the part or the suite is missing.
#
#   scripts/suite.sh browser|slurm [PYTEST OPTION...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

suite=${1:?browser or slurm}
shift
ls tests/"$suite"/test_*.py >/dev/null 2>&1 || die "tests/$suite: not part of this version; nothing was tested"
case $suite in
  browser)
    for name in chromium chromium-browser google-chrome; do command -v "$name" >/dev/null 2>&1 && found=$name; done
    [[ -n ${found:-} ]] || die "chromium: not found; run: sudo apt-get install chromium"
    # the driver of the tests is a program of its own
    [[ $(uname -s) != Linux ]] || .venv/bin/python -c 'import ctypes; ctypes.CDLL("libatomic.so.1")' 2>/dev/null ||
      die "libatomic.so.1: not found; run: sudo apt-get install libatomic1" ;;
  slurm)
    command -v sinfo >/dev/null 2>&1 || die "sinfo: not found; run this on a node of a Slurm cluster where you may submit jobs"
    sinfo >/dev/null 2>&1 || die "sinfo: Slurm does not answer; is slurmctld running? (scontrol ping)" ;;
esac
exec .venv/bin/python -m pytest -m "$suite" "tests/$suite" "$@"
