# SPDX-License-Identifier: GPL-3.0-or-later
"""macvtap and macvlan links on the real kernel."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.macvtap_links import MacvtapLinks

from .conftest import do, host_state, sh

LINK = {"name": "m0", "lower": "e0", "mode": "bridge", "mac": "52:54:00:00:00:01"}
LOWER = "52:54:00:00:00:e0"
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
ABSENT = {"name": "m0", "state": "absent"}


@pytest.fixture(autouse=True)
def lower(topology):
    topology(f"add e0 address {LOWER} type veth peer name e0p", "set e0 up", "set e0p up", "add br9 type bridge", "add p9 type veth peer name p9p",
             "set p9 master br9")  # fmt: skip


def index():
    return sh("cat /sys/class/net/m0/ifindex")


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
@pytest.mark.parametrize("mode", ["bridge", "vepa", "private", "source"])
def test_life_of_a_link(kind, mode, links):
    assert links({**LINK, "kind": kind, "mode": mode})["steps"] == ["create m0"]
    assert f"{kind} mode {mode}" in " ".join(sh("ip -d link show m0").split())
    assert links(ABSENT, check=True)["changed"] and index()
    links(ABSENT)


@pytest.mark.parametrize("before", ["bridge", "vepa", "private", "source"])
@pytest.mark.parametrize("after", ["bridge", "vepa", "private", "source"])
def test_the_mode_changes_in_place(before, after, links):
    links({**LINK, "mode": before})
    same = index()
    assert links({**LINK, "mode": after})["changed"] == (before != after)
    assert index() == same and f"mode {after}" in sh("ip -d link show m0")


@pytest.mark.parametrize(
    "edit",
    [
        {"mac": "52:54:00:00:00:02"}, {"mtu": 1400}, {"up": False}, {"bc_queue_len": 2000}, {"allmulti": True},
        {"addr_gen_mode": "eui64"}, {"mode": "source", "source_macs": ["52:54:00:00:00:08", "52:54:00:00:00:07"]},
    ],
    ids=str,
)  # fmt: skip
def test_an_edit_is_made_in_place(edit, links):
    links(LINK)
    same = index()
    assert links({**LINK, **edit})["steps"] == ["set m0"]
    assert index() == same


@pytest.mark.parametrize("edit", [{"kind": "macvlan"}, {"mode": "passthru", "mac": None}, {"lower": "e0p"}], ids=str)
def test_what_cannot_be_changed_in_place_is_made_anew_when_allowed(edit, links):
    links(LINK)
    with pytest.raises(
        HostNetError, match="this change needs the link made anew, which cuts off its user; set allow_rec"
    ):
        links({**LINK, **edit})
    assert links({**LINK, **edit}, allow_recreate=True)["steps"] == ["delete m0", "create m0"]


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"lower": "p9"}, "Link m1: p9 is a port of br9, where the kernel allows no such link; put it on br9"),
        ({"lower": "nix"}, "Link m1: its lower interface nix is not on this host"),
        ({"lower": "lo"}, "Link m1: lo carries no Ethernet frames; choose another lower interface"),
        ({"lower": "m0"}, "Link m1: its lower interface m0 is a macvtap or macvlan link itself"),
        ({}, "Link m1: lower is missing; name the interface that the link is to sit on"),
        ({"lower": "e0", "mac": "52:54:00:00:00:01"}, "Link m1: m0 on e0 has the same MAC address 52:54:00:00:00:01"),
        ({"lower": "e0", "source_macs": ["52:54:00:00:00:02"]}, "Link m1: source_macs is for mode source, and this link is in mode vepa"),
        ({"lower": "e0", "nopromisc": True}, "Link m1: nopromisc is for mode passthru, and this link is in mode vepa"),
        ({"lower": "e0", "addr_gen_mode": "stable_secret"}, "Link m1: addr_gen_mode stable_secret needs a secret; set net.ipv6"),
        ({"lower": "e0", "bc_queue_len": -1}, "Link m1: bc_queue_len -1 has to be from 0 to 4294967295 frames"),
        ({"lower": "e0", "addresses": ["192.0.2.1/32"]}, "Link m1: addresses and routes are the guest's on a macvtap; give them to"),
        ({"lower": "e0", "addresses": ["192.0.2.1"]}, '"192.0.2.1" is not an address with its prefix, such as 192.0.2.1/32'),
        ({"lower": "e0", "addresses": ["fe80::5/64"]}, '"fe80::5/64" is no address for a host to be reached at'),
        ({"lower": "e0", "routes": ["::/0"]}, '"::/0" is everything there is; name the subnets that are right on the link'),
        ({"lower": "e0", "kind": "macvlan", "routes": ["192.0.2.0/24"], "up": False}, "Link m1: routes need the link up; leave"),
        ({"lower": "e0", "routes": ["192.0.2.1/24"]}, '"192.0.2.1/24" is not a subnet by its first address'),
        ({"lower": "e0", "mac": LOWER}, f"Link m1: e0 itself has the MAC address {LOWER}"),
        ({"lower": "e0", "mtu": 9000}, "Link m1: mtu 9000 has to be from 68 to the 1500 of e0"),
        ({"lower": "e0", "mac": ""}, 'links[m1].mac: "" is not a MAC address'),
        ({"lower": "e0", "mode": "passthru"}, "Link m1: mode passthru takes e0 for itself, where m0 is as well"),
        ({"lower": "e0", "mac": "01:54:00:00:00:01"}, 'links[m1].mac: "01:54:00:00:00:01" is a multicast MAC address'),
        ({"name": "e0", "lower": "e0p"}, "Link e0: there is an interface of that name, of kind veth"),
        ({"name": "much-too-long-name", "lower": "e0"}, '"much-too-long-name" is too long for an interface name'),
        ({"name": "a/b", "lower": "e0"}, '"a/b" is no interface name'),
    ],
)  # fmt: skip
def test_refusals(link, sentence, links):
    links(LINK)
    before = host_state()
    with pytest.raises(HostNetError) as error:
        links({"name": "m1", **link})
    assert sentence in str(error.value)
    assert host_state() == before


def test_a_second_user_beside_passthru_is_refused(links):
    links({"name": "m0", "lower": "e0", "mode": "passthru"})
    for mode in ("passthru", "bridge"):
        with pytest.raises(HostNetError, match="Link m1: mode passthru takes e0 for itself, where m0 is as well"):
            links({"name": "m1", "lower": "e0", "mode": mode})


def test_what_the_kernel_refuses_is_told_and_put_back(links):
    links(LINK)
    sh("ip link property add dev e0 altname m1")
    with pytest.raises(HostNetError, match=r"Cannot .*m1.*\. Everything was put back as it was\."):
        links({**LINK, "mac": "52:54:00:00:00:09"}, {"name": "m1", "lower": "e0"})
    assert "52:54:00:00:00:01" in sh("ip link show m0")


def told(link):
    return json.loads(sh(f"ip -d -j link show {link}"))[0]


def test_what_is_set_is_there(links):
    links({**LINK, "bc_queue_len": 3000, "allmulti": True})
    assert told("m0")["linkinfo"]["info_data"]["bcqueuelen"] == 3000
    assert "ALLMULTI" in told("m0")["flags"] and told("m0")["inet6_addr_gen_mode"] == "none"
    links(
        {**LINK, "name": "m1", "kind": "macvlan", "mode": "source", "mac": None, "source_macs": ["52:54:00:00:00:0a"]}
    )
    assert "52:54:00:00:00:0a" in sh("ip -d link show m1") and told("m1")["inet6_addr_gen_mode"] == "eui64"
    links({**LINK, "name": "m1", "kind": "macvlan", "mode": "source", "mac": None, "source_macs": []})
    assert "52:54:00:00:00:0a" not in sh("ip -d link show m1")


def test_leaving_source_mode_forgets_its_list(links):
    links({**LINK, "mode": "source", "source_macs": ["52:54:00:00:00:0a"]})
    links({**LINK, "mode": "vepa"})
    links({**LINK, "mode": "source"})
    assert "52:54:00:00:00:0a" not in sh("ip -d link show m0")


def promiscuity():
    return told("e0")["promiscuity"]


def test_the_kernel_never_loses_count_of_promiscuity(links):
    """Linux counts wrong, for good, when nopromisc changes on a link that is down."""
    passthru = {"name": "m0", "lower": "e0", "mode": "passthru"}
    links({**passthru, "up": False})
    before = promiscuity()
    with pytest.raises(HostNetError, match="nopromisc can change only while the link is up"):
        links({**passthru, "up": False, "nopromisc": True})
    links({**passthru, "up": True, "nopromisc": True})
    links({**passthru, "nopromisc": False})
    assert promiscuity() == before + 1
    links({**passthru, "nopromisc": True})
    assert promiscuity() == before
    links({**passthru, "up": False})
    assert promiscuity() == before


def test_addresses_and_routes_of_the_host_side(links):
    host = {"name": "m0", "lower": "e0", "kind": "macvlan", "mode": "bridge"}
    links({**host, "addresses": ["192.0.2.9/32", "fd09::9/128"], "routes": ["192.0.2.64/26", "fd09:1::/64"]})
    assert "192.0.2.9/32" in sh("ip addr show dev m0") and "dev m0" in sh("ip -6 route show fd09:1::/64")
    assert "192.0.2.64/26 dev m0 proto static scope link" in sh("ip route show dev m0").replace("/26 ", "/26 dev m0 ")
    # the kernel drops all routes with the last address
    links({**host, "addresses": ["192.0.2.10/32", "192.0.2.10/32"]})
    assert "192.0.2.64/26" in sh("ip route show dev m0")
    links({**host, "addresses": ["192.0.2.9/24", "192.0.2.10/24"]})
    links({**host, "addresses": ["192.0.2.10/24"]})
    assert links({**host, "addresses": ["192.0.2.9/32"], "routes": []})["steps"] == ["set m0"]
    assert not sh("ip route show dev m0") and "fd09" not in sh("ip addr show dev m0")


def test_a_smaller_lower_interface_is_drift(links):
    links({**LINK, "mtu": 1400})
    sh("ip link set e0 mtu 1300")
    with pytest.raises(HostNetError, match="mtu 1400 has to be from 68 to the 1300 of e0"):
        links({**LINK, "mtu": 1400})
    sh("ip link set e0 mtu 1500")
    assert links({**LINK, "mtu": 1400})["steps"] == ["set m0"]


def test_many_are_deleted_at_once(links):
    """One by one, each deletion waits about 19 ms for the kernel's readers."""
    many = [{"name": f"m{number}", "lower": "e0"} for number in range(100)]
    links(*many)
    began = time.monotonic()
    done = do(MacvtapLinks, [{**link, "state": "absent"} for link in many])
    assert time.monotonic() - began < 100 * 0.019
    assert len(done["steps"]) == 100 and "m1@" not in sh("ip -br link")


def test_the_mode_changes_under_traffic(links, topology, record_property):
    """A frame every millisecond from the lower interface's far end to the link, through four changes of its mode."""
    links({**LINK, "kind": "macvlan"})
    sh("ip addr add 10.5.0.1/24 dev m0")
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as inside,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as outside,
    ):
        inside.bind(("m0", 0x88B5))
        inside.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
        inside.settimeout(0.2)
        outside.bind(("e0p", 0))
        frame = bytes.fromhex(LINK["mac"].replace(":", "")) + bytes.fromhex("0200000000aa88b5") + bytes(46)
        sent, talking = [], [True]

        def talk():
            while talking:
                sent.append(outside.send(frame))
                time.sleep(0.001)

        thread = threading.Thread(target=talk)
        thread.start()
        for mode in ("vepa", "private", "bridge", "vepa"):
            links({**LINK, "kind": "macvlan", "mode": mode})
        talking.clear()
        thread.join()
        received = 0
        with contextlib.suppress(TimeoutError):
            while inside.recv(2048):
                received += 1
    record_property("measured", f"mode of a link changed four times: {received} of {len(sent)} frames arrived")
    assert received == len(sent) > 20


def test_a_link_of_a_running_guest_is_libvirts(links):
    libvirt = pytest.importorskip("libvirt")
    document = """<domain type='qemu'><name>owner</name><memory unit='MiB'>64</memory><os><type>hvm</type></os><devices>
    <interface type='direct'><source dev='e0' mode='bridge'/><target dev='guest9'/></interface></devices></domain>"""
    domain = libvirt.open("qemu:///system").createXML(document, libvirt.VIR_DOMAIN_START_PAUSED)
    try:
        for change in ({"mode": "private"}, {"state": "absent"}):
            with pytest.raises(
                HostNetError, match="Link guest9: it is the interface of the running guest owner, and lib"
            ):
                links({"name": "guest9", "lower": "e0", **change})
        assert not links({"name": "guest9", "lower": "e0", "mode": "bridge"})["changed"]
    finally:
        domain.destroy()
