#!/usr/bin/env bash
# All static checks; goes on after a failure so that one run shows everything, and ends with the failures' names.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
bin=$PWD/.venv/bin
failed=()

check() { # check NAME COMMAND...
  printf '== %s\n' "$1"
  "${@:2}" || failed+=("$1")
}

baseline() { # what buf compares the contract with: the newest release, else the main branch, else nothing
  local tag branch
  git rev-parse --git-dir >/dev/null 2>&1 || return 1
  tag=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null) && { echo "$tag"; return; }
  # a shallow or fresh clone has the branch only as the remote's
  for branch in origin/main main; do
    git rev-parse -q --verify "$branch^{commit}" >/dev/null || continue
    # what came to the main branch since this one began was not deleted here
    git merge-base HEAD "$branch" || git rev-parse "$branch^{commit}"
    return
  done
  return 1
}

breaking() {
  local against old
  if ! against=$(baseline); then
    echo "NOT CHECKED: no release and no main branch to compare the contract with yet"
    return 0
  fi
  if ! git cat-file -e "$against:proto/buf.yaml" 2>/dev/null; then
    echo "NOT CHECKED: $against has no contract yet"
    return 0
  fi
  if [[ $(git rev-parse "$against^{commit}") == $(git rev-parse HEAD) ]] && git diff --quiet HEAD -- proto; then
    if against=$(git rev-parse -q --verify HEAD~1) && git cat-file -e "$against:proto/buf.yaml" 2>/dev/null; then
      echo "HEAD is the main branch: comparing with its parent"
    else
      echo "NOT CHECKED: HEAD has no parent here with a contract (its first version, or a shallow clone)"
      return 0
    fi
  fi
  echo "comparing with $against"
  old=$(mktemp -d)
  # buf's own git input needs a full clone; an archive works everywhere
  git archive "$against" proto | tar -x -C "$old"
  (cd proto && "$bin/buf" breaking --against "$old/proto")
  local status=$?
  rm -rf "$old"
  return $status
}

check "ruff check" "$bin/ruff" check .
check "ruff format" "$bin/ruff" format --check .
check "mypy" env MYPYPATH=proto:scripts "$bin/mypy" rt-predictor-*/src/rt_predictor_* proto/generate.py proto/hatch_build.py scripts/*.py
check "buf lint" bash -c 'cd proto && "$0" lint' "$bin/buf"
check "buf breaking" breaking
check "import borders" "$bin/lint-imports" --no-cache
if command -v shellcheck >/dev/null 2>&1; then
  check "shellcheck" shellcheck -x -S warning quickstart.sh .ci/run scripts/*.sh scripts/bundle/*.sh
fi

if [[ ${#failed[@]} -gt 0 ]]; then
  printf 'error: lint: failed: %s\n' "$(IFS=,; echo "${failed[*]}")" >&2
  exit 1
fi
echo "lint: all checks passed"
