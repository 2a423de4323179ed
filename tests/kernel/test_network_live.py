# SPDX-License-Identifier: GPL-3.0-or-later
"""Running networks: what changes in place, what restarts, and what becomes of the guests."""

from __future__ import annotations

import contextlib

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError

from .conftest import host_state, sh

HOST_1 = {"mac": "52:54:00:00:00:01", "ip": "192.168.150.9", "name": "one"}
HOST_2 = {"mac": "52:54:00:00:00:02", "ip": "192.168.150.8", "name": "two"}
RANGE = {"start": "192.168.150.100", "end": "192.168.150.150"}
GROUPS = [{"name": "a", "default": True}, {"name": "b", "bandwidth": {"inbound": {"average": 1000}}}]


def net(dhcp=None, **options):
    dhcp = {"ranges": [RANGE], "hosts": [HOST_1], **(dhcp or {})}
    ips = [{"address": "192.168.150.1", "prefix": 24, "dhcp": dhcp}, {"address": "fd00:150::1", "prefix": 64}]
    return {"name": "n", "autostart": True, "forward": {"mode": "nat"}, "ips": ips, **options}


POOL = {"name": "n", "forward": {"mode": "bridge", "interfaces": ["up0"]}}
LIVE = {
    "a DHCP host is added": net({"hosts": [HOST_1, HOST_2]}),
    "a DHCP host moves": net({"hosts": [{**HOST_1, "ip": "192.168.150.7"}]}),
    "a DHCP host gets another MAC address": net({"hosts": [{**HOST_1, "mac": HOST_2["mac"]}]}),
    "two DHCP hosts swap names": net({"hosts": [{**HOST_1, "name": "two"}, {**HOST_2, "name": "one"}]}),
    "a DHCP host goes": net({"hosts": []}),
    "a DHCP host keeps its lease longer": net({"hosts": [{**HOST_1, "lease": {"expiry": 10, "unit": "hours"}}]}),
    "a DHCP range grows": net({"ranges": [{**RANGE, "end": "192.168.150.160"}]}),
    "a DHCP range is added": net({"ranges": [RANGE, {"start": "192.168.150.170", "end": "192.168.150.180"}]}),
    "DHCP ranges go": net({"ranges": []}),
    "a DNS host is added": net(dns={"hosts": [{"ip": "192.168.150.1", "hostnames": ["gw", "gw.example"]}]}),
    "a text record is added": net(dns={"txt": [{"name": "a.example", "value": "b"}]}),
    "a service record is added": net(dns={"srv": [{"service": "ldap", "protocol": "tcp", "domain": "a.example",
                                                   "target": "b.example", "port": 389}]}),
    "portgroups are added": net(portgroups=GROUPS),
}  # fmt: skip


@pytest.fixture
def guest(daemon):
    """Starts a guest on network n; returns the name of its tap."""
    domains = []

    def start(name="vm1", source="<source network='n'/>"):
        document = f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
        <os><type arch='x86_64' machine='pc'>hvm</type></os><devices><memballoon model='none'/>
        <interface type='network'>{source}<model type='virtio'/></interface></devices></domain>"""
        domains.append(daemon.createXML(document, libvirt.VIR_DOMAIN_START_PAUSED))
        live = domains[-1].XMLDesc(0)
        return live.partition("<target dev='")[2].partition("'")[0]

    yield start
    for domain in domains:
        with contextlib.suppress(libvirt.libvirtError):  # the test has ended it
            domain.destroy()


def bridge_index(name="virbr0"):
    return sh(f"cat /sys/class/net/{name}/ifindex")


@pytest.mark.parametrize("edit", LIVE)
def test_changes_in_place(edit, networks, networks_info):
    networks(net())
    same = bridge_index()
    done = networks(LIVE[edit])
    assert done["steps"] == ["define n", "update n"]
    assert done["plan"]["n"]["live"] and done["plan"]["n"]["persistent"] and not done["plan"]["n"]["restart"]
    told = networks_info("n")
    assert bridge_index() == same and not told["details"]["n"]["pending"]
    back = {"portgroups": [], "dns": {"hosts": [], "txt": [], "srv": []}}
    assert networks({**net({"hosts": [{**HOST_1, "lease": {}}]}), **back})["steps"] == ["define n", "update n"]
    assert bridge_index() == same


def test_portgroups_change_in_place(networks):
    networks(net(portgroups=GROUPS))
    same = bridge_index()
    networks(net(portgroups=[{"name": "b", "default": True}, {"name": "c"}]))
    networks(net(portgroups=[{"name": "c", "bandwidth": {"outbound": {"average": 5}}}, {"name": "b"}]))
    assert bridge_index() == same


def test_an_uplink_joins_a_pool_in_place(networks, topology):
    topology("add e1 type veth peer name e1p")
    networks(POOL)
    both = {"mode": "bridge", "interfaces": ["up0", "e1"]}
    assert networks({**POOL, "forward": both})["steps"] == ["define n", "update n"]
    assert networks({**POOL, "forward": {**both, "interfaces": ["e1"]}})["steps"] == ["define n", "update n"]
    assert networks({**POOL, "forward": both})["steps"] == ["define n", "stop n", "start n"], "the order is another"


def test_dnsmasq_is_left_alone_by_a_new_host(networks):
    networks(net())
    pid = sh("cat /run/libvirt/network/n.pid")
    networks(LIVE["a DHCP host is added"])
    assert sh("cat /run/libvirt/network/n.pid") == pid


@pytest.mark.parametrize(
    "edit", [{"domain": {"name": "a.example"}}, {"mtu": 1400}, {"bridge": {"name": "virbr9"}}], ids=str
)
@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "not isolated"])
def test_a_restart_keeps_the_guests(edit, isolated, networks, networks_info, guest):
    networks(net(isolated=isolated))
    tap = guest()
    before = networks_info("n")["details"]["n"]["guests"]
    assert [(one["domain"], one["tap"], one["attached"]) for one in before] == [("vm1", tap, True)]
    done = networks(net(isolated=isolated, **edit), allow_restart="true")
    assert done["steps"] == ["define n", "stop n", "start n"] and done["plan"]["n"]["restart"]
    assert networks_info("n")["details"]["n"]["guests"] == before
    assert int(sh(f"cat /sys/class/net/{tap}/brport/isolated")) == isolated
    bridge = edit.get("bridge", {}).get("name", "virbr0")
    assert sh(f"ip -br link show master {bridge}").startswith(tap)


def test_what_can_change_live_does_while_the_rest_waits(networks, networks_info, guest):
    networks(net())
    guest()
    done = networks(net({"hosts": [HOST_1, HOST_2]}, mtu=1400))
    assert done["steps"] == ["define n", "update n"] and done["pending"] == {"n": ["mtu"]}
    details = networks_info("n")["details"]["n"]
    assert details["pending"] == ["mtu"] and len(details["live"]["ips"][0]["dhcp"]["hosts"]) == 2


def test_a_passthrough_pool_keeps_its_accounts(networks, guest, topology):
    """A device that is in use must not be handed out again: its MAC address would be lost."""
    topology("add e1 type veth peer name e1p")
    pool = {"name": "n", "forward": {"mode": "passthrough", "interfaces": ["e1"]}}
    networks(pool)
    mac = sh("cat /sys/class/net/e1/address")
    guest()
    networks({**pool, "trust_guest_rx_filters": True}, allow_restart="true")
    with pytest.raises(libvirt.libvirtError, match=r"requires exclusive access|none are available"):
        guest("vm2")
    libvirt.open("qemu:///system").lookupByName("vm1").destroy()
    assert sh("cat /sys/class/net/e1/address") == mac


def test_a_network_on_a_bridge_of_the_host_keeps_its_guests(networks, networks_info, guest, topology):
    topology("add br9 type bridge", "set br9 up")
    bridged = {"name": "n", "forward": {"mode": "bridge"}, "bridge": {"name": "br9"}}
    networks(bridged)
    tap = guest()
    before = networks_info("n")["details"]["n"]["guests"]
    done = networks({**bridged, "trust_guest_rx_filters": True}, allow_restart="true")
    assert done["steps"] == ["define n", "stop n", "start n"]
    assert networks_info("n")["details"]["n"]["guests"] == before and before[0]["attached"]
    sh(f"ip link set {tap} nomaster")
    assert networks(bridged)["steps"] == ["reattach n"]


def test_guests_do_not_move_from_a_bridge_to_an_uplink(networks, guest):
    networks(net())
    guest()
    before = host_state()
    with pytest.raises(HostNetError, match="vm1 cannot be moved from libvirt's own bridge to uplinks while running"):
        networks(POOL, allow_restart="true")
    assert host_state() == before


def test_a_bridge_deleted_behind_libvirt_is_repaired(networks, networks_info, guest):
    networks(net())
    tap = guest()
    sh("ip link del virbr0")
    assert networks_info("n")["details"]["n"]["ailing"] == ["the bridge virbr0 is gone"]
    assert networks(net())["steps"] == ["stop n", "start n"]
    assert sh("ip -br link show master virbr0").startswith(tap) and not networks_info("n")["details"]["n"]["ailing"]


def test_a_bridge_that_somebody_set_down_is_repaired(networks, networks_info, guest):
    networks(net())
    tap = guest()
    sh("ip link set virbr0 down")
    assert networks_info("n")["details"]["n"]["ailing"] == ["the bridge virbr0 is down"]
    assert networks(net())["steps"] == ["stop n", "start n"]
    assert sh("ip -br link show master virbr0").startswith(tap) and not networks(net())["changed"]


DHCP6 = {
    "ips": [
        {"address": "2001:db8::1", "prefix": 64, "dhcp": {"ranges": [{"start": "2001:db8::2", "end": "2001:db8::9"}]}}
    ]
}


@pytest.mark.parametrize(
    "more", [{}, {"dns": {"enable": False}}, {"dns": {"enable": False}, **DHCP6}], ids=["dns", "dhcp", "dhcp6"]
)
def test_a_dnsmasq_that_has_ended_is_started(more, networks, networks_info, guest):
    wanted = {**net(), **more}
    networks(wanted)
    tap, same = guest(), bridge_index()
    number = sh("cat /run/libvirt/network/n.pid").strip()
    sh(f"kill {number}; while kill -0 {number} 2>/dev/null; do sleep 0.05; done")
    assert networks_info("n")["details"]["n"]["ailing"] == ["its dnsmasq has ended"]
    assert networks(wanted)["steps"] == ["revive n"] and not networks(wanted)["changed"]
    assert sh("cat /proc/$(cat /run/libvirt/network/n.pid)/comm").strip() == "dnsmasq"
    assert bridge_index() == same and sh("ip -br link show master virbr0").startswith(tap)


def test_a_tap_that_fell_off_is_put_back(networks, networks_info, guest):
    networks(net())
    tap, same = guest(), bridge_index()
    sh(f"ip link set {tap} nomaster")
    assert networks_info("n")["details"]["n"]["ailing"] == [f"{tap} is not on virbr0"]
    assert networks(net())["steps"] == ["reattach n"]
    assert bridge_index() == same and sh("ip -br link show master virbr0").startswith(tap)


def test_identity_survives_everything(networks, daemon):
    networks(net(mac="52:54:00:99:99:99"))
    uuid = daemon.networkLookupByName("n").UUIDString()
    for edit in ({"mtu": 1400}, {"forward": {"mode": "route"}}, {"forward": {"mode": "none"}}):
        networks(net(**edit))
        network = daemon.networkLookupByName("n")
        assert (
            network.UUIDString() == uuid
            and network.bridgeName() == "virbr0"
            and "52:54:00:99:99:99" in network.XMLDesc(0)
        )
