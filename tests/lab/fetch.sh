#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fetch a package for lab hosts, once, without installing it (that would start it on this machine):
# fetch.sh PACKAGE PROGRAM DIRECTORY.  host-init.sh lays the directory's usr over that of a host without the program.
set -eu
package=$1 program=$2 directory=$3
{ [ -e "$directory/usr" ] || [ -e "/usr/sbin/$program" ]; } && exit 0
command -v apt-get >/dev/null || { echo "$package can be fetched on Debian only; its tests are skipped"; exit 0; }
# the packages of the same source and those of their libraries that are not installed
missing() {
    LC_ALL=C apt-get install --simulate --no-install-recommends "$package" 2>/dev/null |
        sed -nE "s/^Inst ((${package%%-*}|lib)[^ ]*) .*/\\1/p"
}
packages=$(missing)
[ -n "$packages" ] || { apt-get update -qq && packages=$(missing); }
[ -n "$packages" ] || { echo "there is no package $package; its tests are skipped"; exit 0; }
mkdir -p "$(dirname "$directory")"
made=$(mktemp -d "$directory.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work" "$made"' EXIT
cd "$work"
apt-get download -qq $packages >/dev/null 2>&1
for file in *.deb; do
    dpkg-deb -x "$file" .
done
# some programs get their usual place only when their package is installed
[ -e "usr/sbin/$program" ] || ln -s "/$(find usr/lib -name "$program" -type f)" usr/sbin/
chmod 755 "$made"
mv usr "$made/"
mv -T "$made" "$directory" 2>/dev/null || [ -e "$directory/usr" ] # another test run was quicker
