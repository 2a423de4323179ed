#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Make a guest that boots in seconds, once: Debian's cloud kernel and a busybox. guest.sh DIRECTORY
# On its command line: ip=ADDRESS/PREFIX, and what busybox shall run.
set -eu
[ -e "$1/initrd.gz" ] && exit 0
command -v apt-get >/dev/null || { echo "a guest can be made on Debian only; its tests are skipped"; exit 0; }
mkdir -p "$(dirname "$1")"
made=$(mktemp -d "$1.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
newest() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1; }
kernel=$(newest)
[ -n "$kernel" ] || { apt-get update -qq && kernel=$(newest); }
apt-get download -qq "$kernel" >/dev/null 2>&1
dpkg-deb -x "$kernel"_*.deb kernel
cp kernel/boot/vmlinuz-* "$made/vmlinuz"
mkdir -p root/bin root/mod root/proc root/sys root/dev
cp "$(command -v busybox)" root/bin/busybox
modules="failover net_failover virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_net"
for module in $modules; do
    cp "$(find kernel -name "$module.ko")" root/mod/
done
cat >root/init <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in $modules; do insmod /mod/\$module.ko; done
for word in \$(cat /proc/cmdline); do case \$word in guest_ip=*) address=\${word#*=} ;; esac; done
ip link set lo up
ip link set eth0 up
ip addr add \$address dev eth0
echo READY
while :; do sleep 3600; done
INIT
chmod +x root/init
(cd root && find . | cpio -o -H newc --quiet | gzip -1) >"$made/initrd.gz"
rm -rf "$1" # two test runs may have made one each
mv -T "$made" "$1"
