#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fetch Open vSwitch for lab hosts, once, without installing it (that would start it on this machine): ovs.sh DIRECTORY
# host-init.sh lays the directory's usr over that of the host.
set -eu
{ [ -e "$1/usr" ] || [ -e /usr/sbin/ovs-vswitchd ]; } && exit 0
command -v apt-get >/dev/null || { echo "Open vSwitch can be fetched on Debian only; its tests are skipped"; exit 0; }
# the packages and those of their libraries that are not installed
missing() {
    LC_ALL=C apt-get install --simulate --no-install-recommends openvswitch-switch 2>/dev/null |
        sed -nE 's/^Inst ((openvswitch|lib)[^ ]*) .*/\1/p'
}
packages=$(missing)
[ -n "$packages" ] || { apt-get update -qq && packages=$(missing); }
[ -n "$packages" ] || { echo "there is no package openvswitch-switch; its tests are skipped"; exit 0; }
mkdir -p "$(dirname "$1")"
made=$(mktemp -d "$1.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work" "$made"' EXIT
cd "$work"
apt-get download -qq $packages >/dev/null 2>&1
for package in *.deb; do
    dpkg-deb -x "$package" .
done
ln -s ../lib/openvswitch-switch/ovs-vswitchd usr/sbin/ # as its package does when installed
chmod 755 "$made"
mv usr "$made/"
mv -T "$made" "$1" 2>/dev/null || [ -e "$1/usr" ] # another test run was quicker
