#!/usr/bin/env bash
# Makes one archive that installs the services on a machine without a network: docs/how-to/run-without-a-network.md.
#
#   scripts/bundle.sh [--out FOLDER] [--parts "api client ui training"] [--models FOLDER] [--images]
#
# --models adds trained models; --images adds the container images, where a Docker engine answers. The wheels are for
# this machine's Python and processor, and on Linux for a C library as old as GLIBC says (2.28: RHEL 8, Debian 10).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'bundle: %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

readonly GLIBC=${GLIBC:-2.28} PYTHON=.venv/bin/python
out=dist parts="api client ui training" models="" images=""
while [[ $# -gt 0 ]]; do
  case $1 in
    --out) out=${2:?} && shift 2 ;;
    --parts) parts=${2:?} && shift 2 ;;
    --models) models=${2:?} && shift 2 ;;
    --images) images=yes && shift ;;
    *) die "$1: unknown option; scripts/bundle.sh [--out FOLDER] [--parts \"api client ui training\"] [--models FOLDER] [--images]" ;;
  esac
done
[[ -x $PYTHON ]] || die ".venv: not found; run scripts/setup.sh"
. scripts/site.sh
for part in $parts; do [[ -f rt-predictor-$part/pyproject.toml ]] || die "--parts $part: unknown; api, client, ui or training"; done
if [[ -n $models ]]; then ls "$models"/*/manifest.json >/dev/null 2>&1 || die "--models $models: no model in it"; fi

version=$(sed -n 's/^version = "\(.*\)"/\1/p' rt-predictor-api/pyproject.toml)
platform=$("$PYTHON" -c 'import platform, sys; print(f"{platform.system()}-{platform.machine()}-python{sys.version_info[0]}.{sys.version_info[1]}".lower())')
name=rt-predictor-$version-$platform
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=$work/$name
mkdir -p "$folder/wheels" "$folder/requirements" "$out"

accepted() { # the kinds of wheels that the target takes, as pip wants them: each by name
  local minor machine
  [[ $(uname -s) == Linux ]] || return 0
  machine=$(uname -m)
  for minor in $(seq "${GLIBC#2.}" -1 5); do printf -- '--platform manylinux_2_%s_%s ' "$minor" "$machine"; done
  printf -- '--platform manylinux2014_%s --platform manylinux2010_%s --platform linux_%s' "$machine" "$machine" "$machine"
}

download() { # download NAME: what requirements/NAME.txt names, each file compared with its hash
  cp "requirements/$1.txt" "$folder/requirements/"
  # the target may have another patch release of Python than this machine, and want what is left out here
  sed "s/python_full_version [<>=!]* '[0-9.]*'/python_version >= '3'/" "requirements/$1.txt" >"$work/$1.txt"
  # several words
  # shellcheck disable=SC2046
  "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    $(accepted) -r "$work/$1.txt" -d "$folder/wheels" ||
    die "requirements/$1.txt: cannot be downloaded; is the index reachable? A library may have no wheel for so old a C library: GLIBC=2.34 scripts/bundle.sh"
}

for part in $parts; do say "the libraries of $part" && download "$part"; done
download uv

say "our own packages"
packages="proto rt-predictor-formats"
case " $parts " in *" api "* | *" training "*) packages+=" rt-predictor-core" ;; esac
case " $parts " in *" ui "*) parts_and_client="client $parts" ;; *) parts_and_client=$parts ;; esac
for part in $(printf '%s\n' $parts_and_client | sort -u); do packages+=" rt-predictor-$part"; done
for package in $packages; do
  # the builder looks for its tools on the PATH
  PATH=$PWD/.venv/bin:$PATH .venv/bin/uv build --quiet --wheel --no-build-isolation --python "$PYTHON" -o "$work/own" "./$package"
done
mkdir "$folder/own"
cp "$work"/own/*.whl "$folder/own/"

mkdir -p "$folder/share/ui"
cp -R rt-predictor-ui/src/app.py rt-predictor-ui/src/.streamlit "$folder/share/ui/"
cp scripts/example_job.py "$folder/share/"
cp -R docs README.md CHANGELOG.md LICENSE monitoring "$folder/share/"
cp -R systemd "$folder/systemd"
if [[ -n $models ]]; then cp -R "$models" "$folder/models"; fi
if [[ -n $images ]]; then
  scripts/compose.sh available
  say "the container images"
  mkdir "$folder/images"
  for part in api ui training; do
    # as a plain archive: what reads Docker's archives without Docker may not unpack them
    docker save "rt-predictor-$part:$version" >"$folder/images/rt-predictor-$part.tar" ||
      die "rt-predictor-$part:$version: no such image; run make build"
  done
fi

printf '%s\n' "$version" >"$folder/VERSION"
printf '%s\n' "$platform" >"$folder/PLATFORM"
printf '%s\n' "$parts" >"$folder/PARTS"
install -m 755 scripts/bundle/install.sh "$folder/install.sh"
(cd "$folder" && find . -type f ! -name SHA256SUMS -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >SHA256SUMS)
say "packing"
# wheels are packed already
tar -C "$work" -c "$name" | gzip -1 >"$out/.$name.tar.gz"
mv "$out/.$name.tar.gz" "$out/$name.tar.gz"
(cd "$out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
say "$out/$name.tar.gz ($(du -h "$out/$name.tar.gz" | cut -f1))"
