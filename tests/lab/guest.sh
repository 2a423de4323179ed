#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Make a guest that boots in seconds: Debian's cloud kernel and a busybox. guest.sh DIRECTORY
# Its kernel's command line may say guest_ip=ADDRESS/PREFIX, for the NIC that it starts with.  On a second serial port
# it says READY, and runs each line that it reads there.  NICs may come and go while it runs.
set -eu
recipe=$(sha256sum <"$0")
[ "$(cat "$1/recipe" 2>/dev/null)" = "$recipe" ] && exit 0
command -v apt-get >/dev/null || { echo "a guest can be made on Debian only; its tests are skipped"; exit 0; }
mkdir -p "$(dirname "$1")"
made=$(mktemp -d "$1.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work" "$made"' EXIT
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
mount -t devtmpfs dev /dev
for module in $modules; do insmod /mod/\$module.ko; done
for word in \$(cat /proc/cmdline); do case \$word in guest_ip=*) address=\${word#*=} ;; esac; done
echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore # a guest with two NICs on one LAN answers for each at that one only
ip link set lo up
[ -z "\$address" ] || { ip link set eth0 up && ip addr add \$address dev eth0; }
echo READY
grep -q '^1: uart:unknown' /proc/tty/driver/serial && while :; do sleep 3600; done
exec 3<>/dev/ttyS1 # once: each time that it is opened, what waits there would be lost
stty raw -echo <&3
echo READY >&3
while :; do IFS= read -r line <&3 && (eval "\$line") >&3 2>&1 </dev/null; done
INIT
chmod +x root/init
(cd root && find . | cpio -o -H newc --quiet | gzip -1) >"$made/initrd.gz"
echo "$recipe" >"$made/recipe"
# one by one and the recipe last, under the eyes of other test runs that may start a guest or make the same one
mkdir -p "$1"
for file in vmlinuz initrd.gz recipe; do mv -f "$made/$file" "$1/$file"; done
