# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that somebody else has set up are described, and site changes nothing with what was written of them."""

from __future__ import annotations

import shlex

import pytest
import yaml

from .conftest import HOSTS, ROOT

BRIDGED = "ip link add br0 type bridge && ip link set up1 master br0 && ip link set br0 up"
UNBRIDGED = "ip link del br0"
NETWORKS = {
    "default": """<forward mode='nat'/><bridge name='virbr0' stp='on' delay='0'/>
        <dns><host ip='192.168.122.9'><hostname>nine</hostname></host></dns>
        <ip address='192.168.122.1' netmask='255.255.255.0'><dhcp><range start='192.168.122.2' end='192.168.122.254'/>
        <host mac='52:54:00:00:00:09' ip='192.168.122.9' name='nine'/></dhcp></ip>""",
    "lab": """<forward mode='route' dev='up0'/><bridge name='labbr'/><domain name='lab.test'/>
        <ip address='192.168.130.1' prefix='24'><dhcp><range start='192.168.130.10' end='192.168.130.20'/></dhcp></ip>""",
    "inner": "<bridge name='virbr5'/>",
    "lan": "<forward mode='bridge'/><bridge name='br0'/>",
    "tap": "<forward mode='vepa'><interface dev='up2'/></forward>",
    "six": """<forward mode='nat'/><bridge name='virbr6'/><ip address='192.168.136.1' prefix='24'/>
        <ip family='ipv6' address='fd00:136::1' prefix='64'/>""",
    "ghost": "<forward mode='bridge'><interface dev='eth9'/></forward>",
}
SAID = {
    "default": {
        "mode": "nat", "address": "192.168.122.1/24",
        "dhcp": {"hosts": [{"mac": "52:54:00:00:00:09", "ip": "192.168.122.9", "name": "nine"}]},
    },
    "lab": {
        "mode": "routed", "uplink": "up0", "address": "192.168.130.1/24", "domain": "lab.test", "bridge": "labbr",
        "dhcp": {"start": "192.168.130.10", "end": "192.168.130.20"},
    },
    "inner": {"mode": "isolated"},
    "lan": {"mode": "bridge", "bridge": "br0"},
    "tap": {"mode": "macvtap_vepa", "uplink": "up2", "state": "inactive", "autostart": False},
}  # fmt: skip
NICS = {
    "web1": [("network", "network='default'"), ("bridge", "bridge='br0'")],
    "web2": [("network", "network='lan'"), ("network", "network='lan'")],
    "{{ 7 * 7 }}": [("network", "network='inner'")],
}
DOMAIN = """<domain type='qemu'><name>{name}</name><memory>32768</memory><os><type>hvm</type></os><devices>{nics}</devices></domain>"""
NIC = "<interface type='{kind}'><mac address='52:54:00:00:0{guest}:0{number}'/><source {source}/></interface>"
CLEAN = f"""/usr/bin/python3 -c '
import libvirt
daemon = libvirt.open()
for guest in daemon.listAllDomains():
    guest.undefine()
for network in daemon.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_TRANSIENT):
    network.destroy()
'; {UNBRIDGED} 2>/dev/null; true"""


def virsh(fleet, host, *commands, document=""):
    """As people do, with what is defined in a file."""
    keep = f"printf %s {shlex.quote(document)} > /tmp/document.xml && " if document else ""
    fleet.sh(host, keep + " && ".join(f"virsh -q {command}" for command in commands))


def define(fleet, host, names):
    for name in names:
        starts = () if name in ("tap", "ghost") else (f"net-autostart {name}", f"net-start {name}")
        document = f"<network><name>{name}</name>{NETWORKS[name]}</network>"
        virsh(fleet, host, "net-define /tmp/document.xml", *starts, document=document)


def define_guests(fleet, host):
    for number, (name, nics) in enumerate(NICS.items()):
        told = [NIC.format(kind=kind, source=source, guest=number, number=at) for at, (kind, source) in enumerate(nics)]
        virsh(fleet, host, "define /tmp/document.xml", document=DOMAIN.format(name=name, nics="".join(told)))


@pytest.fixture
def hosts(fleet):
    yield fleet
    for host in HOSTS:
        fleet.sh(host, CLEAN)


def described(fleet, inventory, directory):
    """Write the inventory of hosts, and hold it to what they are; each file by its name, and the table."""
    done = fleet.play("adopt", inventory, "-e", f"hostnet_adopt_directory={directory}")
    assert not any(done.changed(host) for host in inventory), done.output
    files = {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*.yml")}
    wanted = {host: None for host in inventory if "# With this" in files.get(f"host_vars/{host}.yml", "")}
    if wanted:
        checked = fleet.play("site", wanted, "-i", str(directory / "hosts.yml"), "--check", "--diff")
        assert checked.code == 0, checked.output
        assert all(checked.modules(host) == ["kvm.hostnet.changes_info"] for host in wanted), checked.output
    [table] = [result["msg"] for result in done.results if "Show how far" in result["task"]]
    return files, {line.split()[0]: line.split(maxsplit=4)[1:] for line in table}


@pytest.fixture
def adopt(hosts, tmp_path):
    def write(inventory):
        before = {host: hosts.state(host) for host in HOSTS}
        told = described(hosts, inventory, tmp_path / "inventory")
        assert {host: hosts.state(host) for host in HOSTS} == before
        return told

    return write


class Loader(yaml.SafeLoader):
    """Reads Ansible's !unsafe as text."""


Loader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def read(files, name):
    return yaml.load(files[name], Loader) if name in files else {}


def test_what_is_written_of_a_host_set_up_by_virsh(hosts, adopt):
    hosts.sh("kvm1", BRIDGED)
    define(hosts, "kvm1", NETWORKS)
    define_guests(hosts, "kvm1")
    files, table = adopt({"kvm1": None})
    own = read(files, "host_vars/kvm1.yml")
    assert {each.pop("name"): each for each in own["hostnet_networks"]} == SAID
    assert own["hostnet_guests"] == [
        {"name": "web1", "networks": ["default"]},
        {
            "name": "web2",
            "networks": [{"name": "lan", "mac": f"52:54:00:00:01:0{number}"} for number in (0, 1)],
        },
        {"name": "{{ 7 * 7 }}", "networks": ["inner"]},
    ]
    assert "hostnet_persist" not in own, "there is nothing to keep"
    text = files["host_vars/kvm1.yml"]
    for told in (
        "# With this inventory, site would change nothing.",
        "# Bridge br0 has up1; nothing was found that brings it back when the host boots.",
        "# Network default has besides, and keeps: dns.hosts.hostnames, dns.hosts.ip.",
        "# Left out: network six, since its ips would change: an inventory knows one IPv4 address of it",
        "# Left out: network ghost, since the host has no eth9, which it names.",
        "# Left out: guest web1, since its interface 52:54:00:00:00:01 is of type bridge, on bridge br0, and on no network.",
        "#     - {name: web1, networks: [{name: lan, mac: '52:54:00:00:00:01'}]}",
    ):
        assert told in text, text
    assert table["kvm1"] == ["5", "3", "3", "nothing"]


def test_what_hosts_have_in_common_and_one_that_is_out_of_reach(hosts, adopt):
    """kvm1 and kvm2 are alike, kvm3 has the same network in another mode, and more."""
    for host, kind in (("kvm1", "vepa"), ("kvm2", "vepa"), ("kvm3", "private")):
        document = f"<network><name>lan</name><forward mode='{kind}'><interface dev='up1'/></forward></network>"
        virsh(hosts, host, "net-define /tmp/document.xml", "net-start lan", document=document)
        define(hosts, host, ["default"])
    gone = {"ansible_host": "10.88.1.1", "ansible_port": 1}
    files, table = adopt({"kvm1": None, "kvm2": None, "kvm3": None, "gone": gone})
    assert {name for name in files if not name.startswith("host_vars/")} == {
        "hosts.yml", "group_vars/hostnet.yml", "group_vars/hostnet_mode_1.yml",
    }  # fmt: skip
    [default, lan] = read(files, "group_vars/hostnet.yml")["hostnet_networks"]
    assert lan == {"name": "lan", "uplink": "up1", "autostart": False} and default["mode"] == "nat"
    assert read(files, "group_vars/hostnet_mode_1.yml") == {"hostnet_mode": "macvtap_vepa"}
    assert read(files, "host_vars/kvm3.yml") == {"hostnet_mode": "macvtap_private"}
    assert "host_vars/gone.yml" not in files and "not reached" in " ".join(table["gone"])
    assert {table[host][3] for host in ("kvm1", "kvm2", "kvm3")} == {"nothing"}


TRANSIENT = "<network><name>passing</name><bridge name='virbr9'/></network>"
BRIDGED_TO = "<network><name>{0}</name><forward mode='bridge'/><bridge name='{0}'/></network>"


def test_what_site_would_change_is_left_out(hosts, adopt):
    """What only the host knows: a running network that is not what is defined."""
    define(hosts, "kvm1", ["inner", "default"])
    virsh(hosts, "kvm1", "net-create /tmp/document.xml", document=TRANSIENT)
    virsh(hosts, "kvm1", "net-define /tmp/document.xml", document=BRIDGED_TO.format("nobr0"))
    edit = "net-dumpxml --inactive default | sed s/192.168.122/192.168.123/g > /tmp/document.xml"
    virsh(hosts, "kvm1", edit, "net-define /tmp/document.xml")
    files, table = adopt({"kvm1": None})
    inner, nobr0 = read(files, "host_vars/kvm1.yml")["hostnet_networks"]
    assert nobr0 == {"name": "nobr0", "mode": "bridge", "bridge": "nobr0", "state": "inactive", "autostart": False}
    assert inner == {"name": "inner", "mode": "isolated"} and table["kvm1"] == ["2", "0", "2", "nothing"]
    text = files["host_vars/kvm1.yml"]
    for told in (
        "# Left out: network passing, since it is transient",
        "# Left out: network default, since site would change it (",
        "wait for a restart.",
        "#     - {name: default, mode: nat, address: 192.168.123.1/24, ",
    ):
        assert told in text, text


def test_a_host_that_was_set_up_by_its_inventory_and_a_file_that_somebody_has_edited(hosts, adopt, tmp_path):
    networks = [
        {"name": "build", "mode": "nat", "address": "192.168.150.1/24", "dhcp": True},
        {"name": "lan", "mode": "macvtap_vepa", "uplink": "up1", "multicast": True},
    ]
    quiet = {"hostnet_verify": False, "hostnet_reflective_relay": "tell"}
    assert hosts.play("site", {"kvm1": {"hostnet_networks": networks, **quiet}}).code == 0
    files, _table = adopt({"kvm1": None})
    assert read(files, "host_vars/kvm1.yml") == {"hostnet_networks": networks}
    edited = tmp_path / "inventory/host_vars/kvm1.yml"
    edited.write_text("hostnet_networks: []  # mine\n")
    adopt({"kvm1": None})
    kept = [path.read_text() for path in edited.parent.iterdir() if path != edited]
    assert kept == ["hostnet_networks: []  # mine\n"] and "build" in edited.read_text()


GROUPS = "<virtualport type='openvswitch'/><portgroup name='web'><vlan><tag id='10'/></vlan></portgroup>"


def test_an_open_vswitch_that_somebody_has_set_up(hosts, adopt):
    if not (ROOT / ".cache/ovs-vswitchd").exists():
        pytest.skip("there is no Open vSwitch here; tests/lab/fetch.sh fetches it")
    hosts.sh("kvm1", f"{ROOT}/tests/lab/ovs-start.sh && ovs-vsctl add-br ovs0 -- set bridge ovs0 datapath_type=netdev")
    try:
        hosts.sh("kvm1", "ovs-vsctl add-port ovs0 up1")
        document = BRIDGED_TO.format("ovs0").replace("</network>", f"{GROUPS}</network>")
        virsh(hosts, "kvm1", "net-define /tmp/document.xml", "net-start ovs0", document=document)
        files, _table = adopt({"kvm1": None})
        [network] = read(files, "host_vars/kvm1.yml")["hostnet_networks"]
        groups = [{"name": "web", "vlan": 10}]
        assert network == {"name": "ovs0", "mode": "ovs", "bridge": "ovs0", "portgroups": groups, "autostart": False}
        assert "# Open vSwitch bridge ovs0: its database brings it back" in files["host_vars/kvm1.yml"]
    finally:
        hosts.sh("kvm1", "ovs-vsctl del-br ovs0")
