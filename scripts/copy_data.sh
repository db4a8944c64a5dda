#!/usr/bin/env bash
# Takes Eagle data that was put on this machine by hand, and copies it to where the other commands look.
#
#   scripts/copy_data.sh SOURCE [FOLDER]
#
#   SOURCE   eagle_data.parquet or eagle_data.csv.bz2, or a folder that holds one, such as a clone with Git LFS
#   FOLDER   where to; default data/
#
# The copy is compared with the Git LFS pointer that the clone has of it, else with scripts/eagle_data.sha256. A file
# that is there already is kept. Works with the bash 3.2 of macOS.
set -euo pipefail
# bytes, not letters: pointers are told from data by their first bytes
export LC_ALL=C
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root LFS="version https://git-lfs.github.com/spec/v1"

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

sum_of() { # sum_of FILE: macOS has shasum
  if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d' ' -f1
}

size_of() { wc -c <"$1" | tr -d ' '; }

is_pointer() { # a text of less than 1024 bytes, says the specification
  [[ $(size_of "$1") -lt 1024 && $(head -n 1 "$1" | tr -d '\0') == "$LFS" ]]
}

field() { sed -n "s/^$1 //p" | head -n 1; }

find_data() { # find_data FOLDER: the one data file in it, parquet before csv
  local name found
  for name in eagle_data.parquet eagle_data.csv.bz2; do
    found=$(find "$1" -name .git -prune -o -name "$name" -type f -print) || true
    case $found in
      "") ;;
      *$'\n'*) die "$1: holds several files $name; name one: ${found//$'\n'/, }" ;;
      *) say "$found"; return ;;
    esac
  done
  die "$1: holds neither eagle_data.parquet nor eagle_data.csv.bz2; name the file itself"
}

committed_sum() { # committed_sum FILE: what the Git LFS pointer in its clone says, or nothing
  local pointer
  pointer=$(git -C "$(dirname "$1")" show "HEAD:./$(basename "$1")" 2>/dev/null | head -c 1024 | tr -d '\0') || true
  if [[ $pointer == "$LFS"* ]]; then say "$pointer" | field oid | sed 's/^sha256://'; fi
}

known_sum() { sed -n "s/^\([0-9a-f]\{64\}\)  $(basename "$1")\$/\1/p" "$root/scripts/eagle_data.sha256"; }

refuse_pointer() {
  local folder name
  folder=$(dirname "$1") name=$(basename "$1")
  die "$1: is a Git LFS pointer, the $(field size <"$1") bytes it stands for are not here;" \
    "install git-lfs (apt-get install git-lfs, brew install git-lfs), run: git -C '$folder' lfs pull --include '*$name', then this again"
}

compare() { # compare FILE FOUND EXPECTED WHERE
  [[ -z $3 || $2 == "$3" ]] ||
    die "$1: sha256 is $2, but $4 says $3; it is damaged, cut off or another version:" \
      "get it again, or train on it as it is: ./quickstart.sh --data FILE"
}

place() { # place SOURCE TARGET: the name appears when the copy is whole and right
  local unfinished=$2.copy.$$
  # shellcheck disable=SC2064
  trap "rm -f '$unfinished'" EXIT
  cp "$1" "$unfinished" || die "$2: cannot be copied; the line above says why (df -h '$(dirname "$2")' shows the room)"
  [[ $(sum_of "$unfinished") == "$3" ]] || die "$2: the copy differs from $1; is the disk sound?"
  # not every sync takes a file
  sync "$unfinished" 2>/dev/null || sync
  mv "$unfinished" "$2"
}

case ${1:-} in
  "" | -h | --help) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; [[ -n ${1:-} ]] && exit 0 || exit 2 ;;
esac
[[ $# -le 2 ]] || die "$3: one SOURCE and one FOLDER only; see scripts/copy_data.sh --help"
source=$1 folder=${2:-$root/data}
if [[ -d $source ]]; then source=$(find_data "${source%/}"); fi
[[ -f $source && -r $source ]] || die "$source: not found or not readable; name the data file or the folder that holds it"
if is_pointer "$source"; then refuse_pointer "$source"; fi
[[ -s $source ]] || die "$source: is empty; get it again"

found=$(sum_of "$source")
expected=$(committed_sum "$source") where="the Git LFS pointer of its clone"
if [[ -z $expected ]]; then expected=$(known_sum "$source") where="scripts/eagle_data.sha256"; fi
compare "$source" "$found" "$expected" "$where"
if [[ -n $expected ]]; then compared="as $where says"; else compared="and nothing to compare it with"; fi

mkdir -p "$folder" 2>/dev/null || die "$folder: cannot be made; name a FOLDER that you may write"
target=$(cd "$folder" && pwd)/$(basename "$source")
if [[ ! -e $target ]]; then
  place "$source" "$target" "$found"
  said="copied"
elif [[ $(sum_of "$target") == "$found" ]]; then
  said="is there already, kept"
else
  die "$target: is there already and differs from $source; remove one of them"
fi
printf '%s  %s\n' "$found" "$(basename "$target")" >"$target.sha256" || die "$target.sha256: cannot be written"

say "$target: $said; $(size_of "$target") bytes, sha256 $found, $compared"
say "next, in the project's folder: ./quickstart.sh --data ${target#"$root"/}"
