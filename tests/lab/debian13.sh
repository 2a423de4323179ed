#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Make the root directory of a Debian 13 host, with libvirt 11.3, once: debian13.sh DIRECTORY
set -eu
packages=dbus,dnsmasq-base,ethtool,iperf3,iproute2,iptables,kmod,libvirt-daemon,libvirt-daemon-driver-network
packages=$packages,libvirt-daemon-driver-nodedev,libvirt-daemon-driver-nwfilter,libvirt-daemon-driver-qemu,lldpad,lldpd
packages=$packages,network-manager,openssh-server,openvswitch-switch,procps,python3-hypothesis,python3-libvirt
packages=$packages,python3-pyroute2,python3-pytest,qemu-system-x86,sockperf,udev
mkdir -p "$(dirname "$1")"
exec 9>"$1.lock"
flock 9 # another test run may be making the same one
[ "$(cat "$1/packages" 2>/dev/null)" = "$packages" ] && exit 0 # else there is none, or one of another list
[ ! -t 2 ] || echo "Making a Debian 13 for lab hosts, once; this takes a minute or two" >&2
rm -rf --one-file-system "$1.new"
# in a mount namespace of its own: when it is killed, its /proc and /sys go with it
unshare --mount mmdebstrap --quiet --variant=apt --include="$packages" trixie "$1.new"
echo "$packages" >"$1.new/packages"
rm -rf --one-file-system "$1"
mv "$1.new" "$1"
