# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of guests on a real libvirtd: persistent, live, and what the kernel makes of them."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from pathlib import Path

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import ovsdb
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.libvirt import Libvirt
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import interface_changes

from .conftest import DomainInterfaces, LibvirtNetworks, do, host_state, sh

VERSION = divmod(libvirt.getVersion() // 1000, 1000)
MAC, OTHER = "52:54:00:00:00:01", "52:54:00:00:00:02"
# libvirt limits traffic with sfq, which not every kernel has
SHAPES = subprocess.run("ip link add shaped0 type bridge && tc qdisc add dev shaped0 root sfq; r=$?; ip link del shaped0; exit $r", shell=True,
                        check=False, capture_output=True).returncode == 0  # fmt: skip
UUID = "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"
SHAPED = {"inbound": {"average": 1000, "peak": 5000, "burst": 1024}, "outbound": {"average": 128}}
ON_N = {"mac": MAC, "source": {"network": "n"}}
# some PCI device, since this host has no virtual function; it is only defined, never started
DEVICES = sorted(path.name for path in Path("/sys/bus/pci/devices").glob("*"))
VF = {"address": (*DEVICES, "0000:00:00.0")[0]}
FILTER = "<filter name='quiet' chain='root'><rule action='drop' direction='in'><ip protocol='tcp' dstportstart='25'/></rule></filter>"
NETWORKS = (
    {"name": "n", "forward": {"mode": "nat"}, "ips": [{"address": "192.168.150.1", "prefix": 24}],
     "portgroups": [{"name": "a", "default": True}, {"name": "b"}]},
    {"name": "m", "forward": {"mode": "none"}, "ips": [{"address": "192.168.151.1", "prefix": 24}], "isolated": True},
    {"name": "lan", "forward": {"mode": "bridge", "interfaces": ["up0"]}},
    {"name": "alone", "forward": {"mode": "passthrough", "interfaces": ["up1"]}},
    {"name": "off", "state": "inactive", "forward": {"mode": "none"}, "ips": [{"address": "192.168.152.1", "prefix": 24}]},
)  # fmt: skip


@pytest.fixture(scope="module")
def net():
    """Networks of several modes, and a bridge of the host."""
    do(LibvirtNetworks, NETWORKS)
    sh("ip link add br9 type bridge && ip link set br9 up")
    yield
    sh("ip link del br9")
    do(LibvirtNetworks, [], exclusive=True, allow_restart="true")


@pytest.fixture
def nics(net, interfaces):
    """nics(*interfaces, **options): converge those of vm1."""
    return lambda *items, name="vm1", **options: interfaces({"name": name, "interfaces": list(items)}, **options)


OPTIONS = {
    "a network": {"source": {"network": "n", "portgroup": "b"}},
    "a bridge": {"source": {"bridge": "br9"}},
    "macvtap": {"source": {"dev": "up0", "mode": "private"}},
    **({"a virtual function": {"source": VF, "managed": True, "driver": {"name": "vfio"}}} if DEVICES else {}),
    "a tap of somebody else's": {"type": "ethernet", "target": {"dev": "tap9", "managed": False}},
    "QEMU's own network": {"type": "user", "ips": [{"address": "10.9.0.2", "prefix": 24}]},
    "vhostuser": {"source": {"path": "/run/vhost.sock", "mode": "server"}, "driver": {"queues": 2}},
    "what serves it": {"source": {"network": "n"}, "backend": {"tap": "/dev/net/tun", "vhost": "/dev/vhost-net"}},
    "the device": {"source": {"network": "n"}, "model": "e1000", "address": "0000:00:07.0", "acpi_index": 3,
                   "rom": {"bar": False, "file": "/srv/rom"}, "alias": "ua-nic"},
    "its driver": {"source": {"network": "n"}, "driver": {
        "name": "vhost", "queues": 4, "rx_queue_size": 512, "tx_queue_size": 256, "txmode": "iothread", "ioeventfd": True,
        "event_idx": False, "packed": True, "host": {"csum": False, "gso": False, "mrg_rxbuf": True}, "guest": {"tso4": False}}},
    "its traffic": {"source": {"network": "n"}, "bandwidth": SHAPED, "isolated": True, "link": "down", "mtu": 1400,
                    "coalesce": {"rx_frames_max": 7}, "sndbuf": 1600, "trust_guest_rx_filters": True,
                    "filterref": {"filter": "quiet", "parameters": [{"name": "IP", "value": "10.0.0.1"}, {"name": "IP", "value": "10.0.0.2"}]}},
    "802.1Qbg": {"source": {"dev": "up0", "mode": "vepa"}, "virtualport": {
        "type": "802.1Qbg", "managerid": 11, "typeid": 1193047, "typeidversion": 2, "instanceid": UUID}},
    "802.1Qbh": {"source": {"dev": "up1", "mode": "passthrough"}, "virtualport": {"type": "802.1Qbh", "profileid": "p"}},
    "Open vSwitch": {"source": {"bridge": "up2"}, "virtualport": {"type": "openvswitch", "profileid": "p", "interfaceid": UUID},
                     "vlan": {"trunk": True, "tags": [{"id": 5, "native_mode": "untagged"}, {"id": 6}]}},
    "midonet": {"source": {"bridge": "br9"}, "virtualport": {"type": "midonet", "interfaceid": UUID}},
    "a team's half that stays": {"source": {"network": "n"}, "alias": "ua-t", "teaming": {"type": "persistent"}},
}  # fmt: skip


def contains(told, asked):
    if isinstance(asked, dict):
        return isinstance(told, dict) and all(contains(told.get(name), value) for name, value in asked.items())
    return told == asked


@pytest.fixture
def quiet(daemon):
    """A network filter."""
    made = daemon.nwfilterDefineXML(FILTER)
    yield
    made.undefine()


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.usefixtures("quiet", "profiling")
def test_every_option_is_kept_and_told(name, nics, domain, interfaces_info):
    domain()
    done = nics({"mac": MAC, **OPTIONS[name]})
    assert done["steps"] == [f"attach persistent vm1 {MAC}"] and done["macs"] == {"vm1": [MAC]}
    told = interfaces_info("vm1")["domains"]
    assert contains(told[0]["interfaces"][0], OPTIONS[name])
    assert not do(DomainInterfaces, told, exclusive=True)["changed"]
    assert nics({"mac": MAC, "state": "absent"})["steps"] == [f"detach persistent vm1 {MAC}"]
    assert nics({"mac": MAC, "state": "absent"})["steps"] == []


IN_PLACE = {
    "the cable is pulled": {"link": "down"},
    "another network": {"source": {"network": "m"}},
    "a bridge of the host": {"source": {"bridge": "br9"}, "type": "bridge"},
    "isolation": {"isolated": True},
    **({"limits of traffic": {"bandwidth": SHAPED}} if SHAPES else {}),
    "a filter": {"filterref": {"filter": "quiet", "parameters": [{"name": "IP", "value": "10.0.0.1"}]}},
    "interrupts put together": {"coalesce": {"rx_frames_max": 7}},
    **({"trust": {"trust_guest_rx_filters": True}} if VERSION >= (10, 0) else {}),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_changes_in_place(name, nics, running, quiet, interfaces_info):
    running()
    nics(ON_N)
    link = interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["place"]["link"]
    index = sh(f"cat /sys/class/net/{link}/ifindex")
    done = nics({"mac": MAC, **IN_PLACE[name]})
    assert done["steps"] == [f"update live vm1 {MAC}", f"update persistent vm1 {MAC}"]
    assert not done["restart_required"] and not done["warnings"]
    [told] = interfaces_info("vm1")["details"]["vm1"]["interfaces"]
    assert contains(told["live"], IN_PLACE[name]) and not told["pending"] and not told["ailing"]
    assert sh(f"cat /sys/class/net/{link}/ifindex") == index
    back = {
        "isolated": False,
        "link": "up",
        "bandwidth": {},
        "filterref": {},
        "coalesce": {},
        "trust_guest_rx_filters": False,
    }
    assert nics({**ON_N, "type": "network", **{option: back[option] for option in IN_PLACE[name] if option in back}})[
        "changed"
    ]
    assert sh(f"cat /sys/class/net/{link}/ifindex") == index


def test_the_tap_follows(nics, running, interfaces_info):
    running()
    nics(ON_N)
    link = interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["place"]["link"]
    seen = []
    for source in ({"network": "m"}, {"bridge": "br9"}, {"network": "n"}):
        nics({"mac": MAC, "type": "bridge" if "bridge" in source else "network", "source": source})
        seen.append(sh(f"readlink /sys/class/net/{link}/master; cat /sys/class/net/{link}/brport/isolated").split())
    assert [master.rpartition("/")[2] for master, _flag in seen] == ["virbr1", "br9", "virbr0"]
    assert [flag for _master, flag in seen] == ["1", "0", "0"], "network m isolates its guests"


WAITS = {
    "the MTU": ({}, {"mtu": 1400}, "libvirt changes it at the next start of the guest only"),
    "queues": ({}, {"driver": {"queues": 2}}, "libvirt changes it at the next start of the guest only"),
    "the model": ({}, {"model": "e1000"}, "libvirt changes it at the next start of the guest only"),
    "the MAC address": ({"alias": "ua-a"}, {"alias": "ua-a", "mac": OTHER}, "libvirt changes it at the next start"),
    "a portgroup": ({}, {"source": {"network": "n", "portgroup": "b"}}, "libvirt changes no portgroup while the guest runs"),
    "from a bridge to macvtap": ({}, {"type": "direct", "source": {"dev": "up0", "mode": "bridge"}}, "between Linux bridges only"),
    "from a bridge to a macvtap network": ({}, {"source": {"network": "lan"}}, "between Linux bridges only"),
    "the mode of macvtap": ({"source": {"dev": "up0", "mode": "bridge"}}, {"source": {"mode": "private"}}, "neither the device nor the mode of macvtap"),
    "trust on a macvtap network": ({"source": {"network": "lan"}}, {"trust_guest_rx_filters": True}, "changes the link state only"),
    **({"trust": ({}, {"trust_guest_rx_filters": True}, "libvirt 9.0 does not change it, 10.0 and later do")}
       if VERSION < (10, 0) else {}),
}  # fmt: skip


@pytest.mark.parametrize("name", WAITS)
def test_what_waits_for_the_next_start(name, nics, running, interfaces_info, domain):
    first, change, reason = WAITS[name]
    guest = running()
    nics({**ON_N, **first})
    before = interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["live"]
    done = nics({"mac": MAC, **change})
    assert done["restart_required"] and all(reason in entry["reason"] for entry in done["restart_required"])
    assert reason in done["warnings"][0]
    assert interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["live"] == before
    with pytest.raises(HostNetError, match=r"cannot change while it runs .*set allow_replug"):
        nics({"mac": MAC, **change, **({"alias": "ua-a"} if first.get("alias") else {})}, apply_to="live")
    guest.destroy()
    guest.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert not nics({"mac": MAC, **change})["restart_required"], "the new start has brought it"


def test_live_and_persistent_are_two_states(nics, running, interfaces_info):
    running()
    nics(ON_N)
    assert nics({"mac": MAC, "link": "down"}, apply_to="live")["steps"] == [f"update live vm1 {MAC}"]
    assert nics({"mac": MAC, "isolated": True}, apply_to="persistent")["steps"] == [f"update persistent vm1 {MAC}"]
    [told] = interfaces_info("vm1")["details"]["vm1"]["interfaces"]
    assert told["pending"] == ["isolated", "link"]
    steps = [f"update live vm1 {MAC}", f"update persistent vm1 {MAC}"]
    assert nics({"mac": MAC, "link": "down", "isolated": True})["steps"] == steps


def test_the_order_of_booting(nics, domain):
    domain(f"<interface type='user'><mac address='{OTHER}'/><boot order='1'/></interface>")
    assert nics({**ON_N, "boot_order": 2})["changed"]


def test_a_new_interface_keeps_its_place_at_the_next_start(nics, running, interfaces_info):
    guest = running(machine="q35", ports=4)
    nics(ON_N, {"mac": OTHER, "source": {"bridge": "br9"}})
    places = [(nic["mac"], nic["live"]["address"]) for nic in interfaces_info("vm1")["details"]["vm1"]["interfaces"]]
    guest.destroy()
    guest.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert places == [
        (nic["mac"], nic["live"]["address"]) for nic in interfaces_info("vm1")["details"]["vm1"]["interfaces"]
    ]


def test_a_guest_that_does_not_let_go(nics, running):
    running()
    nics(ON_N)
    with pytest.raises(HostNetError, match=rf"vm1 has not let go of its interface {MAC} within 1 s: its system has to"):
        nics({"mac": MAC, "state": "absent"}, detach_timeout=1)
    assert nics(ON_N, check=True)["steps"] == []


class LetsGo(threading.Thread):
    """A guest without a system lets go of a device when it is reset."""

    def __init__(self, guest):
        super().__init__()
        self.guest, self.ends = guest, threading.Event()

    def run(self):
        while not self.ends.wait(0.3):
            self.guest.reset()

    def __enter__(self):
        self.start()

    def __exit__(self, *_exception):
        self.ends.set()
        self.join()


@pytest.mark.parametrize("name", ["the MTU", "the MAC address", "from a bridge to macvtap"])
def test_what_a_replug_brings(name, nics, running, interfaces_info):
    first, change, _reason = WAITS[name]
    guest = running()
    nics({**ON_N, **first})
    with LetsGo(guest):
        done = nics({"mac": MAC, **change}, allow_replug=True)
    assert not done["restart_required"] and not done["warnings"]
    assert done["steps"][0].split()[0] in ("replug", "detach")
    [told] = interfaces_info("vm1")["details"]["vm1"]["interfaces"]
    assert not told["pending"]


AILMENTS = {
    "a tap off its bridge": (ON_N, "ip link set {link} nomaster", "is not on virbr0"),
    "a tap without isolation": ({**ON_N, "isolated": True}, "ip link set {link} type bridge_slave isolated off", "is not isolated"),
    "a macvtap in another mode": ({"mac": MAC, "source": {"network": "lan"}}, "ip link set {link} type macvtap mode private", "is in mode private"),
}  # fmt: skip


@pytest.mark.parametrize("name", AILMENTS)
def test_what_libvirt_does_not_see_is_repaired(name, nics, running, interfaces_info):
    nic, command, told = AILMENTS[name]
    running()
    nics(nic)
    link = interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["place"]["link"]
    sh(command.format(link=link))
    assert told in interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["ailing"]
    assert nics(nic)["steps"] == [f"repair live vm1 {MAC}"]
    assert not interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["ailing"]


SWITCH = {
    "name": "o", "forward": {"mode": "bridge"}, "bridge": {"name": "ovs0"}, "virtualport": {"type": "openvswitch"},
    "portgroups": [{"name": "v10", "vlan": {"tags": [{"id": 10}]}}, {"name": "v20", "vlan": {"tags": [{"id": 20}]}}],
}  # fmt: skip
TAGGED = {"mac": MAC, "source": {"network": "o", "portgroup": "v10"}}


@pytest.fixture
def switched(ovs, net, domain, interfaces, interfaces_info):
    """A guest on VLAN 10 of Open vSwitch, and what Open vSwitch says of it."""
    do(LibvirtNetworks, [SWITCH])
    guest = domain()
    interfaces({"name": "vm1", "interfaces": [TAGGED]})
    guest.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)

    def told():
        link = interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["place"]["link"]
        return ovsdb.ports([link])[link]

    yield told
    with contextlib.suppress(libvirt.libvirtError):  # the test has ended it
        guest.destroy()
    do(LibvirtNetworks, [{"name": "o", "state": "absent"}])


def test_open_vswitch_keeps_vlan_and_identity(switched, nics):
    before = switched()
    assert before["tag"] == 10 and before["interfaceid"]
    for change in ({"link": "down"}, {"filterref": {}}, {"link": "up"}):
        nics({"mac": MAC, **change})
        assert switched() == before
    nics({"mac": MAC, "vlan": {"tags": [{"id": 20}]}})
    assert switched() == {**before, "tag": 20}
    nics({"mac": MAC, "vlan": {"tags": [{"id": 20}, {"id": 30, "native_mode": "untagged"}]}})
    assert switched() == {**before, "tag": 30, "trunks": [20, 30], "vlan_mode": "native-untagged"}
    nics({"mac": MAC, "vlan": {}})
    assert switched() == before, "the portgroup's VLAN is back, where libvirt by itself would leave none"


def test_open_vswitch_keeps_its_ports(switched, nics):
    done = nics({"mac": MAC, "source": {"network": "o", "portgroup": "v20"}})
    assert [entry["option"] for entry in done["restart_required"]] == ["source.portgroup"] and switched()["tag"] == 10
    moved = nics({"mac": MAC, "type": "bridge", "source": {"bridge": "br9"}}, check=True)
    assert any("between Linux bridges only" in warning for warning in moved["warnings"])


def test_a_vlan_that_open_vswitch_has_lost_is_set_again(switched, nics, daemon, interfaces_info):
    nics({"mac": MAC, "vlan": {"tags": [{"id": 20}]}})
    identity = switched()["interfaceid"]
    daemon.lookupByName("vm1").updateDeviceFlags(
        f"<interface type='network'><mac address='{MAC}'/><source network='o' portgroup='v10'/><model type='virtio'/>"
        f"<virtualport type='openvswitch'><parameters interfaceid='{identity}'/></virtualport></interface>",
        libvirt.VIR_DOMAIN_AFFECT_LIVE,
    )
    assert switched()["tag"] is None, "libvirt says 10"
    assert "has tag None in Open vSwitch" in interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["ailing"]
    assert nics({"mac": MAC, "vlan": {}})["steps"][0] == f"repair live vm1 {MAC}"
    assert switched()["tag"] == 10


NO_OPS = {
    (9, 0): [("n", {"trust_guest_rx_filters": True}), ("n", {"source": {"network": "n", "portgroup": "b"}})],
    (11, 3): [("lan", {"bandwidth": SHAPED})],
}


@pytest.mark.parametrize("network, change", NO_OPS.get(VERSION, []))
def test_libvirts_ok_is_not_believed(network, change, nics, running, monkeypatch):
    """What libvirt reports as done, and has not done, is found by reading back, and the rest is put back."""
    running()
    nics({"mac": MAC, "source": {"network": network}})
    monkeypatch.setattr(interface_changes, "_obstacle", lambda *_arguments, **_options: None)
    with pytest.raises(HostNetError, match=r"libvirt said that it changed .* and did not\. Everything was put back"):
        nics({"mac": MAC, "link": "down", **change})


def test_whom_an_item_means(nics, domain):
    domain()
    first = nics(
        {"source": {"network": "n"}}, {"source": {"network": "n"}}, {"source": {"bridge": "br9"}, "alias": "ua-x"}
    )
    one, two, three = first["macs"]["vm1"]
    assert len({one, two, three}) == 3 and all(mac.startswith("52:54:00:") for mac in (one, two, three))
    assert nics({"source": {"bridge": "br9"}})["macs"]["vm1"] == [three], "equal source"
    assert nics({"alias": "ua-x", "mtu": 1400})["macs"]["vm1"] == [three]
    assert nics({"mac": two, "address": "0000:00:09.0"})["changed"]
    assert nics({"address": "0000:00:09.0", "mtu": 1300})["macs"]["vm1"] == [two]
    assert nics({"source": {"network": "m"}})["macs"]["vm1"] == [one], "what a former run has made"
    assert nics({"mac": two, "source": {"network": "m"}})["changed"]
    done = nics({"source": {"bridge": "br9"}}, exclusive=True)
    assert done["macs"]["vm1"] == [three] and [step.split()[0] for step in done["steps"]] == ["detach", "detach"]
    assert nics({"source": {"network": "n"}}, exclusive=True)["macs"]["vm1"] == [three], "nothing else may stay"


def test_the_seed_makes_the_address(nics, domain):
    domain()
    made = nics({"source": {"network": "n"}}, mac_seed="kvm1")["macs"]["vm1"]
    nics({"source": {"network": "n"}, "state": "absent"})
    assert nics({"source": {"network": "n"}}, mac_seed="kvm1")["macs"]["vm1"] == made
    nics({"source": {"network": "n"}, "state": "absent"})
    assert nics({"source": {"network": "n"}}, mac_seed="kvm2")["macs"]["vm1"] != made


def test_types_without_options_are_told_and_stay(nics, domain, interfaces_info):
    domain(f"<interface type='mcast'><mac address='{OTHER}'/><source address='230.0.0.1' port='5558'/></interface>")
    nics(ON_N, exclusive=True)
    told = interfaces_info("vm1")
    assert [nic["mac"] for nic in told["domains"][0]["interfaces"]] == [MAC]
    assert [nic["mac"] for nic in told["details"]["vm1"]["interfaces"]] == [OTHER, MAC]
    assert not do(DomainInterfaces, told["domains"], exclusive=True)["changed"]
    with pytest.raises(
        HostNetError, match="type mcast has no options here; change it with virsh edit, or give it another"
    ):
        nics({"mac": OTHER, "link": "down"})


def test_what_has_no_option_stays(nics, domain):
    guest = domain(f"<interface type='network'><mac address='{MAC}'/><source network='n'/><model type='virtio'/>"
                   "<backend vhost='/dev/vhost-net'/><tune><sndbuf>7</sndbuf></tune><link state='down'/><virtualport/></interface>")  # fmt: skip
    nics({"mac": MAC, "mtu": 1400})
    document = guest.XMLDesc(0)
    assert "<sndbuf>7</sndbuf>" in document and "state='down'" in document and "vhost='/dev/vhost-net'" in document


def test_absence_by_source_means_all_that_are_left(nics, domain):
    domain()
    one, two = nics({"source": {"network": "n"}}, {"source": {"network": "n"}})["macs"]["vm1"]
    done = nics({"source": {"network": "n"}}, {"source": {"network": "n"}, "state": "absent"})
    assert done["steps"] == [f"detach persistent vm1 {two}"] and done["macs"]["vm1"] == [one]
    assert nics({"source": {"network": "n"}}, {"source": {"network": "n"}})["changed"]
    assert len(nics({"source": {"network": "n"}, "state": "absent"})["steps"]) == 2


def test_open_vswitch_is_left_and_reached(switched, nics, domain, daemon):
    """While the guest is off; what the one place needs, and the other refuses, comes and goes."""
    guest = daemon.lookupByName("vm1")
    guest.destroy()
    for source in ({"network": "n"}, {"network": "o", "portgroup": "v20"}, {"bridge": "br9"}, {"network": "o"}):
        nics({"mac": MAC, "type": "bridge" if "bridge" in source else "network", "source": source})
        guest.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
        assert not nics({"mac": MAC}, check=True)["restart_required"]
        if "o" in source.values():
            assert switched()["tag"] == (20 if "portgroup" in source else None) and switched()["interfaceid"]
        guest.destroy()


def test_vlans_are_cleared_and_no_trunk_stays(switched, nics):
    nics({"mac": MAC, "vlan": {"tags": [{"id": 5}, {"id": 6}]}})
    assert switched()["trunks"] == [5, 6]
    nics({"mac": MAC, "vlan": {"tags": [{"id": 5}]}})
    assert (switched()["tag"], switched()["trunks"]) == (5, [])
    nics({"mac": MAC, "vlan": {"tags": []}})
    assert switched()["tag"] == 10, "the portgroup's"


def test_a_network_of_open_vswitch_restarts_under_its_guest(switched, nics):
    before = switched()
    groups = [{"name": "v10", "vlan": {"tags": [{"id": 10}]}}]
    do(LibvirtNetworks, [{**SWITCH, "portgroups": groups, "trust_guest_rx_filters": True}], allow_restart="true")
    assert switched() == before and not nics(TAGGED)["changed"]


def test_an_open_vswitch_that_does_not_answer(switched, nics, monkeypatch):
    def silent(_links):
        raise ovsdb.OvsdbError("it is silent")

    monkeypatch.setattr(ovsdb, "ports", silent)
    [warning] = nics(TAGGED, check=True)["warnings"]
    assert warning.startswith(f"Domain vm1, interface {MAC}: nothing is known of vnet") and "it is silent" in warning


def test_isolation_of_network_and_interface(nics, running, interfaces_info):
    """Each by its own word, and both after a restart of the network."""
    running()
    nics({**ON_N, "isolated": True})
    link = interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["place"]["link"]
    flag = lambda: sh(f"cat /sys/class/net/{link}/brport/isolated").strip()  # noqa: E731
    for network, own, expected in (
        ({"domain": {"name": "a.example"}}, True, "1"),
        ({"isolated": True}, False, "1"),
        ({"isolated": False}, False, "0"),
    ):
        nics({**ON_N, "isolated": own})
        do(LibvirtNetworks, [{**NETWORKS[0], **network}], allow_restart="true")
        assert flag() == expected
        assert not nics({**ON_N, "isolated": own})["changed"] and flag() == expected
    do(LibvirtNetworks, [{**NETWORKS[0], "domain": {}, "isolated": False}], allow_restart="true")


def test_what_the_network_says_as_well(nics, running):
    running()
    assert not nics({"mac": MAC, "source": {"network": "m"}, "isolated": True})["restart_required"]
    running("", name="vm2")
    assert not nics({"mac": OTHER, "source": {"network": "n"}, "isolated": True}, name="vm2")["restart_required"]
    assert nics({"mac": OTHER, "source": {"network": "m"}}, name="vm2")["steps"][0] == f"update live vm2 {OTHER}"


def test_a_network_that_is_gone_under_its_guest(nics, running, interfaces_info):
    running()
    nics({"mac": MAC, "source": {"network": "m"}})
    do(LibvirtNetworks, [{"name": "m", "state": "inactive"}], allow_restart="true")
    try:
        assert "its bridge virbr1 is gone" in nics({"mac": MAC, "mtu": 1400})["warnings"][-1]
        assert nics(ON_N)["steps"][0] == f"update live vm1 {MAC}"
        assert not interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["ailing"]
    finally:
        do(LibvirtNetworks, [NETWORKS[1]])


def test_the_persistent_guest_alone_is_changed(nics, running, interfaces_info):
    running()
    nics(ON_N)
    link = interfaces_info("vm1")["details"]["vm1"]["interfaces"][0]["place"]["link"]
    sh(f"ip link set {link} nomaster")
    assert nics({"mac": MAC, "link": "down"}, apply_to="persistent")["steps"] == [f"update persistent vm1 {MAC}"]
    nics({"mac": MAC, "state": "absent"}, apply_to="persistent")
    [waits] = nics({"mac": OTHER, "source": {"network": "n"}}, apply_to="persistent")["restart_required"][1:]
    assert (waits["mac"], waits["reason"]) == (OTHER, "it is plugged in at the next start only")


def test_two_items_that_mean_one_interface(nics, domain):
    domain()
    nics({**ON_N, "alias": "ua-a"})
    with pytest.raises(HostNetError, match=f"two of its items mean the interface {MAC}; make one of them"):
        nics({"mac": MAC, "mtu": 1300}, {"alias": "ua-a", "link": "down"})


@pytest.mark.parametrize("item", [{"mac": OTHER}, {"alias": "ua-x"}, {"address": "0000:00:09.0"}])
def test_an_interface_that_a_running_guest_does_not_have(item, nics, running):
    running()
    with pytest.raises(HostNetError, match="it is not there; give it a source"):
        nics({**item, "link": "down"})


def test_two_interfaces_with_one_mac_address(nics, domain, interfaces_info):
    """libvirt lets a guest have them, and a task about another one of its interfaces leaves them alone."""
    domain(
        "".join(
            f"<interface type='user'><mac address='{OTHER}'/><model type='{model}'/></interface>"
            for model in ("virtio", "e1000")
        )
    )
    assert nics(ON_N)["steps"] == [f"attach persistent vm1 {MAC}"]
    [told] = interfaces_info("vm1")["domains"]
    assert [nic["model"] for nic in told["interfaces"]] == ["virtio", "e1000", "virtio"]
    with pytest.raises(
        HostNetError, match=f"several of its interfaces have the MAC address {OTHER}, and libvirt cannot"
    ):
        nics({"mac": OTHER, "state": "absent"})


def test_what_has_no_option_stays_with_another_mac_address(nics, domain):
    guest = domain(f"<interface type='network'><mac address='{MAC}'/><source network='n'/><alias name='ua-a'/><model type='virtio'/>"
                   "<driver name='vhost'/><guest dev='eth9'/></interface>")  # fmt: skip
    nics({"alias": "ua-a", "mac": OTHER})
    assert OTHER in guest.XMLDesc(0) and "<guest dev='eth9'/>" in guest.XMLDesc(0) and MAC not in guest.XMLDesc(0)


def test_a_transient_guest(nics, daemon, domain):
    running = domain(transient=True)
    assert nics(ON_N)["steps"] == [f"attach live vm1 {MAC}"]
    assert nics({"mac": MAC, "link": "down"})["steps"] == [f"update live vm1 {MAC}"]
    with pytest.raises(HostNetError, match=f"{MAC}: mtu cannot change while it runs .* plugged in again$"):
        nics({"mac": MAC, "mtu": 1400})
    with pytest.raises(HostNetError, match="Domain vm1 is transient and apply_to is persistent; set apply_to to live"):
        nics(ON_N, apply_to="persistent")
    running.destroy()


def test_a_step_that_fails_takes_the_others_back(net, domain, monkeypatch):
    first = domain()
    domain(name="vm2")
    change = Libvirt.change_interface

    def fails(self, verb, name, document, *, live):
        if name == "vm2":
            raise HostNetError("no more")
        change(self, verb, name, document, live=live)

    monkeypatch.setattr(Libvirt, "change_interface", fails)
    with pytest.raises(HostNetError, match=r"no more\. Everything was put back"):
        do(
            DomainInterfaces,
            [{"name": "vm1", "interfaces": [ON_N]}, {"name": "vm2", "interfaces": [{**ON_N, "mac": OTHER}]}],
        )
    assert "<interface" not in first.XMLDesc(0), "it had come, and has gone again"


def test_many_guests_cost_one_reading_each(net, domain, monkeypatch, record_property):
    names = [f"vm{number}" for number in range(1, 101)]
    for name in names:
        domain(name=name)
    items = [
        {"name": name, "interfaces": [{"source": {"network": "n"}}, {"source": {"bridge": "br9"}}]} for name in names
    ]
    do(DomainInterfaces, items)
    calls = {"open": 0, "read": 0}
    read, opened = libvirt.virDomain.XMLDesc, libvirt.open

    def counted(what, call):
        def count(*arguments):
            calls[what] += 1
            return call(*arguments)

        return count

    monkeypatch.setattr(libvirt.virDomain, "XMLDesc", counted("read", read))
    monkeypatch.setattr(libvirt, "open", counted("open", opened))
    began = time.monotonic()
    assert not do(DomainInterfaces, items)["changed"]
    record_property("measured", f"100 guests of two interfaces each checked in {time.monotonic() - began:.2f} s")
    assert calls == {"open": 1, "read": 100}


REFUSED = {
    "no such network": ({"source": {"network": "x"}}, "there is no libvirt network x on this host; make it first"),
    "no such portgroup": ({"source": {"network": "n", "portgroup": "x"}}, "network n has no portgroup x (it has a, b), and libvirt would start"),
    "no such bridge": ({"source": {"bridge": "x"}}, "there is no bridge x on this host; make it first"),
    "no bridge": ({"source": {"bridge": "up0"}}, "up0 is no Linux bridge; for an Open vSwitch bridge set virtualport.type"),
    "no such device": ({"source": {"dev": "x", "mode": "bridge"}}, "there is no interface x on this host; it has"),
    "a port as device": ({"source": {"dev": "port0", "mode": "bridge"}}, "port0 is a port of bridge br9, and the kernel lets no guest"),
    "no mode": ({"source": {"dev": "up0"}}, "type direct needs source.mode; libvirt's own choice would be vepa"),
    "no such function": ({"source": {"address": "0000:09:00.0"}}, "there is no PCI device 0000:09:00.0 on this host"),
    "no such filter": ({"source": {"network": "n"}, "filterref": {"filter": "x"}}, "there is no network filter x on this host; it has"),
    "nothing to be on": ({"mac": None}, "number 0: it has neither a type nor a source; say what it is to be on"),
    "nothing to change": ({"link": "down"}, "it is not there; give it a source, such as source: {network: default}"),
    "a multicast MAC": ({"mac": "01:00:5e:00:00:01"}, "is a multicast MAC address; its first byte has to be even"),
    "a malformed MAC": ({"mac": "52:54:00:1"}, '"52:54:00:1" is not a MAC address, such as 52:54:00:12:34:56'),
    "another guest's MAC": ({"mac": OTHER, "source": {"network": "n"}}, "domain vm2 has this MAC address already"),
    "a MAC of the host": ({"mac": "02:00:00:00:00:99", "source": {"network": "n"}}, "port0 of this host has this MAC address"),
    "a strange key of the source": ({"source": {"network": "n", "mode": "vepa"}}, "source.mode does not go with type network, which knows network, portgroup"),
    "a filter on macvtap": ({"source": {"dev": "up0", "mode": "bridge"}, "filterref": {"filter": "quiet"}}, "filterref cannot go with type direct, where libvirt would drop it without a word"),
    "a filter on a macvtap network": ({"source": {"network": "lan"}, "filterref": {"filter": "quiet"}}, "filterref cannot go with network lan, where guests sit on uplinks, for libvirt would drop it"),
    "a VLAN on macvtap": ({"source": {"dev": "up0", "mode": "bridge"}, "vlan": {"tags": [{"id": 5}]}}, "vlan cannot go with macvtap in mode bridge"),
    "a VLAN on a macvtap network": ({"source": {"network": "lan"}, "vlan": {"tags": [{"id": 5}]}}, "vlan cannot go with macvtap in mode bridge"),
    "Open vSwitch on a Linux bridge": ({"source": {"bridge": "br9"}, "virtualport": {"type": "openvswitch"}}, "br9 is a Linux bridge, on which there are no ports"),
    "Open vSwitch behind NAT": ({"source": {"network": "n"}, "virtualport": {"type": "openvswitch"}}, "virtualport cannot go with network n, where guests sit on libvirt's own bridge"),
    "a port profile on a bridge": ({"source": {"bridge": "br9"}, "virtualport": {"type": "802.1Qbg"}}, "goes with macvtap and virtual functions only"),
    "a trunk without VLANs": ({"source": {"network": "n"}, "vlan": {"trunk": True}}, "vlan has no tags; list them, or clear it"),
    "queues of another model": ({"source": {"network": "n"}, "model": "e1000", "driver": {"queues": 2}}, "driver.queues goes with model virtio, and not with e1000"),
    "a name of libvirt's": ({"source": {"network": "n"}, "target": {"dev": "vnet0"}}, "is a name of libvirt's own making, which it does not keep"),
    "no model": ({"source": {"network": "n"}, "model": ""}, "model cannot be cleared, since libvirt would choose one"),
    "an order beside another one": ({"source": {"network": "n"}, "boot_order": 1}, "boot_order cannot go with the <boot dev>"),
    "a script on a bridge": ({"source": {"bridge": "br9"}, "script": "/bin/true"}, "script cannot go with type bridge"),
    "loopback": ({"source": {"dev": "lo", "mode": "bridge"}}, "lo leads to no network; name the interface towards the LAN"),
    "what the schema knows better": ({"source": {"network": "n"}, "sndbuf": -1}, "Domain vm1, interface 52:54:00:00:00:01: one of its values is not what"),
    "isolation on Open vSwitch": ({"source": {"bridge": "up2"}, "virtualport": {"type": "openvswitch"}, "isolated": True}, "isolated cannot go with Open vSwitch, for libvirt would leave it out"),
    "VLAN 0": ({"source": {"dev": "up1", "mode": "passthrough"}, "vlan": {"tags": [{"id": 0}]}}, "vlan tag 0 has to be from 1 to 4094"),
    "manager 0": ({"source": {"dev": "up0", "mode": "vepa"}, "virtualport": {"type": "802.1Qbg", "managerid": 0}}, "virtualport.managerid is 0, and has to be from 1 to 255 (0 is reserved)"),
    "a port profile for a NIC without": ({"source": {"dev": "up0", "mode": "private"}, "virtualport": {"type": "802.1Qbh", "profileid": "p"}}, "up0 has no driver of a NIC, and virtualport.type 802.1Qbh goes through a NIC whose driver hands port profiles to its switch (enic)"),
    "a long profile": ({"source": {"dev": "up0", "mode": "vepa"}, "virtualport": {"type": "802.1Qbh", "profileid": "p" * 40}}, "virtualport.profileid is too long; it takes 39 characters"),
    "a limit for VFs": ({"source": VF, "bandwidth": SHAPED}, "bandwidth cannot go with type hostdev"),
    "an MTU": ({"source": {"network": "n"}, "mtu": 5}, "mtu is 5, and has to be from 68 to 65535"),
    "a bad alias": ({"source": {"network": "n"}, "alias": "net0"}, 'libvirt keeps those that start with "ua-"'),
    "a team without its mate": ({"source": VF, "teaming": {"type": "transient"}}, "teaming.persistent has to name the alias of the interface that stays"),
    "a guest address taken": ({"source": {"network": "n"}, "address": "0000:00:01.2"}, "another device of the guest has the address 0000:00:01.2"),
}  # fmt: skip


@pytest.fixture
def strange(topology, domain, daemon, net):
    topology("add port0 type veth peer name port1", "set port0 address 02:00:00:00:00:99", "set port0 master br9")
    domain()
    domain(f"<interface type='user'><mac address='{OTHER}'/></interface>", name="vm2")


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name, strange, nics, quiet):
    nic, sentence = REFUSED[name]
    before = host_state()
    with pytest.raises(HostNetError) as error:
        nics({key: value for key, value in {"mac": MAC, **nic}.items() if value is not None})
    assert sentence in str(error.value), str(error.value)
    assert host_state() == before


def test_refusals_of_a_running_guest(nics, running, interfaces, domain):
    running()
    with pytest.raises(HostNetError, match="network off is not active; start it first, or set apply_to to persistent"):
        nics({"mac": MAC, "source": {"network": "off"}})
    nics({"mac": MAC, "source": {"network": "alone"}})
    running(name="vm2")
    with pytest.raises(HostNetError, match="network alone has no device left; 1 interfaces have its 1"):
        nics({"mac": OTHER, "source": {"network": "alone"}}, name="vm2")
    with pytest.raises(HostNetError, match="domain vm1 uses up1, which mode passthrough gives to one guest only"):
        nics({"mac": OTHER, "source": {"dev": "up1", "mode": "passthrough"}}, name="vm2")


def test_refusals_for_want_of_room(nics, running):
    running(machine="q35", ports=1)
    with pytest.raises(HostNetError, match=r"vm1 has room for \d more devices while it runs, and 9 interfaces"):
        nics(*({"mac": f"52:54:00:00:01:0{number}", "source": {"network": "n"}} for number in range(9)))


def test_refusals_of_domains(interfaces, net, domain):
    domain()
    with pytest.raises(HostNetError, match="There is no domain x, y on this host; it has vm1"):
        interfaces({"name": "x", "interfaces": []}, {"name": "y", "interfaces": []})
    assert not interfaces({"name": "x", "interfaces": []}, missing="skip")["changed"]
    with pytest.raises(
        HostNetError, match="Domain vm1 is shut off and apply_to is live; start it first, or set apply_to"
    ):
        interfaces({"name": "vm1", "interfaces": [ON_N]}, apply_to="live")
    with pytest.raises(HostNetError, match=rf"Domain vm1: two interfaces have the MAC address {MAC}; keep one of them"):
        interfaces({"name": "vm1", "interfaces": [ON_N, ON_N]})
