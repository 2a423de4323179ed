# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a cycle could leave behind is seen: each leak is made here once, by hand."""

from __future__ import annotations

import pytest

from . import differences

HOST = "kvm1"
APART = ">/dev/null 2>&1 </dev/null & echo $!"
CONNECT = "import libvirt, time; held = [libvirt.open() for _ in range(3)]; time.sleep(4242)"
DEFINE = 'libvirt.open().networkDefineXML("<network><name>left</name></network>")'
UNDEFINE = 'libvirt.open().networkLookupByName("left").undefine()'
DNSMASQ = "--conf-file=/var/lib/libvirt/dnsmasq/left.conf"
# what is left, the command that leaves it, the one that takes it away (given what the first one has printed), what is told
LEAKS = {
    "macvtap": ("ip link add left link up1 type macvtap mode private", "ip link del left", "link left is there"),
    "bridge": ("ip link add left type bridge", "ip link del left", "link left is there"),
    "port": (
        "ip link add left type bridge; ip link set up1 master left", "ip link del left", "up1 is under (left, hairpin False)"
    ),
    "address": ("ip addr add 203.0.113.1/24 dev up1", "ip addr flush dev up1", "up1 has the addresses ['203.0.113.1/24']"),
    "link that is down": ("ip link set up2 down", "ip link set up2 up", "link up2 is down"),
    "network": (f"/usr/bin/python3 -c 'import libvirt; {DEFINE}'", f"/usr/bin/python3 -c 'import libvirt; {UNDEFINE}'", "network left is there"),
    "dnsmasq": (f"/usr/bin/python3 -c 'import time; time.sleep(4242)' {DNSMASQ} {APART}", "kill {}", "dnsmasq processes: {{'left': 1}}"),
    "rule": ("iptables -I FORWARD -i left -j DROP", "iptables -D FORWARD -i left -j DROP", "rule iptables filter -A FORWARD -i left"),
    "process": (f"setsid sleep 4242 {APART}", "kill {}", "process sleep 4242"),
    "namespace with a name": ("ip netns add left", "ip netns del left", "'named': ['left']"),
    "namespace without": (f"setsid unshare -n sleep 4242 {APART}", "kill {}", "network namespaces: {{'held': ['net:"),
    "file": ("touch /run/kvm.hostnet.left", "rm /run/kvm.hostnet.left", "file /run/kvm.hostnet.left"),
    "open files": (f"/usr/bin/python3 -c '{CONNECT}' {APART}; sleep 1", "kill {}", "libvirtd has "),
}  # fmt: skip


@pytest.fixture(scope="module")
def host(hosts):
    return differences.Host(HOST, hosts.observe(HOST))


@pytest.mark.parametrize(("leave", "take", "told"), LEAKS.values(), ids=LEAKS)
def test_it_is_told(leave, take, told, host, hosts):
    assert not host.differences([], hosts.observe(HOST))
    left = hosts.sh(HOST, leave).strip()
    try:
        now = hosts.observe(HOST)
    finally:
        hosts.sh(HOST, take.format(left))
    assert any(told.format() in line for line in host.differences([], now)), now
    assert any(line for line in differences.left_over(host.before, now)) or told.startswith("link up2")
