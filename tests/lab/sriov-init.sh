#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# PID 1 of the SR-IOV host: a Debian 13 with two igb NICs, libvirtd and sshd, without systemd (which boots for minutes).
# The kernel's command line says sriov_NAME=VALUE: address, lab and project; the last two are shared with the lab.
set -u
export PATH=/usr/sbin:/usr/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for word in $(cat /proc/cmdline); do case $word in sriov_*=*) declare "${word%%=*}=${word#*=}" ;; esac; done
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for path in /run /tmp /dev/shm; do mount -t tmpfs tmpfs "$path"; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/sshd /run/lock /run/netns /run/dbus /run/libvirt /var/log/libvirt/qemu
hostname kvmsriov
ip link set lo up
modprobe -a virtio_net virtio_rng 9p 9pnet_virtio
# the NIC to the LAN goes by the name that it has on all lab hosts; it is the only one before igb is loaded
for link in /sys/class/net/e*; do ip link set "${link##*/}" name up0; done
ip link set up0 up
ip addr add "$sriov_address" dev up0
for share in lab project; do
    path=sriov_$share
    mkdir -p "${!path}"
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=none "$share" "${!path}"
done
/usr/sbin/sshd -f /dev/null -E /run/sshd.log -o "HostKey=$sriov_lab/host_key" -o StrictModes=no -o UsePAM=no \
    -o "AuthorizedKeysFile=$sriov_lab/id_ed25519.pub" -o PermitRootLogin=yes -o Subsystem="sftp internal-sftp"

/usr/lib/systemd/systemd-udevd --daemon
modprobe -a igb vfio_pci macvtap tun
udevadm settle --timeout=60

getent group libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:' >>/etc/group
getent passwd libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>/etc/passwd
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'stdio_handler = "file"' \
    'cgroup_controllers = []' 'namespaces = []' 'remember_owner = 0' >/etc/libvirt/qemu.conf
printf '%s\n' 'auth_unix_rw = "none"' 'log_outputs = "3:file:/run/libvirtd.log"' >/etc/libvirt/libvirtd.conf
# what systemd would do at the boot of a host that has it; it knows neither what these lines are prefixed by nor specifiers
for unit in $(ls /etc/systemd/system/*.wants/kvm-hostnet*.service 2>/dev/null | sed 's:.*/::' | sort -u); do
    sed -n 's/^ExecStart=[-@:+!]*//p' "/etc/systemd/system/$unit" | while read -r line; do
        timeout 300 bash -c "$line" </dev/null >>/run/units.log 2>&1 || echo "$unit: $line: $?" >>/run/units.log
    done
done
/usr/sbin/libvirtd -d -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid
until [ -S /run/libvirt/libvirt-sock-ro ]; do sleep 0.1; done
touch "$sriov_lab/sriov/ready"

# Reap orphans for as long as the host lives.
while :; do
    sleep 3600 &
    wait $!
done
