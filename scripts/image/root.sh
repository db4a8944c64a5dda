#!/bin/sh
# Collects what an image needs of the system that it is built on, and nothing else: Python and its standard library, the C
# library, what the environment's libraries and programs load beside it, certificates, time zones. So the image holds no
# shell, no package manager and no program that it does not run.
#
#   scripts/image/root.sh ENVIRONMENT ROOT
set -eu
environment=$1 root=$2
python=$environment/bin/python

take() { # take PATH...: with the folders above it; what is not there is not needed
  for path; do if [ -e "$path" ] || [ -L "$path" ]; then cp -a --parents "${path#/}" "$root"; fi; done
}

mkdir -p "$root"
cd /
# Debian's folders of programs and libraries are links into /usr
for link in /bin /lib /lib64; do if [ -L $link ]; then cp -a $link "$root"; fi; done

# the program, by each of the names outside of the environment that lead to it
name=$python
while [ -L "$name" ]; do
  name=$(cd "$(dirname "$name")" && realpath -s "$(readlink "$name")")
  case $name in "$environment"/*) ;; *) take "$(realpath "$(dirname "$name")")/$(basename "$name")" ;; esac
done

standard=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
tar -c --exclude=__pycache__ --exclude=site-packages --exclude=dist-packages --exclude=sitecustomize.py \
  --exclude='config-3*' --exclude=test --exclude=tests --exclude=idlelib --exclude=tkinter --exclude=turtledemo \
  --exclude=ensurepip --exclude=lib2to3 --exclude=pydoc_data "${standard#/}" | tar -x -C "$root"
"$python" -m compileall -q -s "$root" "$root$standard"

# what the loader finds for them outside of the environment; the loader itself is the line without an arrow. It says of
# scripts, which are among the programs, that they load nothing
find "$environment" "$root$standard" -type f \( -name '*.so*' -o -path "$environment/bin/*" \) -exec ldd {} + \
  >/tmp/loaded 2>/dev/null || true
ldd "$(realpath "$python")" >>/tmp/loaded
sed -n 's/.*=> *\(\/[^ ]*\) (.*/\1/p; s/^\t\(\/[^ ]*\) (.*/\1/p' /tmp/loaded | sort -u | while read -r library; do
  case $library in "$environment"/*) continue ;; esac
  folder=$(realpath "$(dirname "$library")")
  mkdir -p "$root$folder"
  cp -L "$library" "$root$folder/"
done
rm /tmp/loaded
take /etc/ld.so.conf /etc/ld.so.conf.d
ldconfig -r "$root"

take /etc/ssl /usr/lib/ssl /usr/share/ca-certificates /usr/share/zoneinfo /etc/nsswitch.conf /etc/mime.types
printf 'root:x:0:0::/:/sbin/nologin\nrtp:x:10001:10001::/home/rtp:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nrtp:x:10001:\n' >"$root/etc/group"
install -d -m 1777 "$root/tmp"
