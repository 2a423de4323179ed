#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Make what the SR-IOV host boots from, once: sriov.sh DIRECTORY ROOT, where ROOT is a Debian 13 (see debian13.sh)
# A QEMU that emulates igb (8.0 and later do) boots Debian's kernel on a disk that is ROOT, sriov-init.sh and modules.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$(dirname "$1")"
exec 9>"$1.lock"
flock 9 # another test run may be making the same one
recipe=$(cat "$0" "$here/sriov-init.sh" "$2/packages" | sha256sum)
[ "$(cat "$1/recipe" 2>/dev/null)" = "$recipe" ] && exit 0
root=$(realpath "$2")
boot="virtio_pci virtio_blk ext4"
modules="$boot virtio_net virtio_rng 9p 9pnet_virtio igb igbvf vfio_pci vfio_iommu_type1 macvtap vhost_net tun bridge
    8021q dummy bonding sch_ingress sch_htb sch_sfq cls_u32 cls_fw act_police nft_compat nft_chain_nat xt_MASQUERADE
    xt_conntrack xt_comment xt_mark xt_tcpudp xt_CHECKSUM nft_reject_inet nft_fib_inet nf_tables"
made=$(mktemp -d "$1.XXXXXX")
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work" "$made"' EXIT
cd "$work"
unshare --mount mmdebstrap --quiet --variant=extract --include=linux-image-amd64 trixie kernel
version=$(basename kernel/usr/lib/modules/*)
cp kernel/boot/vmlinuz-* "$made/vmlinuz"
ln -s usr/lib kernel/lib
# depmod or modprobe of ROOT, by its own loader
kmod() {
    "$root/lib64/ld-linux-x86-64.so.2" --argv0 "$1" --library-path "$root/usr/lib/x86_64-linux-gnu" \
        "$root/usr/bin/kmod" "${@:2}"
}
kmod depmod -b kernel "$version"
# $1 modules: the files of these and of all that they need, in the order of loading
files() {
    for module in $1; do
        kmod modprobe -d kernel -S "$version" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

mkdir -p initrd/bin initrd/mod
cp "$(command -v busybox)" initrd/bin/busybox
files "$boot" | while read -r file; do
    name=$(basename "${file%.xz}")
    case $file in *.xz) xz -dc "$file" >"initrd/mod/$name" ;; *) cp "$file" initrd/mod/ ;; esac
    echo "insmod /mod/$name" >>initrd/load
done
cat >initrd/init <<INIT
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev /root
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
. /load
until mount -t ext4 /dev/vda /root; do sleep 0.1; done
exec switch_root /root /sriov-init.sh
INIT
chmod +x initrd/init
(cd initrd && find . | cpio -o -H newc --quiet | gzip -1) >"$made/initrd.gz"

mkdir -p disk/usr/lib/modules
files "$modules" | while read -r file; do
    install -D -m 644 "$file" "disk/usr/lib/modules/$version/${file#*/"$version"/}"
done
cp kernel/lib/modules/"$version"/modules.{order,builtin,builtin.modinfo} "disk/usr/lib/modules/$version/"
install -m 755 "$here/sriov-init.sh" disk/sriov-init.sh
ln -s usr/lib disk/lib
kmod depmod -b disk "$version"
rm disk/lib
# in a mount namespace of its own, so that the overlay goes with it
unshare --mount sh -c 'mkdir upper work whole && mount -t overlay disk -o "lowerdir=$1,upperdir=disk,workdir=work" whole &&
    mke2fs -q -t ext4 -m 0 -d whole "$2/disk" 3G' sh "$root" "$made"
echo "$recipe" >"$made/recipe"
rm -rf --one-file-system "$1"
mv "$made" "$1"
