#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fetch lldpad for lab hosts, once, without installing it (that would start it on this machine): lldpad.sh DIRECTORY
# host-init.sh lays the directory's usr over that of the host.
set -eu
{ [ -e "$1/usr" ] || [ -e /usr/sbin/lldpad ]; } && exit 0
command -v apt-get >/dev/null || { echo "lldpad can be fetched on Debian only; its tests are skipped"; exit 0; }
# the package and those of its libraries that are not installed
missing() {
    LC_ALL=C apt-get install --simulate --no-install-recommends lldpad 2>/dev/null |
        sed -nE 's/^Inst (lldpad|lib[^ ]*) .*/\1/p'
}
packages=$(missing)
[ -n "$packages" ] || { apt-get update -qq && packages=$(missing); }
[ -n "$packages" ] || { echo "there is no package lldpad; its tests are skipped"; exit 0; }
mkdir -p "$(dirname "$1")"
made=$(mktemp -d "$1.XXXXXX")
trap 'rm -rf --one-file-system "$made"' EXIT
(cd "$made" && apt-get download -qq $packages >/dev/null 2>&1)
for package in "$made"/*.deb; do
    dpkg-deb -x "$package" "$made"
done
rm "$made"/*.deb
chmod 755 "$made"
mv -T "$made" "$1" 2>/dev/null || [ -e "$1/usr" ] # another test run was quicker
