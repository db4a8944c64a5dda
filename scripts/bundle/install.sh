#!/usr/bin/env bash
# Installs rt-predictor from the folder that this file is in; asks no network.
#
#   ./install.sh [--prefix FOLDER] [--parts "api client ui training"] [--systemd]
#
# --prefix: where the programs go (default /opt/rt-predictor); run again, a newer version replaces the older one.
# --systemd: as root, into the default prefix; installs the units too, and puts models where the service looks for them.
# PYTHON names the interpreter, which must be of the version that the folder's name ends with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf 'install: %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

readonly DEFAULT=/opt/rt-predictor STATE=/var/lib/rt-predictor SETTINGS=/etc/rt-predictor
prefix=$DEFAULT parts=$(<PARTS) systemd=""
while [[ $# -gt 0 ]]; do
  case $1 in
    --prefix) prefix=${2:?} && shift 2 ;;
    --parts) parts=${2:?} && shift 2 ;;
    --systemd) systemd=yes && shift ;;
    *) die "$1: unknown option; ./install.sh [--prefix FOLDER] [--parts \"api client ui training\"] [--systemd]" ;;
  esac
done
for part in $parts; do [[ -f requirements/$part.txt ]] || die "--parts $part: not in this bundle, which has: $(<PARTS)"; done
if [[ -n $systemd ]]; then
  [[ $(id -u) -eq 0 ]] || die "--systemd: not root; run it with sudo"
  [[ $prefix == "$DEFAULT" ]] || die "--systemd: the units name $DEFAULT; leave --prefix out"
  command -v systemctl >/dev/null 2>&1 || die "systemctl: not found; install without --systemd and start the programs yourself"
fi

say "comparing every file with its checksum"
sha256sum --check --quiet --strict SHA256SUMS || die "SHA256SUMS: a file differs or is missing; copy the bundle again"

wanted=$(sed 's/.*-python//' PLATFORM)
python=$(command -v "${PYTHON:-python$wanted}" || command -v python3) || die "python$wanted: not found; install it, or name it: PYTHON=/path/to/python$wanted"
have=$("$python" -c 'import platform, sys; print(f"{platform.system()}-{platform.machine()}-python{sys.version_info[0]}.{sys.version_info[1]}".lower())')
[[ $have == "$(<PLATFORM)" ]] || die "$python: is $have, and this bundle is for $(<PLATFORM); name another one (PYTHON=) or make a bundle there"

# the installer is a program within its wheel; so the machine needs neither pip nor a C compiler
tools=$(mktemp -d)
unfinished=""
trap 'rm -rf "$tools" ${unfinished:+"$unfinished"}' EXIT
"$python" -m zipfile -e wheels/uv-*.whl "$tools"
uv=$(find "$tools" -path '*scripts/uv' -type f)
chmod +x "$uv"
export UV_OFFLINE=1 UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_CACHE_DIR=$tools/cache

# beside the old version, which goes on until the new one is whole
umask 022
parent=$(dirname "$prefix")
mkdir -p "$parent" 2>/dev/null || die "$parent: cannot be made; choose another --prefix, or run with sudo"
[[ -w $parent ]] || die "$parent: not writable; choose another --prefix, or run with sudo"
version=$(<VERSION)
# of this moment: the same version may be installed again while it runs
target=$prefix-$version-$(date -u +%Y%m%dT%H%M%SZ)
[[ ! -d $prefix || -L $prefix ]] || die "$prefix: is a folder of something else; move it away, or choose another --prefix"
requirements=()
for part in $parts; do requirements+=(-r "requirements/$part.txt"); done
say "installing $version into $target"
unfinished=$target
"$uv" venv --quiet --python "$python" "$target" || die "$target: cannot be made; is there space, and may you write there?"
"$uv" pip install --quiet --python "$target/bin/python" --no-index --find-links wheels --require-hashes --compile-bytecode "${requirements[@]}" ||
  die "the libraries cannot be installed; the line above says which and why"
own=(own/rt_predictor_proto-*.whl own/rt_predictor_formats-*.whl)
case " $parts " in *" api "* | *" training "*) own+=(own/rt_predictor_core-*.whl) ;; esac
case " $parts " in *" ui "*) case " $parts " in *" client "*) ;; *) own+=(own/rt_predictor_client-*.whl) ;; esac ;; esac
for part in $parts; do own+=(own/rt_predictor_"$part"-*.whl); done
"$uv" pip install --quiet --python "$target/bin/python" --no-index --no-deps --compile-bytecode "${own[@]}"
mkdir -p "$target/share/doc"
cp -R share/docs share/README.md share/CHANGELOG.md share/LICENSE "$target/share/doc/"
cp -R share/ui share/example_job.py share/monitoring "$target/share/"
"$uv" pip check --quiet --python "$target/bin/python" || die "$target: the packages do not fit together"

# by one rename, so that a start meanwhile finds the old version or the new one
ln -sfn "$(basename "$target")" "$prefix.new"
mv -T "$prefix.new" "$prefix"
unfinished=""

if [[ -n $systemd ]]; then
  install -m 644 -D systemd/rt-predictor.sysusers /usr/lib/sysusers.d/rt-predictor.conf
  systemd-sysusers rt-predictor.conf
  for unit in systemd/*.service systemd/*.timer; do install -m 644 "$unit" /etc/systemd/system/; done
  # certificates and tokens lie there: the services read them, and change nothing
  install -d -o root -g rt-predictor -m 750 "$SETTINGS"
  install -d -o rt-predictor -g rt-predictor -m 750 "$STATE" "$STATE/models" "$STATE/log"
  if [[ -d models ]]; then
    for model in models/*/; do
      model=$(basename "$model")
      [[ -e $STATE/models/$model ]] && continue
      cp -R "models/$model" "$STATE/models/.unfinished-$model"
      chown -R rt-predictor:rt-predictor "$STATE/models/.unfinished-$model"
      mv -T "$STATE/models/.unfinished-$model" "$STATE/models/$model"
    done
  fi
  systemctl daemon-reload
  say "start them with: systemctl enable --now rt-predictor-api rt-predictor-ui rt-predictor-training.timer"
fi
case " $parts " in *" training "*)
  "$target/bin/python" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null ||
    say "libgomp.so.1: not found, and training cannot run without it; install it (Debian: libgomp1, Rocky: libgomp)" ;;
esac
say "$prefix is $version; older versions beside it may be removed: ls -d $prefix-*"
