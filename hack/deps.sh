#!/usr/bin/env bash
# Installs the Debian packages that the sandbox and its image builds use, where they are missing. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=$(awk '!/^#/ {print $1}' sandbox/artifacts/debian-packages.txt)
missing=
for p in $packages; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "missing Debian packages:$missing; install them as root: apt-get install$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing
