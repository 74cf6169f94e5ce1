#!/usr/bin/env bash
# Installs Debian packages that are missing: packages.sh NAME…  Needs root (or sudo) only when something is missing.
set -euo pipefail
missing=()
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "Installing Debian packages: ${missing[*]}" >&2
sudo=()
if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
install() { DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null; }
# The package lists may be missing or old.
install 2>/dev/null || { "${sudo[@]}" apt-get update >/dev/null; install; }
