# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's links and addresses are, and the way back to that, whatever was done to them."""

from __future__ import annotations

import time

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.netlink import connection
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.snapshot import Restorer, plan, take

from .conftest import host_state, sh
from .lasting import lasting


@pytest.fixture
def host(topology):
    """A host with some of everything."""
    # addresses are what they are from the start on; and libvirt leaves the host forwarding
    sh("sysctl -qw net.ipv6.conf.default.dad_transmits=0 net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")
    topology(
        "add v0 type veth peer name v1", "set v0 up", "set v1 up", "add m0 link v0 type macvlan mode bridge", "set m0 up",
        "add t0 link v0 type macvtap mode vepa", "add b0 type bridge stp_state 1 forward_delay 400", "set b0 up",
        "add d0 type veth peer name d1", "set d0 master b0 up", "set d1 up", "add b1 type bridge",
        "set b0 addrgenmode none",  # which would get its own as late as STP lets its port forward
    )  # fmt: skip
    sh("bridge link set dev d0 isolated on hairpin off cost 7")
    sh("ip addr add 10.9.0.1/24 dev v0; ip addr add 10.9.0.2/24 dev v0; ip addr add fd09::1/64 dev v0 nodad")
    sh("ip addr add 10.9.1.1/24 dev b0; ip addr add 10.9.2.1/32 dev m0")
    sh(
        "ip route add 10.10.0.0/16 via 10.9.0.254; ip route add default via 10.9.0.254 table 77; ip route add blackhole 10.12.0.0/16"
    )
    sh("ip -6 route add fd10::/64 via fd09::ff; ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev v0")
    sh("ip rule add from 10.9.0.0/24 table 77 priority 700; ip rule add iif v0 table 77 priority 701")
    time.sleep(0.5)  # carriers come, and with them link-local addresses
    yield
    sh("sysctl -qw net.ipv6.conf.default.dad_transmits=1")
    sh(
        "ip rule del priority 700; ip rule del priority 701; ip route del blackhole 10.12.0.0/16; ip route flush table 77; ip route del 10.10.0.0/16 || true"
    )


CHANGES = {
    "addresses": "ip addr del 10.9.0.1/24 dev v0; ip addr add 10.9.0.3/24 dev v0; ip addr flush dev m0",
    "last address": "ip addr flush dev v0 scope global",
    "routes": "ip route del 10.10.0.0/16; ip route add 10.11.0.0/16 via 10.9.0.253; ip route flush table 77",
    "rules": "ip rule del priority 700; ip rule add from 10.77.0.0/16 table 9 priority 702",
    "neighbours": "ip neigh del 10.9.0.9 dev v0; ip neigh add 10.9.0.8 lladdr 02:00:00:00:00:08 dev v0",
    "down": "ip link set v0 down",
    "mtu": "ip link set v0 mtu 1300",
    "mac": "ip link set v0 address 02:00:00:00:00:77",
    "renamed": "ip link set v0 down; ip link set v0 name w0; ip link set w0 up",
    "alias and allmulti": "ip link set m0 alias something; ip link set m0 allmulticast on",
    "macvlan mode": "ip link set m0 type macvlan mode private",
    "macvlan gone": "ip link del m0; ip link del t0",
    "macvtap as macvlan": "ip link del t0; ip link add t0 link v0 type macvlan mode bridge",
    "bridge settings": "ip link set b0 type bridge stp_state 0 forward_delay 1500 mcast_snooping 0",
    "port flags": "bridge link set dev d0 isolated off hairpin on cost 99 learning off",
    "out of the bridge": "ip link set d0 nomaster",
    "bridges gone": "ip link del b0; ip link del b1",
    "in another bridge": "ip link add x0 type bridge; ip link set d0 master x0; ip link set x0 up",
    "under a new bridge": "ip link add x0 type bridge; ip link set d1 master x0; ip link set x0 up; ip addr add 10.9.0.1/24 dev x0",
    "links on links": "ip link add x0 link v0 type macvlan; ip link add x1 link b0 type macvlan; ip link add x2 type bridge; ip link set x1 master x2",
    "forwarding": "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
}  # fmt: skip


@pytest.mark.parametrize("command", CHANGES.values(), ids=CHANGES)
def test_whatever_was_changed_is_put_back(host, command):
    with connection() as netlink:
        before, told = take(netlink, []), host_state()
        assert not plan(before, take(netlink, []))
        sh(command)
        assert plan(before, take(netlink, []))
        restorer, rounds = Restorer(netlink), 0
        while plan(before, take(netlink, [])) and rounds < 3:
            assert not restorer.carry_out(plan(before, take(netlink, [])))
            rounds += 1
        assert not plan(before, take(netlink, []))
        time.sleep(0.2)
    assert "x0" not in sh("ip link")
    assert lasting(host_state()) == lasting(told)


def test_links_that_stand_on_nothing_of_the_host_are_left_alone(topology):
    with connection() as netlink:
        before = take(netlink, [])
        topology("add y0 type veth peer name y1", "add y2 type bridge", "set y0 master y2")
        assert not plan(before, take(netlink, []))
