#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Make the root directory of a Debian 13 host, with libvirt 11.3, once: debian13.sh DIRECTORY
set -eu
[ -e "$1/etc/debian_version" ] && exit 0
packages=dnsmasq-base,iproute2,iptables,libvirt-daemon,lldpad,lldpd,libvirt-daemon-driver-network,libvirt-daemon-driver-qemu
packages=$packages,openssh-server,procps,python3-hypothesis,python3-libvirt,python3-pyroute2,python3-pytest,qemu-system-x86
rm -rf --one-file-system "$1.new"
mkdir -p "$(dirname "$1")"
# in a mount namespace of its own: when it is killed, its /proc and /sys go with it
unshare --mount mmdebstrap --quiet --variant=apt --include="$packages" trixie "$1.new"
mv "$1.new" "$1"
