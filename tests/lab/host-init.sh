#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# PID 1 of a lab host: gives it its own /dev, /run, libvirt state, libvirtd and sshd.
# usage (inside fresh network, mount, pid and uts namespaces): host-init.sh NAME LAB_DIR [ROOT]
# With ROOT, a directory with another distribution, the host is one of that distribution.
set -eu
name=$1 lab=$2 home=$2/hosts/$1 here=$(cd "$(dirname "$0")" && pwd)

if [ -n "${3:-}" ]; then
    top=$(mktemp -d)
    mount -t tmpfs lab "$top"
    mkdir "$top/upper" "$top/work" "$top/root"
    mount -t overlay lab -o "lowerdir=$3,upperdir=$top/upper,workdir=$top/work" "$top/root"
    for path in /proc /sys /dev "$lab" "$(cd "$here/../.." && pwd)"; do
        mkdir -p "$top/root$path"
        mount --rbind "$path" "$top/root$path"
    done
    exec chroot "$top/root" /bin/bash "$here/host-init.sh" "$name" "$lab"
fi

# Lay what was fetched, not installed (see fetch.sh), over this host's /usr, which is then read-only.
for program in ovs-vswitchd lldpad; do
    fetched=$(cd "$here/../.." && pwd)/.cache/$program/usr
    if [ -d "$fetched" ] && ! [ -e "/usr/sbin/$program" ]; then
        mount -t overlay lab -o "lowerdir=$fetched:/usr" /usr
    fi
done

read -r pid _ </proc/self/stat # seen from outside: /proc is still the outer one
echo "$pid" >"$home/pid"
hostname "$name"

# A private /dev: macvtap nodes of two hosts would collide in the shared devtmpfs, and a /dev/kvm that
# does not work makes libvirt probe it at each start of a guest.
dev=$(mktemp -d)
mount -t tmpfs -o mode=755 lab "$dev"
for node in null zero full random urandom tty; do cp -a "/dev/$node" "$dev/"; done
mkdir "$dev/net" "$dev/pts" "$dev/shm"
cp -a /dev/net/tun "$dev/net/"
ln -s pts/ptmx "$dev/ptmx"
ln -s /proc/self/fd "$dev/fd"
ln -s fd/0 "$dev/stdin"
ln -s fd/1 "$dev/stdout"
ln -s fd/2 "$dev/stderr"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$dev/pts"
mount --move "$dev" /dev
rmdir "$dev"

# State of the host's own, on fresh file systems.  The namespaces by name stay visible to none but their own host.
mount -t tmpfs -o mode=755 lab /run
mkdir -p /run/lock /run/sshd /run/netns /run/libvirt
mkdir -p /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
for path in /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    mount -t tmpfs -o mode=755 lab "$path"
done
mkdir -p /var/log/libvirt/qemu /etc/libvirt/qemu/networks/autostart
mount -t proc proc /proc

# libvirt's QEMU driver will not start without its user, which comes with the service package.
for file in passwd group; do
    cp "/etc/$file" "/run/$file"
    mount --bind "/run/$file" "/etc/$file"
done
getent group libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:' >>/etc/group
getent passwd libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>/etc/passwd
# A home of the host's own: what this machine's root has in .bashrc would run for each task of a playbook.
mkdir -m 700 /run/root
passwd=$(sed -E 's|^(root(:[^:]*){4}):[^:]*|\1:/run/root|' /etc/passwd)
echo "$passwd" >/etc/passwd

cat >/etc/libvirt/qemu.conf <<'CONF'
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
remember_owner = 0
CONF
printf '%s\n' 'auth_unix_rw = "none"' 'log_outputs = "3:file:/run/libvirtd.log"' >/etc/libvirt/libvirtd.conf

setsid /usr/bin/python3 "$here/tapwatch.py" &
# one arena for all threads: each thread's own would grow for a while, and hide what is kept (tests/soak)
MALLOC_ARENA_MAX=1 /usr/sbin/libvirtd -d -f /etc/libvirt/libvirtd.conf -p /run/libvirtd.pid
/usr/sbin/sshd -f /dev/null -E /run/sshd.log -o "HostKey=$lab/host_key" -o "AuthorizedKeysFile=$lab/id_ed25519.pub" \
    -o StrictModes=no -o UsePAM=no -o PermitRootLogin=yes -o Subsystem="sftp internal-sftp"
until [ -S /run/libvirt/libvirt-sock-ro ]; do sleep 0.02; done
touch "$home/ready"

# Reap orphans for as long as the host lives.
trap : TERM
while :; do
    sleep 3600 &
    wait $!
done
