# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks on a real libvirtd.  The fixture `networks` predicts each run in check mode and repeats it."""

from __future__ import annotations

import os
import subprocess
import sys

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError

from .conftest import DEFINITIONS, host_state, sh

IP = {"address": "192.168.150.1", "prefix": 24}
DHCP = {"ranges": [{"start": "192.168.150.100", "end": "192.168.150.199"}]}
HOSTS = [{"mac": "52:54:00:00:00:01", "ip": "192.168.150.9", "name": "runner"}]
ON_BRIDGE = {"ips": [{**IP, "dhcp": DHCP}], "domain": {"name": "build.example"}}
ON_UPLINK = {"ips": [], "domain": {"name": ""}}
NETWORKS = {
    "nat": {"forward": {"mode": "nat"}, **ON_BRIDGE},
    "route": {"forward": {"mode": "route"}, **ON_BRIDGE},
    "open": {"forward": {"mode": "open"}, **ON_BRIDGE},
    "none, without address": {"forward": {"mode": "none"}},
    "none": {"forward": {"mode": "none", "interfaces": []}, **ON_BRIDGE},
    **{
        mode: {"forward": {"mode": mode, "interfaces": ["up0"]}}
        for mode in ("bridge", "vepa", "private", "passthrough")
    },
}
NAT = {"name": "n", "autostart": True, **NETWORKS["nat"]}
GUEST = """<domain type='qemu'><name>vm1</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><on_reboot>destroy</on_reboot>
<devices><interface type='network'><source network='n'/><model type='virtio'/></interface>
<memballoon model='none'/></devices></domain>"""


@pytest.fixture(scope="module")
def daemon():
    connection = libvirt.open("qemu:///system")
    yield connection
    connection.close()


UNSTARTABLE = {"dnsmasq_options": ["no-such-option=1"]}
FOREIGN = """<network><name>other</name><forward mode='nat'><nat><port start='2000' end='3000'/></nat></forward>
<mac address='52:54:00:11:22:33'/><domain name='lab.example.'/><dns><txt name='a' value='b'/></dns>
<ip address='192.168.170.1' netmask='255.255.255.0'>
<dhcp><range start='192.168.170.1' end='192.168.170.9'><lease expiry='9' unit='hours'/></range></dhcp></ip></network>"""


def documents(daemon):
    """All networks as libvirt holds them, whatever of it has an option."""
    flags = {0: "isActive", libvirt.VIR_NETWORK_XML_INACTIVE: "isPersistent"}
    return {
        (network.name(), flag): network.XMLDesc(flag)
        for network in daemon.listAllNetworks()
        for flag, shown in flags.items()
        if getattr(network, shown)()
    }


@pytest.fixture
def guest(daemon):
    """Starts a guest with an interface on network n; it is paused, which the network cannot tell."""
    domains = []
    yield lambda: domains.append(daemon.createXML(GUEST, libvirt.VIR_DOMAIN_START_PAUSED))
    for domain in domains:
        domain.destroy()


@pytest.mark.parametrize("mode", NETWORKS)
def test_life_of_a_network(mode, networks, networks_info):
    untouched = host_state().replace("ip_forward = 0", "").replace("ip_forward = 1", "")
    network = {"name": "n", "autostart": True, **NETWORKS[mode]}
    assert networks(network)["steps"] == ["define n", "autostart n", "start n"]
    told = networks_info("n")
    assert told["details"]["n"]["live"] and not told["details"]["n"]["pending"]
    assert not networks(*told["networks"])["changed"]
    assert networks({"name": "n", "state": "inactive"})["steps"] == ["stop n"]
    assert networks({"name": "n"})["steps"] == ["start n"]
    assert networks({"name": "n", "state": "absent"}, check=True)["steps"] == ["stop n", "undefine n"]
    assert networks_info()["networks"], "check mode removed the network"
    networks({"name": "n", "state": "absent"})
    left = host_state().replace("ip_forward = 0", "").replace("ip_forward = 1", "")
    assert without_chains(left) == without_chains(untouched)


def without_chains(state):
    """libvirt leaves its empty firewall chains behind."""
    return [line for line in state.splitlines() if "LIBVIRT" not in line and line.strip("*:") not in
            ("filter", "nat", "mangle", "COMMIT") and not line.startswith(":")]  # fmt: skip


@pytest.mark.parametrize("before", NETWORKS)
@pytest.mark.parametrize("after", NETWORKS)
def test_any_mode_becomes_any_other(before, after, networks, networks_info, daemon):
    networks({"name": "n", **NETWORKS[before]})
    uuid = daemon.networkLookupByName("n").UUIDString()
    kept = {} if "ips" in NETWORKS[after] else ON_UPLINK
    networks({"name": "n", **kept, **NETWORKS[after]})
    [told] = networks_info()["networks"]
    assert told["forward"]["mode"] == NETWORKS[after]["forward"]["mode"] and ("ips" in told) == (
        "ips" in NETWORKS[after]
    )
    assert daemon.networkLookupByName("n").UUIDString() == uuid


@pytest.mark.parametrize(
    "edit",
    [
        {"domain": {"name": "other.example", "local_only": True}},
        {"domain": {"name": ""}},
        {"bridge": {"name": "virbr77"}},
        {"bridge": {"stp": False}},
        {"autostart": False},
        {"forward": {"mode": "nat", "interfaces": ["up0"]}},
        {"ips": [{**IP, "dhcp": {"ranges": []}}]},
        {"ips": [{**IP, "prefix": 16}]},
        {"ips": [{**IP, "dhcp": {**DHCP, "hosts": HOSTS}}]},
        {"ips": [IP, {"address": "fd00::1", "prefix": 64}]},
        {"ips": [{"address": "192.168.160.1", "prefix": 24}]},
    ],
    ids=str,
)
def test_an_edit_of_an_existing_network_converges(edit, networks, networks_info):
    networks(NAT)
    assert networks({**NAT, **edit})["changed"]
    told = networks_info("n")
    persistent = {key: value for key, value in told["networks"][0].items() if key not in ("name", "state", "autostart")}
    assert told["details"]["n"]["live"] == persistent, "live and persistent differ"


def test_a_netmask_means_the_same_as_a_prefix(networks, daemon):
    daemon.networkDefineXML(
        "<network><name>n</name><forward mode='nat'/><ip address='192.168.150.1' netmask='255.255.255.0'/></network>"
    )
    assert networks({"name": "n", "forward": {"mode": "nat"}, "ips": [IP]})["steps"] == ["start n"]


def test_what_has_no_option_survives_an_edit(networks, daemon):
    daemon.networkDefineXML(
        "<network><name>n</name><forward mode='nat'><nat><port start='2000' end='3000'/></nat></forward>"
        "<mac address='52:54:00:11:22:33'/><dns><txt name='a.example' value='b'/></dns>"
        "<ip address='192.168.150.1' prefix='24'/></network>"
    )
    networks({"name": "n", "domain": {"name": "build.example"}})
    live = daemon.networkLookupByName("n").XMLDesc(0)
    for kept in ("start='2000'", "52:54:00:11:22:33", "value='b'"):
        assert kept in live


def test_a_transient_network_becomes_persistent_for_a_reason(networks, daemon):
    daemon.networkCreateXML(
        "<network><name>n</name><forward mode='nat'/><ip address='192.168.150.1' prefix='24'/></network>"
    )
    assert not networks({"name": "n"})["changed"], "what is not asked for is left alone"
    assert networks({"name": "n", "autostart": True}, check=True)["steps"] == ["define n", "autostart n"]
    assert networks({"name": "n", "autostart": False})["steps"] == ["define n"]
    assert daemon.networkLookupByName("n").isPersistent()


def test_more_networks_than_libvirt_has_names_of_bridges_for(networks):
    many = [{"name": f"n{number}", "forward": {"mode": "none"}} for number in range(257)]
    with pytest.raises(HostNetError, match="n0 and 256 others: libvirt has names for 256 bridges of its own"):
        networks(*many, check=True)
    many[0]["bridge"] = {"name": "br-n0"}
    assert networks(*many, check=True)["changed"]


def test_what_libvirt_holds_is_not_refused(networks, networks_info, daemon):
    """Neither when it is fed back, nor when something else of it changes."""
    daemon.networkDefineXML(FOREIGN)
    daemon.networkDefineXML("<network><name>my net</name><ip address='10.1.2.3'/></network>")
    daemon.networkDefineXML("<network><name>pool</name><forward mode='hostdev'><pf dev='none0'/></forward></network>")
    daemon.networkDefineXML("<network><name>br</name><forward mode='bridge'/><bridge name='none0'/></network>")
    found = networks_info()["networks"]
    assert len(found) == 4 and not networks(*found)["changed"]
    networks({"name": "other", "domain": {"name": "build.example"}, "state": "inactive"})
    networks({"name": "my net", "state": "absent"})


def test_a_bridge_is_not_taken_from_what_else_sits_on_it(networks, topology):
    networks(NAT)
    topology("add c0 type veth peer name c0p", "set c0 master virbr0")
    done = networks({**NAT, "mtu": 1400})
    assert done["pending"] == {"n": ["mtu"]} and "c0 is attached" in done["warnings"][0]
    assert networks({**NAT, "mtu": 1400}, allow_restart="true")["steps"] == ["stop n", "start n"]
    assert "c0" in sh("ip -br link show master virbr0")


def test_a_cleared_bridge_or_mac_is_what_libvirt_has_chosen(networks):
    networks({**NAT, "bridge": {"name": "virbr7", "delay": 2}})
    for cleared in ({"bridge": {"name": ""}}, {"bridge": {}}, {"mac": ""}):
        networks({**NAT, **cleared})


def test_exclusive(networks, networks_info):
    networks({"name": "a", **NETWORKS["vepa"]}, {"name": "b", "state": "inactive", **NETWORKS["nat"]})
    networks({"name": "c", **NETWORKS["bridge"]}, exclusive=True)
    assert [network["name"] for network in networks_info()["networks"]] == ["c"]


def test_a_subnet_moves_from_one_network_to_another(networks, networks_info):
    networks({"name": "old", **NETWORKS["nat"]})
    same = {"bridge": {"name": "virbr0"}}
    networks({"name": "new", **NETWORKS["nat"], **same}, {"name": "old", "state": "absent"})
    assert [network["name"] for network in networks_info()["networks"]] == ["new"]


def test_a_failing_start_puts_all_back(networks, daemon):
    """libvirt takes the definition, and fails when it starts the network."""
    daemon.networkDefineXML(FOREIGN)
    networks(NAT, {"name": "other"})
    before = documents(daemon)
    with pytest.raises(HostNetError, match=r"(?s)Cannot start network n: .*Everything was put back as it was\.$"):
        networks({"name": "other", **NETWORKS["vepa"], **ON_UPLINK}, {**NAT, **UNSTARTABLE})
    assert documents(daemon) == before


def test_a_given_document_is_taken_back_as_well(networks, daemon):
    later = FOREIGN.replace("</network>", "<bandwidth/><metadata><a xmlns='urn:a'/></metadata></network>")
    daemon.networkDefineXML(later)
    before = documents(daemon)
    xml = "<network><name>other</name><forward mode='open'/><ip address='192.168.171.1' prefix='24'/></network>"
    with pytest.raises(HostNetError, match=r"Everything was put back as it was\.$"):
        networks({"name": "other", "state": "inactive", "xml": xml}, {**NAT, **UNSTARTABLE})
    assert documents(daemon) == before


def test_a_network_that_was_only_running_is_put_back(networks, daemon):
    daemon.networkCreateXML("<network><name>other</name><forward mode='open'/><ip address='192.168.160.1'/></network>")
    before = documents(daemon)
    with pytest.raises(HostNetError, match=r"Everything was put back as it was\.$"):
        networks({"name": "other", "autostart": True}, {**NAT, **UNSTARTABLE})
    assert documents(daemon) == before and not daemon.networkLookupByName("other").isPersistent()


def test_guests_are_not_cut_off_unless_that_is_allowed(networks, networks_info, guest):
    networks(NAT)
    guest()
    assert networks_info("n")["details"]["n"]["guests"][0]["domain"] == "vm1"
    leases = sh("ip -br link show master virbr0")

    edited = networks({**NAT, "domain": {"name": "other.example"}})
    assert edited["steps"] == ["define n"] and edited["pending"] == {"n": ["domain.name"]}
    assert networks_info("n")["details"]["n"]["pending"] == ["domain.name"]
    assert "domain.name will change when the network restarts" in edited["warnings"][0]
    assert "vm1 is attached" in edited["warnings"][0]
    for state in ("absent", "inactive"):
        with pytest.raises(HostNetError, match="Network n: stopping it would cut off vm1; detach them first"):
            networks({"name": "n", "state": state})
    with pytest.raises(HostNetError, match="would cut off vm1"):
        networks(exclusive=True)
    assert sh("ip -br link show master virbr0") == leases

    assert networks({"name": "n"}, allow_restart="true")["steps"] == ["stop n", "start n"]
    assert not networks_info("n")["details"]["n"]["pending"]


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        ({"forward": {"mode": "vepa", "interfaces": ["eth9"]}}, "Network n: there is no interface eth9 on this host; it has "),
        ({"forward": {"mode": "vepa", "interfaces": ["port0"]}},
         "Network n: port0 is a port of bridge br9, and the kernel lets no guest onto such an interface; use br9 itself"),
        ({"bridge": {"name": "up0"}}, "Network n: there is an interface up0 on this host already; give the bridge another name"),
        ({"bridge": {"name": "virbr0"}}, "Network n: bridge virbr0 is that of network there; give it another name"),
        ({"forward": {"mode": "bridge", "interfaces": ["lo"]}}, "Network n: lo leads to no network"),
        ({"forward": {"mode": "bridge"}, "bridge": {"name": "none0"}}, "Network n: there is no bridge none0 on this host"),
        ({"forward": {"mode": "bridge"}, "bridge": {"name": "up0"}}, "Network n: up0 is no Linux bridge"),
        ({"forward": {"mode": "hostdev", "pf": "up0"}}, "Network n: up0 is no SR-IOV physical function"),
        ({"ips": [{"address": "127.0.0.1", "prefix": 8}]}, "Network n: 127.0.0.1 cannot be the address of a host"),
        ({"ips": [{"address": "", "prefix": 8}]}, 'networks[n].ips[0].address: "" is not an IP address'),
        ({"ips": [{"address": "10.1.1.1", "prefix": -1}]}, "Network n: 10.1.1.1/-1: the prefix has to be from 1 to 32"),
        ({"ips": [IP, IP]}, "Network n: 192.168.150.1 is listed twice in ips"),
        ({"dns": {"txt": [{"name": "a", "value": "\x01"}]}}, "XML cannot hold the character"),
        ({"mtu": -1}, "Nothing was changed. libvirt does not take network n: "),
        ({"xml": "<network><name>m</name></network>"}, "networks[n].xml is the document of network m"),
        ({"xml": "<network>"}, "networks[n].xml: this is not XML"),
        ({"xml": "<network><forward mode='nat'/><ip address='10.1.1.1'/></network>", "mtu": 9}, "xml is the whole document"),
        ({"forward": {"mode": "bridge"}}, "Network n: mode bridge needs an uplink in forward.interfaces"),
        ({"forward": {"mode": "nat"}}, "Network n: mode nat needs an address in ips"),
        ({"forward": {"mode": "nat"}, "ips": [{"address": "10.88.9.1", "prefix": 24}]},
         "Network n: 10.88.9.0/24 overlaps 10.88.0.0/16, which this host reaches through up0"),
        ({"ips": [{"address": "10.99.1.1", "prefix": 16}]}, "Network n: 10.99.0.0/16 overlaps 10.99.0.0/24 of network there"),
        ({"bridge": {"name": "much-too-long-name"}},
         'Network n: bridge.name: "much-too-long-name" is too long for an interface name; the kernel takes 15 bytes'),
        ({"ips": [{"address": "010.1.1.1", "prefix": 24}]}, 'networks[n].ips[0].address: "010.1.1.1" is not an IP address'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_refusals(network, sentence, networks, topology):
    networks({"name": "there", "forward": {"mode": "none"}, "ips": [{"address": "10.99.0.1", "prefix": 24}]})
    topology("add br9 type bridge", "add port0 type veth peer name port1", "set port0 master br9")
    before = host_state()
    with pytest.raises(HostNetError) as error:
        networks({"name": "n", **network})
    assert sentence in str(error.value)
    assert host_state() == before


def test_two_networks_of_one_task_share_no_address(networks):
    with pytest.raises(HostNetError, match=r"Network b: 10\.1\.0\.0/16 overlaps 10\.1\.2\.0/24 of network a"):
        networks({"name": "a", "ips": [{"address": "10.1.2.1", "prefix": 24}]},
                 {"name": "b", "ips": [{"address": "10.1.0.1", "prefix": 16}]})  # fmt: skip


def test_no_daemon(networks):
    with pytest.raises(HostNetError, match=r"libvirt does not answer at .*: start it on this host \(systemctl start"):
        networks(NAT, uri="qemu+unix:///system?socket=/nonexistent")


def test_no_permission():
    """As another user.  The socket for reading is open to all, so a check works and a change is refused."""
    program = f"""
import os, sys; sys.path[:0] = {sys.path!r}
import tests.conftest
from tests.kernel.conftest import do, LibvirtNetworks
os.setgroups([]); os.setuid(65534)  # not earlier: a checkout in somebody's home can be read by root only
try:
    do(LibvirtNetworks, [{NAT!r}])
except Exception as error:
    print(error)
"""
    os.chmod("/run/libvirt/libvirt-sock", 0o700)
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    os.chmod("/run/libvirt/libvirt-sock", 0o777)
    assert done.stdout.startswith("No permission to manage libvirt at qemu:///system: run the task as root"), done


def test_an_unchanged_network_is_not_written(networks):
    """Neither its file nor its dnsmasq is touched."""
    networks(NAT)
    told = (DEFINITIONS / "n.xml").stat().st_mtime_ns, sh("cat /run/libvirt/network/n.pid")
    networks(NAT)
    assert told == ((DEFINITIONS / "n.xml").stat().st_mtime_ns, sh("cat /run/libvirt/network/n.pid"))
