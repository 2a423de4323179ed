# SPDX-License-Identifier: GPL-3.0-or-later
"""The move of an uplink under a bridge and back: nothing is lost, nobody notices, and no crash strands the host."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.netlink import Netlink

from .conftest import sh

BRIDGE = {"name": "br0", "uplink": "e0"}
ABSENT = {"name": "br0", "state": "absent"}
SILENCE = 0.05  # seconds; the target on an idle machine, which a test machine need not be
PATIENCE = 1.0
HOST = (
    "addr add 10.1.0.1/24 dev e0", "addr add 10.1.0.2/24 dev e0", "addr add 10.7.0.1/24 dev e0 valid_lft 1000 preferred_lft 900",
    "addr add fd01::1/64 dev e0 nodad", "route add 10.2.0.0/16 via 10.1.0.254 mtu 1400 src 10.1.0.2",
    "route add default via 10.1.0.254 metric 100", "route add default via 10.1.0.253 metric 200",
    "route add 10.3.0.0/24 dev e0 table 77 metric 50", "route add 10.4.0.0/16 nexthop via 10.1.0.253 dev e0 nexthop via 10.1.0.252 dev e0 weight 3",
    "route add 172.31.1.1 dev e0", "route add 10.5.0.0/16 via 172.31.1.1 dev e0", "-6 route add default via fd01::ff dev e0",
    "-6 route add fd02::/64 via fe80::ff dev e0", "rule add iif e0 table 77 priority 500", "rule add oif e0 table 77 priority 501",
    "neigh add 10.1.0.252 lladdr 02:00:00:00:00:99 dev e0", "neigh add 10.1.0.51 lladdr 02:00:00:00:00:51 nud noarp dev e0",
    # as network managers do it: an address without its route, and the route by itself
    "addr add 10.8.0.1/24 dev e0 noprefixroute", "route add 10.8.0.0/24 dev e0 proto kernel scope link src 10.8.0.1 metric 100",
    "route add 10.18.0.0/16 via 10.8.0.254 metric 100", "addr add fd08::1/64 dev e0 nodad noprefixroute",
    "-6 route add fd08::/64 dev e0 proto kernel metric 100", "addr add 10.11.0.1/24 dev e0 metric 1024",
    "addr add fd11::1/64 dev e0 nodad metric 88", "addr add fd01::5/64 dev e0 nodad preferred_lft 0",
    "-6 route add fd05::/64 via fe80::9 dev e0 proto ra metric 1024 expires 1800",
    "rule add not iif e0 from 10.0.0.0/8 lookup 9 priority 502",
)  # fmt: skip
MARK = "killed before a call to the kernel"  # in the command line of the process and of its restorer
CRASH = """# killed before a call to the kernel
import os, signal, sys
sys.path[:0] = {path!r}
import tests.conftest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.netlink import Netlink
from tests.kernel.conftest import do
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import ovsdb_bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.{module} import {kind}

calls, transact, layer3 = 0, Netlink._transact, Netlink.layer3
parent = os.getpid()

def count(method):
    def counted(*arguments):
        global calls
        if os.getpid() == parent:
            calls += 1
            if calls == {call}:
                os.kill(parent, signal.SIGKILL)
        return method(*arguments)
    return counted

Netlink._transact, Netlink.layer3 = count(transact), count(layer3)
ovsdb_bridges.transact = count(ovsdb_bridges.transact)
do({kind}, {items!r})
"""


@pytest.fixture
def uplink():
    """e0, with all that a host may have above it; its other end is in a namespace of its own, as the LAN is."""
    # the far end first, and no detection of duplicates: neither second of waiting is what is tested
    sh(
        "ip netns add lan && ip link add e0 type veth peer name eth0 netns lan && sysctl -qw net.ipv6.conf.e0.accept_dad=0"
    )
    sh("ip -n lan addr add 10.1.0.254/24 dev eth0 && ip -n lan link set eth0 up && ip link set lo up")
    sh("ip link set e0 up")
    settled("e0")
    for command in HOST:
        sh(f"ip {command}")
    routed("e0")
    yield
    for link in ("br0", "e0"):
        subprocess.run(["ip", "link", "del", link], check=False, capture_output=True)
    while subprocess.run("ip rule del iif e0 || ip rule del oif e0 || ip rule del iif br0 || ip rule del oif br0", shell=True,
                         check=False, capture_output=True).returncode == 0:  # fmt: skip
        pass
    sh("ip netns del lan")


def settled(link):
    while "tentative" in sh(f"ip -6 addr show dev {link}") or "inet6" not in sh(f"ip -6 addr show dev {link}"):
        time.sleep(0.05)


def routed(link):
    """The kernel makes the routes of an IPv6 address after it has answered for the address."""
    told = sh(f"ip -6 -o addr show dev {link} scope global").split()
    addresses = [address.partition("/")[0] for word, address in zip(told, told[1:]) if word == "inet6"]
    while not all(f"local {address} dev {link} " in sh("ip -6 route show table local") for address in addresses):
        time.sleep(0.05)


def above(link):
    """All that the host has above a link, as ip(8) tells it."""
    commands = (
        "ip -o addr show dev e0",
        "ip route show table all",
        "ip -6 route show table all",
        "ip rule",
        "ip neigh show nud permanent",
        "ip neigh show nud noarp",
    )
    found: list[str] = []
    if not os.path.exists(f"/sys/class/net/{link}"):
        return found
    for command in commands:
        for line in sh(command.replace("e0", link)).replace("\n\t", " ").replace("\\", " ").splitlines():
            passing = ("nodad", "linkdown")  # the kernel tells of a carrier in its own time
            words = [word for word in line.split() if word not in passing and not word.endswith("sec")]
            if link in words:
                found.append(
                    " ".join("LINK" if word == link else word for word in words).partition(": ")[2] or " ".join(words)
                )
    by_kernel = ("33:33:", "01:00:5e:", "multicast ff00", "inet6 fe80", "local fe80", "anycast fe80", "fe80::/64")
    return sorted(line.replace(link, "LINK") for line in found if not any(words in line for words in by_kernel))


def test_everything_goes_over_and_comes_back(uplink, bridges):
    before = above("e0")
    assert len(before) > len(HOST)
    made = bridges(BRIDGE)
    assert made["steps"] == ["create br0", "move e0"]
    assert above("br0") == before and not above("e0")
    assert sh("cat /sys/class/net/br0/address") == sh("cat /sys/class/net/e0/address")
    assert bridges(ABSENT)["steps"] == ["return e0", "delete br0"]
    assert above("e0") == before


def test_a_bridge_that_the_kernel_calls_without_a_carrier_late_loses_no_neighbours(uplink, bridges, monkeypatch):
    before, batch = above("e0"), Netlink.batch

    def late(link, requests):
        if requests[0].what == "link":
            time.sleep(1.2)  # the kernel tells of carriers at most once a second, and drops neighbours without one
        return batch(link, requests)

    monkeypatch.setattr(Netlink, "batch", late)
    bridges(BRIDGE)
    assert above("br0") == before


def test_a_bridge_that_is_there_and_down_is_set_up_before_the_move(uplink, bridges):
    sh("ip link add br0 type bridge")
    assert bridges(BRIDGE)["steps"][:2] == ["set br0", "move e0"]
    assert "UP" in sh("ip -br link show br0") and "10.1.0.1/24" in sh("ip -br addr show br0")


@pytest.mark.parametrize(("down", "steps"), [("br0", ["set br0"]), ("e0", ["raise e0"])])
def test_what_somebody_set_down_is_set_up(down, steps, uplink, bridges):
    bridges(BRIDGE)
    sh(f"ip link set {down} down")
    assert bridges(BRIDGE)["steps"] == steps and not bridges(BRIDGE)["changed"]


def test_a_lease_is_told(uplink, bridges):
    assert bridges(BRIDGE)["warnings"] == [
        "10.7.0.1/24 of br0 has a limited lifetime; let its DHCP client ask for br0 from now on"
    ]


def test_who_manages_the_uplink_is_told(uplink, bridges):
    index = sh("cat /sys/class/net/e0/ifindex").strip()
    state = Path("/run/systemd/netif/links")
    state.mkdir(parents=True)  # /run is the lab host's own
    (state / index).write_text("ADMIN_STATE=configured\n")
    try:
        [_lease, manager] = bridges(BRIDGE)["warnings"]
    finally:
        shutil.rmtree("/run/systemd/netif")
    assert manager == "systemd-networkd manages e0, and may give it back what moved to br0; tell it of the bridge"


def test_settings_of_the_uplink_go_along(uplink, bridges):
    sh("sysctl -qw net.ipv4.conf.e0.rp_filter=2 net.ipv6.conf.e0.accept_ra=2")
    bridges(BRIDGE)
    assert sh("sysctl -n net.ipv4.conf.br0.rp_filter net.ipv6.conf.br0.accept_ra").split() == ["2", "2"]


def test_what_was_given_to_the_bridge_meanwhile_comes_back_too(uplink, bridges):
    bridges(BRIDGE)
    sh("ip addr add 10.1.0.9/24 dev br0")
    bridges(ABSENT)
    assert "10.1.0.9/24" in sh("ip addr show dev e0")


def test_an_uplink_that_leaves_as_a_port_takes_everything_back(uplink, bridges):
    before = above("e0")
    bridges(BRIDGE)
    assert bridges({"name": "br0", "ports": [{"name": "e0", "state": "absent"}]})["steps"] == ["return e0"]
    assert above("e0") == before


@pytest.mark.parametrize("route", ["via 10.1.0.254 congctl reno", "encap ip id 5 dst 10.1.0.9 via 10.1.0.254 dev e0"])
def test_a_route_that_would_come_out_otherwise_is_refused(route, uplink, bridges):
    sh(f"ip route add 10.70.0.0/16 {route}")
    before = above("e0")
    with pytest.raises(
        HostNetError, match=r"route 10\.70\.0\.0/16 .*of e0 cannot be moved: it uses a nexthop object, an encaps"
    ):
        bridges(BRIDGE)
    assert above("e0") == before


def test_half_a_move_is_finished(uplink, bridges):
    sh("ip link add br0 type bridge && ip link set br0 up && ip link set e0 master br0")
    before = above("e0")
    assert bridges(BRIDGE)["steps"] == ["move e0"]
    assert above("br0") == before


CLIENT = """
import socket, threading, time
worst = {}

def stream():
    with socket.create_connection(("10.1.0.1", 7777)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            began = time.monotonic()
            peer.sendall(b"x")
            if peer.recv(1) != b"x":
                return
            worst["tcp"] = max(worst.get("tcp", 0), time.monotonic() - began)
            time.sleep(0.001)

talk = threading.Thread(target=stream)
talk.start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
    peer.connect(("10.1.0.1", 7777))
    peer.settimeout(0.001)
    last = time.monotonic()
    while talk.is_alive():
        try:
            peer.send(b"x")
            peer.recv(1)
        except OSError:
            continue
        worst["udp"] = max(worst.get("udp", 0), time.monotonic() - last)
        last = time.monotonic()
        time.sleep(0.0005)
print(worst["tcp"], worst["udp"])
"""


class Conversation:
    """Through the uplink, from the LAN to the host: one TCP connection, and datagrams, each about every millisecond.

    A lost segment costs TCP its retransmission timer, 0.2 s at least; the datagrams tell how long the host was silent.
    """

    def __enter__(self):
        self._server = socket.create_server(("10.1.0.1", 7777))
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("10.1.0.1", 7777))
        self._datagrams.settimeout(0.1)
        client = ["ip", "netns", "exec", "lan", sys.executable, "-c", CLIENT]
        self._client = subprocess.Popen(client, stdout=subprocess.PIPE, text=True)
        self._peer, _address = self._server.accept()
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._talking = True
        self._threads = [threading.Thread(target=echo) for echo in (self._echo, self._echo_datagrams)]
        for thread in self._threads:
            thread.start()
        time.sleep(0.2)
        return self

    def _echo(self):
        while self._talking and (word := self._peer.recv(1)):
            self._peer.sendall(word)

    def _echo_datagrams(self):
        while self._talking:
            with contextlib.suppress(TimeoutError):
                self._datagrams.sendto(*self._datagrams.recvfrom(1))

    def __exit__(self, *_error):
        time.sleep(0.4)
        self._talking = False
        for thread in self._threads:
            thread.join()
        for opened in (self._peer, self._server, self._datagrams):
            opened.close()
        self.round_trip, self.silence = map(float, self._client.communicate()[0].split())


@pytest.mark.parametrize("rp_filter", [0, 1], ids=["", "strict reverse path"])
def test_one_tcp_connection_through_it_all(rp_filter, uplink, bridges, record_property):
    sh(f"sysctl -qw net.ipv4.conf.all.rp_filter={rp_filter}")
    try:
        with Conversation() as talk:
            moved = bridges(BRIDGE)["moves"]
            returned = bridges(ABSENT)["moves"]
    finally:
        sh("sysctl -qw net.ipv4.conf.all.rp_filter=0")
    switched = [round(move["milliseconds"], 1) for move in (*moved, *returned)]
    record_property(
        "measured",
        f"uplink moved there and back: silent for {talk.silence * 1000:.1f} ms at most (target {SILENCE * 1000:.0f}), TCP's "
        f"longest round trip {talk.round_trip * 1000:.1f} ms, switched over in {switched} ms",
    )
    assert talk.silence < PATIENCE and talk.round_trip < PATIENCE


@pytest.mark.parametrize("call", range(1, 12))
@pytest.mark.parametrize("way", ["there", "back"])
def test_a_crash_at_any_call_leaves_the_host_with_all_it_had(way, call, uplink, bridges):
    """The process gets SIGKILL before its first call to the kernel, its second, and so on."""
    if way == "back":
        bridges(BRIDGE)
    before = above("e0" if way == "there" else "br0")
    crash(call, "Bridges", BRIDGE if way == "there" else ABSENT)
    assert sorted((above("e0"), above("br0")), key=len) == [[], before], (
        "all is on one of the two, and nothing on the other"
    )


def crash(call, kind, item):
    """Kill a task before one of its calls, and wait for its restorer."""
    module = {"Bridges": "bridges", "OvsBridges": "ovs_bridges"}[kind]
    script = CRASH.format(path=sys.path, call=call, items=[item], kind=kind, module=module)
    ended = subprocess.run(
        [sys.executable, "-B", "-c", script], check=False, cwd=os.getcwd(), capture_output=True, text=True
    )
    assert ended.returncode in (0, -9), ended.stderr
    deadline = time.monotonic() + 5
    while subprocess.run(["pgrep", "-f", MARK], check=False, capture_output=True).returncode == 0:
        assert time.monotonic() < deadline, "the restorer does not end"
        time.sleep(0.02)
    return ended.returncode


def test_what_cannot_be_moved_is_told_before_anything_changes(uplink, bridges):
    sh("ip nexthop add id 5 via 10.1.0.254 dev e0 && ip route add 10.9.0.0/16 nhid 5")
    before = above("e0")
    try:
        with pytest.raises(
            HostNetError, match=r"route 10\.9\.0\.0/16.* of e0 cannot be moved: it uses a nexthop object"
        ):
            bridges(BRIDGE)
        assert above("e0") == before and not os.path.exists("/sys/class/net/br0")
    finally:
        sh("ip nexthop del id 5")


def test_a_bridge_with_addresses_and_no_known_uplink_is_not_removed(uplink, bridges):
    sh(
        "ip link add br0 address 02:00:00:00:00:01 type bridge && ip link set e0 master br0 && ip addr add 10.8.0.1/24 dev br0"
    )
    with pytest.raises(
        HostNetError, match=r"Bridge br0 has 10\.8\.0\.1/24, and none of its ports is known to be its uplink"
    ):
        bridges(ABSENT)
    sh("ip addr flush dev e0")
    bridges({**ABSENT, "uplink": "e0"})
    assert "10.8.0.1/24" in sh("ip addr show dev e0")
