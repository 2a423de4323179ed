# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges and their ports on the real kernel.  The move of an uplink has a file of its own."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError

from .conftest import host_state, sh

# option: as bridge(8) and ip(8) call it
FLAGS = {
    "hairpin": "hairpin", "isolated": "isolated", "learning": "learning", "flood": "flood", "mcast_flood": "mcast_flood",
    "bcast_flood": "bcast_flood", "neigh_suppress": "neigh_suppress", "guard": "guard", "root_block": "root_block",
    "fast_leave": "fastleave", "mcast_to_unicast": "mcast_to_unicast", "locked": "locked",
}  # fmt: skip
OPTIONS = [
    ({"stp": True}, "stp_state 1"), ({"stp": True}, "forward_delay 1500"), ({"forward_delay": 4.0}, "forward_delay 400"),
    ({"hello_time": 1.0}, "hello_time 100"), ({"max_age": 30.0}, "max_age 3000"), ({"ageing_time": 10.0}, "ageing_time 1000"),
    ({"priority": 4096}, "priority 4096"), ({"mcast_snooping": False}, "mcast_snooping 0"),
    ({"group_fwd_mask": 0x4000}, "group_fwd_mask 0x4000"), ({"mac": "52:54:00:00:00:99"}, "link/ether 52:54:00:00:00:99"),
    ({"mtu": 1400}, "mtu 1400"), ({"up": False}, "state DOWN"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def cables(topology):
    topology("add p0 type veth peer name p0p", "add p1 type veth peer name p1p", "set p0 up", "set p1 up",
             "add br9 type bridge", "add p9 type veth peer name p9p", "set p9 master br9")  # fmt: skip


def ports(bridge):
    return set(sh(f"ls /sys/class/net/{bridge}/brif").split())


def told(link):
    return " ".join(sh(f"ip -d link show {link}").split())


def test_life_of_a_bridge(bridges):
    made = bridges({"name": "br0", "ports": [{"name": "p0"}, {"name": "p1", "isolated": True}]})
    assert made["steps"] == ["create br0", "add p0", "add p1", "set port p1"]
    assert ports("br0") == {"p0", "p1"} and "stp_state 0" in told("br0") and "forward_delay 0 " in told("br0")
    assert bridges({"name": "br0", "ports": [{"name": "p1", "state": "absent"}]})["steps"] == ["release p1"]
    assert ports("br0") == {"p0"}
    assert bridges({"name": "br0", "state": "absent"})["steps"] == ["release p0", "delete br0"]


@pytest.mark.parametrize(("option", "seen"), OPTIONS, ids=str)
def test_an_option_is_set_at_birth_and_in_place(option, seen, bridges):
    bridges({"name": "br0", **option})
    assert seen in told("br0")
    bridges({"name": "br1"})
    assert bridges({"name": "br1", **option})["steps"] == (["set br1"])
    assert seen in told("br1")


@pytest.mark.parametrize("flag", FLAGS)
def test_a_port_flag_is_set_and_cleared(flag, bridges):
    assert not bridges({"name": "br9", "ports": [{"name": "p9"}]}, check=True)["changed"]
    for value in (True, False, True):
        bridges({"name": "br9", "ports": [{"name": "p9", flag: value}]})
        assert f" {FLAGS[flag]} {'on' if value else 'off'} " in sh("bridge -d link show dev p9")


def test_flags_that_this_bridge8_does_not_show(bridges):
    bridges({"name": "br9", "ports": [{"name": "p9", "locked": True, "mab": True, "proxy_arp": True}]})
    assert "proxy_arp on" in told("p9")
    bridges({"name": "br9", "ports": [{"name": "p9", "locked": False, "mab": False, "proxy_arp": False}]})
    assert "proxy_arp off" in told("p9")


@pytest.mark.parametrize("number", [{"cost": 50}, {"priority": 8}], ids=str)
def test_a_port_number(number, bridges):
    bridges({"name": "br9", "ports": [{"name": "p9", **number}]})
    [(word, value)] = number.items()
    assert f"{word} {value} " in sh("bridge -d link show dev p9")


def test_taps_of_guests_follow_when_asked(bridges):
    sh("ip tuntap add tap7 mode tap && ip link set tap7 master br9")
    try:
        done = bridges({"name": "br9", "guest_ports": {"isolated": True, "hairpin": False}})
        assert done["steps"] == ["set port tap7"]
        assert "isolated on" in sh("bridge -d link show dev tap7") and "isolated off" in sh(
            "bridge -d link show dev p9"
        )
        with pytest.raises(HostNetError, match="Bridge br9 has guests at tap7, which would be cut off; stop or move"):
            bridges({"name": "br9", "state": "absent"})
    finally:
        sh("ip tuntap del tap7 mode tap")


def test_vlans_are_refused_whole_where_the_kernel_has_no_filtering(bridges):
    if "CONFIG_BRIDGE_VLAN_FILTERING=y" in sh("zcat /proc/config.gz 2>/dev/null || true"):
        pytest.skip("this kernel has VLAN filtering")
    before = host_state()
    for wish in ({"vlan_filtering": True}, {"ports": [{"name": "p0", "vlans": [{"vid": "10", "pvid": True}]}]}):
        with pytest.raises(
            HostNetError, match=r"Operation not supported.*VLAN filtering.*Everything was put back as it was"
        ):
            bridges({"name": "br0", **wish})
        assert host_state() == before


@pytest.mark.parametrize(
    ("ports", "meeting"),
    [
        ({"ports": [{"name": "up1"}, {"name": "up2"}]}, {"up1", "up2"}),
        ({"uplink": "up1", "ports": [{"name": "up2", "hairpin": True}]}, {"up1", "up2"}),
        ({"ports": [{"name": "p1"}, {"name": "p1p"}]}, {"p1", "p1p"}),  # of which one is down
    ],
    ids=str,
)
def test_a_port_that_would_close_a_loop_is_refused(ports, meeting, bridges):
    sh("ip link set p1p up; ip link set p1p down")  # it has been up before
    before = host_state()
    assert bridges({"name": "br0", **ports}, check=True)["changed"]  # to know, frames have to be sent
    with pytest.raises(HostNetError) as refused:
        bridges({"name": "br0", **ports})
    told = str(refused.value)
    assert {*told.partition(" are on")[0].split(" and ")} == meeting
    assert "bridge br0 with both of them would be a loop that takes the LAN down; leave one out, bond them, or" in told
    assert host_state() == before
    bridges({"name": "br0", "stp": True, "ports": [{"name": name} for name in sorted(meeting)]})
    bridges({"name": "br0", "state": "absent"})


def test_a_bridge_of_libvirts_is_left_to_libvirt(bridges, networks):
    networks({"name": "n", "state": "active", "forward": {"mode": "none"}, "bridge": {"name": "virbr7"}})
    bridges({"name": "virbr7", "guest_ports": {"isolated": True}})
    for change, verb in (({"stp": False}, "change"), ({"state": "absent"}, "remove")):
        with pytest.raises(
            HostNetError, match=f"Bridge virbr7 is that of the libvirt network n; {verb} it with libvirt_net"
        ):
            bridges({"name": "virbr7", **change})


@pytest.mark.parametrize(
    ("bridge", "sentence"),
    [
        ({"name": "p0"}, "There is an interface p0 on this host, of kind veth, so no bridge can be called that"),
        ({"name": "p0", "state": "absent"}, "p0 is no bridge, so it is not removed"),
        ({"name": "br0", "ports": [{"name": "nix"}]}, "There is no interface nix on this host for bridge br0; it has lo, "),
        ({"name": "br0", "ports": [{"name": "lo"}]}, "lo cannot be a port of bridge br0, since it is the loopback interface"),
        ({"name": "br0", "ports": [{"name": "br9"}]}, "br9 cannot be a port of bridge br0, since it is another bridge"),
        ({"name": "br0", "ports": [{"name": "p9"}]}, "p9 is a port of br9; take it out of there before it joins bridge br0"),
        ({"name": "br0", "ports": [{"name": "p0"}, {"name": "p0"}]}, "Port p0 of bridge br0 is listed twice; keep one of them"),
        ({"name": "br0", "ports": [{"name": "p1"}]}, "p1 has 192.0.2.1/24, which a port of bridge br0 cannot use; make it the"),
        ({"name": "br0", "stp": True, "forward_delay": 1.0}, "forward_delay 1 has to be from 2 to 30 seconds with STP"),
        ({"name": "br0", "forward_delay": 31.0}, "Bridge br0: forward_delay 31 has to be from 0 to 30 seconds"),
        ({"name": "br0", "mtu": 9}, "Bridge br0: mtu 9 has to be from 68 to 65535"),
        ({"name": "br0", "mtu": 9000, "uplink": "p0"}, "Bridge br0: mtu 9000 is more than the 1500 of its uplink p0; raise that"),
        ({"name": "br0", "hello_time": 0.5}, "Bridge br0: hello_time 0.5 has to be from 1 to 10"),
        ({"name": "br0", "max_age": 41.0}, "Bridge br0: max_age 41 has to be from 6 to 40"),
        ({"name": "br0", "ageing_time": float("nan")}, "bridges[br0].ageing_time: nan is no number of seconds that a bridge could"),
        ({"name": "br0", "group_fwd_mask": 65535}, "group_fwd_mask cannot have any of its lowest three bits, which are STP, pause"),
        ({"name": "br0", "vlan_default_pvid": -1}, "Bridge br0: vlan_default_pvid -1 has to be from 0 to 4094"),
        ({"name": "br0", "ports": [{"name": "p0", "cost": 0}]}, "Port p0 of bridge br0: cost 0 has to be from 1 to 65535"),
        ({"name": "br0", "guest_ports": {"priority": 64}}, "The guests' ports of bridge br0: priority 64 has to be from 0 to 63"),
        ({"name": "br0", "priority": 70000}, "Bridge br0: priority 70000 has to be from 0 to 65535"),
        ({"name": "br0", "mac": "01:00:00:00:00:01"}, 'bridges[br0].mac: "01:00:00:00:00:01" is a multicast MAC address'),
        ({"name": "br0", "vlans": [{"vid": "4095"}]}, '"4095" is no VLAN from 1 to 4094, and no range of them'),
        ({"name": "br0", "vlans": [{"vid": "9-3"}]}, '"9-3" is no VLAN from 1 to 4094, and no range of them'),
        ({"name": "br9", "ports": [{"name": "p9", "vlans": [{"vid": "1", "pvid": True}, {"vid": "2", "pvid": True}]}]},
         "More than one VLAN of port p9 is its pvid; untagged frames belong to one"),
        ({"name": "p0", "hwmode": "vepa"}, "p0 has no switch of its own that tells its mode, so no hwmode; leave it out"),
        ({"name": "nix", "hwmode": "vepa"}, "There is no interface nix on this host; it has lo, "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_refusals(bridge, sentence, bridges):
    sh("ip addr add 192.0.2.1/24 dev p1")
    before = host_state()
    with pytest.raises(HostNetError) as error:
        bridges(bridge)
    assert sentence in str(error.value)
    assert host_state() == before


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
def test_a_link_that_carries_another_is_no_port_and_stays(kind, bridges, links):
    links({"name": "m0", "lower": "p0", "kind": kind})
    with pytest.raises(
        HostNetError, match="p0 carries m0 and cannot be a port of bridge br0 beside; remove that first"
    ):
        bridges({"name": "br0", "ports": [{"name": "p0"}]})
    links({"name": "m1", "lower": "br9", "kind": kind})
    with pytest.raises(HostNetError, match="Bridge br9 carries m1; remove that first"):
        bridges({"name": "br9", "state": "absent"})


def test_an_mtu_outlasts_the_ports_that_join(bridges):
    bridges({"name": "br0", "mtu": 1400, "ports": [{"name": "p0"}]})
    assert "mtu 1400" in told("br0") and "mtu 1500" in told("p0")


def test_a_bridge_of_somebody_elses_is_left_alone_when_told(bridges):
    assert bridges({"name": "br9", "state": "absent", "only_own": True})["steps"] == []
    bridges({"name": "br0"})
    assert bridges({"name": "br0", "state": "absent", "only_own": True})["steps"] == ["delete br0"]


def test_one_port_of_two_bridges(bridges):
    with pytest.raises(HostNetError, match="p0 is listed for bridge br0 and for bridge br1; keep one of them"):
        bridges(*({"name": name, "ports": [{"name": "p0"}]} for name in ("br0", "br1")))


def test_what_fails_halfway_is_put_back(bridges):
    before = host_state()
    with pytest.raises(HostNetError, match=r"Cannot .*Everything was put back as it was"):
        bridges({"name": "br0", "ports": [{"name": "p0"}, {"name": "p1", "mab": True}]})
    assert host_state() == before


def test_a_bridge_that_its_network_leaves_is_told_of(bridges, networks):
    bridges({"name": "br0"}, {"name": "br1"})

    def on(bridge, **options):
        return networks({"name": "n", "forward": {"mode": "bridge"}, "bridge": {"name": bridge}}, **options)["warnings"]

    assert on("br0") == []
    [told] = on("br1")
    assert told.startswith("Network n leaves the bridge br0, which stays")
    assert on("br0", check=True, pending_bridges=["br1"]) == []
    networks({"name": "n", "state": "absent"})
