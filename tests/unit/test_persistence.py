# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept for the next boot, and what becomes of it: files for network managers, units, one state file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import program
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.boot import Boot
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.networkd import Networkd
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.nmcli import NetworkManager
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.state_file import StateFile, empty
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import (
    persistence_boot,
    persistence_files,
    persistence_live,
    persistence_networkd,
    persistence_nm,
)
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.persistence import Persistence
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.persistence_items import merged
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.persistence_uplinks import Uplinks

MAC = "52:54:00:00:00:01"
FOUND = {"mac": MAC, "stp": False, "forward_delay": 0.0}
NETWORKD = """\
# the user's own
[Match]
MACAddress=52:54:00:00:00:01

[Link]
MTUBytes=9000
RequiredForOnline=routable
RequiredFamilyForOnline=ipv4

[SR-IOV]
VirtualFunction=0
Trust=yes

[Network]
DHCP=ipv4
VLAN=up0.10
LLDP=yes
DNS=192.0.2.53 \\
  192.0.2.54

[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.1

[Route]
Destination=203.0.113.0/24
Gateway=192.0.2.2

[DHCPv4]
UseMTU=yes
"""
UPLINK = {
    "name": "up0",
    "bridge": "br0",
    "kept_by": "systemd-networkd",
    "own": True,
    "found": FOUND,
    "profile": {"path": "/etc/systemd/network/10-up0.network", "text": NETWORKD},
    "dhcp": {"iaid": 305419896},
}
KEYFILE = """\
[connection]
id=Wired connection 1
uuid=209e3185-e013-4a30-8d8d-aa59a323a5be
type=ethernet
interface-name=up0
zone=trusted
timestamp=1700000000
autoconnect-priority=-999

[ethernet]
mac-address=52:54:00:00:00:01
cloned-mac-address=stable
mtu=9000

[802-1x]
eap=tls;

[ipv4]
method=auto
route1=198.51.100.0/24,192.0.2.1

[ipv6]
method=auto
dhcp-iaid=7

[proxy]
"""
NM_UPLINK = {
    **UPLINK,
    "kept_by": "NetworkManager",
    "profile": {"path": "/etc/NetworkManager/system-connections/up0.nmconnection", "text": KEYFILE},
    "dhcp": {"client_id": "01:52:54:00:00:00:01", "iaid": 9, "metric": 100},
    "port": {"cost": 2, "priority": 32},
}


def body(text):
    """Without the line that tells where it is from."""
    return text.partition("\n\n")[2]


def test_networkd_gets_the_profile_of_the_uplink_for_the_bridge():
    made = persistence_networkd.files(UPLINK, {**FOUND, "name": "br0", "mtu": 1500, "stp": True, "max_age": 10.5})
    directory = "/run/systemd/network/05-kvm.hostnet-"
    assert {path: body(text) for path, text in made.items()} == {
        f"{directory}br0.netdev": f"""\
[NetDev]
Name=br0
Kind=bridge
MACAddress={MAC}
MTUBytes=1500

[Bridge]
STP=true
ForwardDelaySec=0
MaxAgeSec=10.5
""",
        f"{directory}br0.network": """\
[Match]
Name=br0

[Link]
RequiredForOnline=routable
RequiredFamilyForOnline=ipv4

[Network]
DHCP=ipv4
DNS=192.0.2.53    192.0.2.54

[Route]
Destination=198.51.100.0/24
Gateway=192.0.2.1

[Route]
Destination=203.0.113.0/24
Gateway=192.0.2.2

[DHCPv4]
UseMTU=yes

[DHCPv4]
IAID=305419896

[DHCPv6]
IAID=305419896
""",
        f"{directory}up0.network": """\
[Match]
Name=up0

[Link]
RequiredForOnline=enslaved

[Link]
MTUBytes=9000

[SR-IOV]
VirtualFunction=0
Trust=yes

[Network]
Bridge=br0
LinkLocalAddressing=no
IPv6AcceptRA=no
VLAN=up0.10
LLDP=yes
""",
    }


def test_network_manager_gets_the_profile_of_the_uplink_for_the_bridge():
    made = persistence_nm.files(NM_UPLINK, {**FOUND, "name": "br0"})
    directory = "/run/NetworkManager/system-connections/kvm.hostnet-"
    assert {path: body(text) for path, text in made.items()} == {
        f"{directory}br0.nmconnection": f"""\
[connection]
id=kvm.hostnet-br0
uuid={persistence_nm.uuid_of("br0")}
type=bridge
interface-name=br0
autoconnect-priority=999
autoconnect-slaves=1
zone=trusted

[bridge]
mac-address={MAC}
stp=false
forward-delay=0

[ipv4]
method=auto
route1=198.51.100.0/24,192.0.2.1
dhcp-client-id=01:52:54:00:00:00:01
route-metric=100

[ipv6]
method=auto
dhcp-iaid=7
route-metric=100
""",
        f"{directory}up0.nmconnection": f"""\
[connection]
id=kvm.hostnet-up0
uuid={persistence_nm.uuid_of("up0")}
type=ethernet
interface-name=up0
autoconnect-priority=999
master=br0
slave-type=bridge

[bridge-port]
path-cost=2
priority=32

[ethernet]
cloned-mac-address={MAC}
mtu=9000

[802-1x]
eap=tls;
""",
    }


LIVE = [
    {"what": "address", "family": 2, "prefixlen": 24, "scope": 0, "attrs": {"IFA_LOCAL": "192.0.2.9"}},
    {"what": "address", "family": 10, "prefixlen": 64, "scope": 253, "attrs": {"IFA_ADDRESS": "fe80::1"}},
    {"what": "address", "family": 10, "prefixlen": 64, "scope": 0, "attrs": {"IFA_ADDRESS": "2001:db8::9"}},
    {
        "what": "route", "family": 2, "dst_len": 0, "table": 254, "proto": 3, "type": 1, "flags": 0,
        "attrs": {"RTA_GATEWAY": "192.0.2.1", "RTA_PRIORITY": 50, "RTA_OIF": "up0"},
    },
    {
        "what": "route", "family": 2, "dst_len": 24, "table": 254, "proto": 2, "type": 1,
        "attrs": {"RTA_DST": "192.0.2.0", "RTA_OIF": "up0"},
    },
]  # fmt: skip


def test_what_nobody_keeps_is_said_in_the_words_of_either():
    found = persistence_live.live(LIVE)
    assert found.addresses == ["192.0.2.9/24", "2001:db8::9/64"] and not found.unsaid and not found.leased
    assert found.routes == [{"to": "0.0.0.0/0", "via": "192.0.2.1", "metric": 50}]
    assert (
        body(persistence_networkd.profile_of(found.addresses, found.routes))
        == """\
[Network]
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
Address=192.0.2.9/24
Address=2001:db8::9/64

[Route]
Destination=0.0.0.0/0
Gateway=192.0.2.1
Metric=50
"""
    )
    assert (
        body(persistence_nm.profile_of(found.addresses, found.routes))
        == """\
[connection]
type=ethernet

[ipv4]
method=manual
address1=192.0.2.9/24
route1=0.0.0.0/0,192.0.2.1,50

[ipv6]
method=manual
address1=2001:db8::9/64
"""
    )


def test_a_lease_and_what_has_no_words_are_told_apart():
    leased = {**LIVE[0], "attrs": {"IFA_LOCAL": "192.0.2.9", "IFA_CACHEINFO": {"ifa_valid": 3600}}}
    odd = {**LIVE[3], "attrs": {**LIVE[3]["attrs"], "RTA_METRICS": {"attrs": {}}}}
    found = persistence_live.live([leased, odd])
    assert found.leased == ["192.0.2.9/24"] and found.unsaid == ["route default via 192.0.2.1"]
    assert not persistence_live.live([LIVE[1]])


def test_files_of_links_that_no_manager_makes():
    state = {
        **empty(),
        "bridges": [{"name": "br1", "state": "present"}, {"name": "eth9", "state": "present", "hwmode": "vepa"}],
        "macvtap_links": [{"name": "h-up1", "state": "present", "lower": "up1"}],
        "sriov_functions": [{"name": "0000:01:00.0", "state": "present", "vf_count": 2}],
    }
    made = persistence_files.files(state)
    assert set(made) == {persistence_networkd.LINKS, "/run/udev/rules.d/81-kvm.hostnet_again.rules"}
    assert "Name=br1 h-up1\n" in made[persistence_networkd.LINKS]
    rules = made["/run/udev/rules.d/81-kvm.hostnet_again.rules"]
    assert 'KERNELS=="0000:01:00.0", ENV{SYSTEMD_WANTS}+="kvm-hostnet.service"' in rules
    assert 'NAME=="up1"' in rules and persistence_files.files(empty()) == {}


def test_a_profile_is_read_with_what_is_dropped_in(tmp_path):
    state = tmp_path / "run/systemd/netif/links/3"
    network = tmp_path / "etc/systemd/network"
    for path, text in {
        tmp_path / "sys/class/net/up0/ifindex": "3\n",
        state: "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-up0.network\n",
        tmp_path / "run/systemd/network/10-netplan-up0.network": "[Match]\nName=up0\n",
        tmp_path / "run/systemd/network/10-netplan-up0.network.d/a.conf": "[Network]\nDNS=192.0.2.1\n",
        network / "10-netplan-up0.network.d/a.conf": "[Network]\nDNS=192.0.2.2\n",
        network / "10-netplan-up0.network.d/b.conf": "[Network]\nDNS=192.0.2.3\n",
        tmp_path / "run/systemd/netif/leases/3": "CLIENTID=ff12345678000200000000ab11\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    networkd = Networkd(str(tmp_path))
    assert networkd.profile("up0") == {
        "path": "/run/systemd/network/10-netplan-up0.network",
        "text": "[Match]\nName=up0\n\n[Network]\nDNS=192.0.2.2\n\n[Network]\nDNS=192.0.2.3\n",
    }
    assert networkd.identity("up0") == {"iaid": 0x12345678}
    state.write_text("ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/05-kvm.hostnet-up0.network\n")
    assert networkd.profile("up0") is None
    state.write_text("ADMIN_STATE=unmanaged\n")
    assert networkd.profile("up0") is None and NetworkManager(str(tmp_path)).profile("up0") is None


# what is kept


@pytest.mark.parametrize(
    ("kept", "given", "expected"),
    [
        ({}, {"name": "br0"}, {"name": "br0"}),
        ({"mtu": 9000, "stp": True}, {"stp": False}, {"mtu": 9000, "stp": False}),
        ({"vlans": [{"vid": "1"}]}, {"vlans": []}, {"vlans": []}),
        (
            {"ports": [{"name": "a", "hairpin": True}, {"name": "b"}]},
            {"ports": [{"name": "b", "state": "absent"}, {"name": "a", "isolated": True}]},
            {"ports": [{"name": "a", "hairpin": True, "isolated": True}]},
        ),
        (
            {"guest_ports": {"flood": False}},
            {"guest_ports": {"hairpin": True}},
            {"guest_ports": {"flood": False, "hairpin": True}},
        ),
    ],
)
def test_items_merge(kept, given, expected):
    assert merged(Bridges.items.fields, kept, given) == expected


def request(**params):
    return Persistence.request({"bridges": [], "macvtap_links": [], "sriov_functions": [], **params})


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"bridges": [{"name": "br0", "uplnk": "up0"}]}, r"bridges\[br0\] has no option uplnk; did you mean uplink\?"),
        ({"bridges": [{"name": "br0", "zzzz": 1}]}, r"bridges\[br0\] has no option zzzz; it has name, state, "),
        ({"bridges": [{"name": "br0", "mtu": "many"}]}, r"bridges\[br0\].mtu is 'many'; write a whole number"),
        ({"bridges": [{"name": "br0", "stp": "perhaps"}]}, r"bridges\[br0\].stp is 'perhaps'; write true or false"),
        ({"bridges": [{"name": "br0", "ports": "up0"}]}, r"bridges\[br0\].ports is 'up0'; write a list"),
        ({"bridges": [{"name": "br0", "ports": ["up0"]}]}, r"bridges\[br0\].ports\[0\] is 'up0'; write a mapping"),
        ({"bridges": [{"uplink": "up0"}]}, r"bridges\[0\]: name is missing"),
        ({"bridges": ["br0"]}, r"bridges\[0\] is 'br0'; write a mapping of its options"),
        (
            {"macvtap_links": [{"name": "t", "mode": "vepaa"}]},
            r"macvtap_links\[t\].mode is 'vepaa'; write one of bridge, ",
        ),
        ({"macvtap_links": [{"name": "t", "mac": "x"}]}, r'macvtap_links\[t\].mac: "x" is not a MAC address'),
        ({"sriov_functions": [{"name": "eth1", "vf_count": True}]}, r"vf_count is True; write a whole number"),
        ({"bridges": [{"name": "br0"}, {"name": "br0"}]}, "br0 is listed twice; keep one of them"),
    ],
)
def test_items_are_checked_as_ansible_would(params, told):
    with pytest.raises(HostNetError, match=told):
        request(**params)


def test_items_become_canonical():
    given = {
        "name": "br0",
        "mtu": "1500",
        "stp": "no",
        "max_age": 10,
        "ports": [{"name": "up0", "hairpin": True}],
        "mac": None,
    }
    assert request(bridges=[given])["bridges"]["br0"] == {
        "name": "br0", "state": "present", "mtu": 1500, "stp": False, "max_age": 10.0,
        "ports": [{"name": "up0", "state": "present", "hairpin": True}],
    }  # fmt: skip


# the file


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A state file below another root, where what is to run at boot is prepared as well."""
    Boot(str(tmp_path)).stage("_resources.persistence_boot:boot")
    return StateFile(str(tmp_path)), tmp_path


STATE = {**empty(), "bridges": [{"name": "br0", "state": "present", "uplink": "up0"}], "uplinks": [UPLINK]}


def installed(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink())


INSTALLED = [
    "etc/kvm.hostnet/state.json",
    "etc/systemd/system/kvm-hostnet-files.service",
    "etc/systemd/system/kvm-hostnet.service",
    "etc/systemd/system/multi-user.target.wants/kvm-hostnet.service",
    "etc/systemd/system/sysinit.target.wants/kvm-hostnet-files.service",
    "var/lib/kvm.hostnet/boot.pyz",
]


def test_a_commit_installs_what_works_from_it_and_the_last_one_leaves_no_trace(kept):
    file, root = kept
    file.write(STATE, pending=False)
    assert installed(root) == INSTALLED
    assert file.read() == file.committed() == STATE and not file.is_pending()
    assert (root / "etc/kvm.hostnet/state.json").stat().st_mode & 0o777 == 0o600
    file.commit()
    assert installed(root) == INSTALLED
    file.write(empty(), pending=False)
    assert installed(root) == [] and not (root / "etc/kvm.hostnet").exists() and not (root / "run/kvm.hostnet").exists()


def test_what_is_pending_counts_now_and_not_at_boot(kept):
    file, root = kept
    file.write(STATE, pending=True)
    assert file.read() == STATE and file.committed() == empty()
    assert all(path.startswith("run/kvm.hostnet/") for path in installed(root))
    file.discard()
    assert file.read() == empty() and installed(root) == []
    file.commit()  # of nothing
    assert installed(root) == []


def test_a_confirmed_state_is_the_next_one_at_boot(kept):
    file, root = kept
    file.write(STATE, pending=True)
    StateFile(str(root)).commit()  # by whoever confirms
    assert installed(root) == INSTALLED and file.committed() == STATE
    file.write(empty(), pending=True)
    assert file.committed() == STATE and file.read() == empty()
    file.discard()
    assert file.read() == STATE and installed(root) == INSTALLED


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Expecting value"),
        ("[]", "it holds no mapping"),
        ('{"format": 2}', "its format is 2, and 1 is what this version of kvm.hostnet knows"),
        (json.dumps({**empty(), "bridges": {}}), "bridges in it is no list of mappings with a name"),
        (json.dumps({**empty(), "bridges": [{}]}), "bridges in it is no list of mappings with a name"),
        (json.dumps({**empty(), "bonds": []}), "it has bonds, which nobody here knows"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_the_way_out(kept, content, why):
    file, root = kept
    (root / "etc/kvm.hostnet").mkdir(parents=True)
    (root / "etc/kvm.hostnet/state.json").write_text(content)
    with pytest.raises(HostNetError, match=why) as raised:
        file.read()
    assert "etc/kvm.hostnet/state.json" in str(raised.value) and "remove it" in str(raised.value)


def test_a_commit_that_fails_half_way_leaves_the_old_state(kept, monkeypatch):
    file, _root = kept
    file.write(STATE, pending=False)
    changed = {**STATE, "bridges": [], "uplinks": [], "macvtap_links": [{"name": "t", "state": "present"}]}

    def full(*_arguments):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(HostNetError, match="No space left on device"):
        file.write(changed, pending=False)
    monkeypatch.undo()
    assert file.committed() == STATE


def test_the_files_step_needs_no_library():
    code = (
        "import sys, tests.conftest; from ansible_collections.kvm.hostnet.plugins.module_utils._resources import "
        "persistence_boot; assert not {'pyroute2', 'ansible', 'libvirt'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_files_step_reads_the_profile_anew(tmp_path, monkeypatch):
    profile = tmp_path / UPLINK["profile"]["path"].lstrip("/")
    profile.parent.mkdir(parents=True)
    profile.write_text("[Network]\nAddress=192.0.2.7/24\n")
    monkeypatch.setattr(persistence_files, "keepers", lambda root="/": {"systemd-networkd": Networkd(str(tmp_path))})
    assert list(persistence_boot.write_files(STATE, str(tmp_path))) == []
    made = tmp_path / "run/systemd/network/05-kvm.hostnet-br0.network"
    assert "Address=192.0.2.7/24" in made.read_text() and "DHCP=" not in made.read_text()
    profile.unlink()
    assert list(persistence_boot.write_files(STATE, str(tmp_path))) == []
    assert "DHCP=ipv4" in made.read_text()


# the plan


def told(**given):
    state = {"bridges": {}, "macvtap_links": {}, "sriov_functions": {}, "uplinks": {}, "files": {}, "adopted": {},
             "committed": True, "at_boot": "none"}  # fmt: skip
    return {**state, **given}


KEPT_UPLINK = {
    "up0": {"bridge": "br0", "kept_by": "NetworkManager", "profile": "p", "files": ["/run/x"], "content": "1"}
}
WITH_BRIDGE = told(
    bridges={"br0": {"name": "br0"}},
    uplinks=KEPT_UPLINK,
    files={"/run/x": "a"},
    adopted={"br0": "NetworkManager"},
    at_boot="current",
)


@pytest.mark.parametrize(
    ("goal", "current", "expected"),
    [
        (told(), told(), []),
        (WITH_BRIDGE, WITH_BRIDGE, []),
        (WITH_BRIDGE, told(), ["write /run/x", "adopt br0", "keep /etc/kvm.hostnet/state.json"]),
        (told(), WITH_BRIDGE, ["remove /run/x", "release br0", "drop /etc/kvm.hostnet/state.json"]),
        (WITH_BRIDGE, {**WITH_BRIDGE, "adopted": {}}, ["adopt br0"]),
        (WITH_BRIDGE, {**WITH_BRIDGE, "files": {"/run/x": "b"}}, ["write /run/x", "adopt br0"]),
        (
            WITH_BRIDGE,
            {**WITH_BRIDGE, "files": {**WITH_BRIDGE["files"], "/run/y": "c"}},
            ["remove /run/y", "tell network managers"],
        ),
        (WITH_BRIDGE, {**WITH_BRIDGE, "at_boot": "old"}, ["keep /etc/kvm.hostnet/state.json"]),
        (
            {**WITH_BRIDGE, "committed": False},
            told(),
            ["write /run/x", "adopt br0", "keep /etc/kvm.hostnet/state.json, when the transaction is confirmed"],
        ),
    ],
)
def test_the_plan(goal, current, expected):
    assert [str(step) for step in Persistence.plan(goal, current)] == expected


# who keeps an uplink


class Keeper:
    """A network manager of one's own making."""

    def __init__(self, name, profiles=None, runs=True):
        self.name, self._profiles, self._runs = name, profiles or {}, runs

    def runs(self):
        return self._runs

    def profile(self, link):
        return self._profiles.get(link)

    def identity(self, _link):
        return {"iaid": 1}

    def text(self, path):
        return {"p": "edited"}.get(path)


class Kernel:
    """What a host has: up0 under br0, with entries above it."""

    def __init__(self, *entries):
        self._entries = [
            {**entry, **({"link": "br0"} if entry["what"] == "address" else {}), "attrs": {**entry["attrs"]}}
            for entry in entries
        ]

    def links(self):
        data = {"stp_state": 0, "forward_delay": 400}
        port = {"cost": 2, "priority": 32}
        return {
            "up0": {"kind": None, "mac": MAC, "master": "br0", "port": port, "alias": None},
            "br0": {"kind": "bridge", "mac": MAC, "master": None, "data": data, "alias": "made by kvm.hostnet"},
        }

    def layer3(self, *_kinds):
        return self._entries


def uplinks(*entries, networkd=None, nm=None):
    keepers = {
        "systemd-networkd": Keeper("systemd-networkd", networkd, networkd is not None),
        "NetworkManager": Keeper("NetworkManager", nm, nm is not None),
    }
    return Uplinks(Kernel(*entries), keepers)


PROFILE = {"path": "p", "text": "text"}
ITEM = {"name": "br0", "uplink": "up0"}


def test_who_has_a_profile_for_the_uplink_keeps_the_bridge():
    found = uplinks(LIVE[0], networkd={}, nm={"up0": PROFILE}).entry(ITEM, None)
    assert found == {
        "name": "up0", "bridge": "br0", "own": True, "kept_by": "NetworkManager", "profile": PROFILE,
        "dhcp": {"iaid": 1}, "port": {"cost": 2, "priority": 32},
        "found": {"stp": False, "forward_delay": 4.0, "mac": MAC},
    }  # fmt: skip


def test_what_is_known_stays_but_for_what_the_user_has_edited():
    known = {"name": "up0", "bridge": "br0", "kept_by": "systemd-networkd", "profile": PROFILE}
    host = uplinks(networkd={}, nm={"up0": PROFILE})
    assert host.entry(ITEM, known) == {**known, "profile": {"path": "p", "text": "edited"}}
    assert uplinks(nm={"up0": PROFILE}).entry(ITEM, known)["kept_by"] == "NetworkManager"  # the other is gone


def test_a_bridge_that_the_user_has_made_needs_nobody_else():
    found = uplinks(LIVE[0], networkd={"br0": PROFILE, "up0": PROFILE}).entry(ITEM, None)
    assert found["kept_by"] == "" and found["theirs"]


def test_addresses_that_nobody_keeps_go_to_who_runs():
    host = uplinks(LIVE[0], nm={})
    found = host.entry(ITEM, None)
    assert found["kept_by"] == "NetworkManager" and "address1=192.0.2.9/24" in found["profile"]["text"]
    assert list(host.problems([found])) == []


def test_an_uplink_without_addresses_needs_no_manager():
    host = uplinks(LIVE[1])
    assert host.entry(ITEM, None)["kept_by"] == "" and list(host.problems([{"name": "up0"}])) == []


@pytest.mark.parametrize(
    ("entries", "managers", "told"),
    [
        (
            LIVE,
            {},
            "up0 has 192.0.2.9/24, 2001:db8::9/64, a route to 0.0.0.0/0, which neither systemd-networkd nor NetworkManager "
            "keeps, and nobody else can be told of bridge br0; set hostnet_persist: false, and see to bridge br0 yourself",
        ),
        (
            [{**LIVE[0], "attrs": {"IFA_LOCAL": "192.0.2.9", "IFA_CACHEINFO": {"ifa_valid": 3600}}}],
            {"networkd": {}},
            "up0 has 192.0.2.9/24 by a DHCP client of its own; let systemd-networkd keep up0, or set hostnet_persist: false, "
            "and see to bridge br0 yourself",
        ),
        (
            [{**LIVE[3], "type": 7}],
            {"nm": {}},
            "up0 has route default via 192.0.2.1, which a file of NetworkManager cannot be made of; let NetworkManager keep "
            "up0, or set hostnet_persist: false, and see to bridge br0 yourself",
        ),
    ],
)
def test_what_cannot_be_kept_is_told_with_the_way_out(entries, managers, told):
    host = uplinks(*entries, **managers)
    assert list(host.problems([host.entry(ITEM, None)])) == [told]


def test_families_are_those_of_the_kernel():
    assert (socket.AF_INET, socket.AF_INET6) == (2, 10)


def changed(archive, name, text):
    """The same program with another file in it."""
    with zipfile.ZipFile(archive) as packed:
        files = {each: packed.read(each) for each in packed.namelist()}
    with zipfile.ZipFile(archive, "w") as packed:
        for each, content in {**files, name: text}.items():
            packed.writestr(each, content)


def test_a_program_is_current_whatever_else_has_been_imported(tmp_path, monkeypatch):
    """A host where nothing differs is found so by the module that plans all kinds, which has imported more."""
    path, entry = tmp_path / "boot.pyz", "_resources.persistence_boot:boot"
    program.pack(path, entry)
    assert program.is_of_these_sources(path, entry)
    monkeypatch.setitem(sys.modules, f"{program._ROOT}._core.of_another_module", sys.modules[program.__name__])
    assert program.is_of_these_sources(path, entry)
    assert not program.is_of_these_sources(path, "_resources.persistence_boot:other")
    assert not program.is_of_these_sources(tmp_path / "none", entry)
    for name in ("kvm_hostnet/_core/field.py", "kvm_hostnet/_core/gone.py", "kvm_hostnet/none/gone.py"):
        program.pack(path, entry)
        changed(path, name, "x = 1")
        assert not program.is_of_these_sources(path, entry), name
    path.write_text("no archive")
    assert not program.is_of_these_sources(path, entry)
