#!/usr/bin/env bash
# Remakes requirements/*.txt from requirements/*.in: versions and hashes for every platform, no addresses.
#
#   scripts/lock.sh             keep the versions that still fit
#   scripts/lock.sh --upgrade   take the newest that fit
#
# dev.txt is resolved first; the smaller files are bound to its versions, so that every service and every
# environment runs the same ones.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=.venv/bin/uv
[[ -x $uv ]] || uv=$(command -v uv) || { echo "error: uv: not found; run scripts/setup.sh first" >&2; exit 1; }

compile() { # compile NAME [OPTION...]
  local name=$1
  shift
  "$uv" pip compile "requirements/$name.in" -o "requirements/$name.txt" --universal --python-version 3.11 --fork-strategy fewest \
    --generate-hashes --no-emit-index-url --no-annotate --quiet \
    --custom-compile-command "scripts/lock.sh" "$@"
  echo "requirements/$name.txt: $(grep -c '==' "requirements/$name.txt") packages"
}

compile dev "$@"
# pip takes no hashes together with local folders, so what a service's own requirements.txt needs is the versions alone
bound=requirements/constraints.txt
{
  echo "# The versions of dev.txt without hashes; made by scripts/lock.sh, never edited."
  sed -n 's/^\([A-Za-z0-9._-]*==[^\\]*[^ \\]\).*/\1/p' requirements/dev.txt
} >"$bound"
for name in uv build runtime training cluster api client ui kubernetes; do compile "$name" --constraint "$bound"; done
