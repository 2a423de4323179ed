#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Install what lab hosts and tests need from the distribution.  Nothing of it starts a libvirtd on this machine.
set -eu
packages="busybox-static cpio dnsmasq-base e2fsprogs git iperf3 iproute2 iptables libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu mmdebstrap netcat-openbsd openssh-client
    openssh-server python3-hypothesis python3-libvirt python3-lxml python3-pyroute2 python3-pytest python3-venv qemu-system-x86
    sockperf systemd-container util-linux xz-utils"
fedora="dnsmasq git iperf3 iproute iptables-nft libvirt-client libvirt-daemon libvirt-daemon-driver-network libvirt-daemon-driver-nwfilter libvirt-daemon-driver-qemu lldpad netcat
    openssh-clients openssh-server python3-hypothesis python3-libvirt python3-lxml python3-pyroute2 python3-pytest qemu-system-x86-core
    sockperf systemd-container util-linux"

if ! command -v apt-get >/dev/null; then
    for command in libvirtd dnsmasq git ip nc sshd qemu-system-x86_64 systemd-nspawn nsenter; do
        PATH=$PATH:/usr/sbin command -v $command >/dev/null && continue
        echo "$command is missing; install what the lab needs: dnf install $(echo $fedora)" >&2
        exit 1
    done
    exit 0
fi

# Debian 13 keeps some of libvirt's drivers in packages of their own
for package in libvirt-daemon-driver-network libvirt-daemon-driver-nwfilter; do
    [ -z "$(apt-cache pkgnames $package)" ] || packages="$packages $package"
done
missing=$(for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
done)
[ -z "$missing" ] && exit 0
echo "Installing" $missing
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing >/dev/null
