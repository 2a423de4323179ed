# SPDX-License-Identifier: GPL-3.0-or-later
"""What real guests reach in each mode, beside what the probe endpoints of reachability_info say about it."""

from __future__ import annotations

import contextlib
import time
import typing as t

import pytest

from .console import HOST, PING

MACS = ("52:54:00:88:00:11", "52:54:00:88:00:12")
LAN_PEER = "10.88.0.254"
ROUTE = "192.168.150.0/24 via 10.88.1.1"
CELLS = ("guest_to_guest", "guest_to_lan", "lan_to_guest", "guest_to_host", "host_to_guest", "guest_to_guest_known_mac")


class Place(t.NamedTuple):
    """Where guests sit: what the network needs for it, their addresses, and the host's that they ask for.

    It is the address that the probe endpoints ask for as well: the host's on its link to the guests.
    """

    needs: dict
    addresses: tuple[str, str]
    prefix: int
    host: str
    gateway: str | None = None


SUBNET = Place(
    {"address": "192.168.150.1/24"}, ("192.168.150.11", "192.168.150.12"), 24, "192.168.150.1", "192.168.150.1"
)
BY_UPLINK = SUBNET._replace(needs={**SUBNET.needs, "uplink": "up0"})
LAN = Place({"uplink": "up0"}, ("10.88.1.11", "10.88.1.12"), 16, "10.88.1.1")
POOL = LAN._replace(needs={"uplink": ["up1", "up2"]})

# in the order of CELLS; first measured with another script and other guests, before there was a probe.  What has a
# question mark is for guests only: no probe can stand where a packet would have to come from.
TRUTH = [
    ("nat", SUBNET, "off", "yes yes no yes yes yes"),
    ("routed", SUBNET, "off", "yes yes yes yes yes yes"),
    ("routed", BY_UPLINK, "off", "yes yes ?yes yes yes yes"),
    ("open", SUBNET, "off", "yes yes yes yes yes yes"),
    ("isolated", SUBNET, "off", "yes no no yes yes yes"),
    ("bridge", LAN, "off", "yes yes yes yes yes yes"),
    ("macvtap_bridge", LAN, "off", "yes yes yes no no yes"),
    ("macvtap_bridge", LAN, "on", "yes yes yes yes yes yes"),
    ("macvtap_vepa", LAN, "on", "yes yes yes yes yes yes"),
    ("macvtap_private", LAN, "off", "no yes yes no no no"),
    ("macvtap_private", LAN, "on", "no yes yes no yes yes"),
    ("passthrough", POOL, "off", "yes yes yes yes yes yes"),
]
CASES = [
    pytest.param((mode, place, hairpin, row), id="-".join((mode, *place.needs, hairpin)))
    for mode, place, hairpin, row in TRUTH
]


def plug(lab, guests, state):
    """As a user would: the guests in the inventory, and a playbook."""
    wanted = [
        {"name": guest.name, "networks": [{"name": "lan", "mac": mac}], "state": state}
        for guest, mac in zip(guests, MACS)
    ]
    done = lab.play("guests", {HOST: {"hostnet_guests": wanted}})
    assert done.code == 0, done.output


@contextlib.contextmanager
def plugged(lab, guests, place):
    """Guests on the network with their addresses, as long as it takes a bridge that runs STP to let them speak."""
    try:
        plug(lab, guests, "present")
        for guest, mac, address in zip(guests, MACS, place.addresses):
            guest.configure(mac, f"{address}/{place.prefix}", place.gateway)
        silent = "grep -sLx 3 /sys/class/net/*/brport/state | grep -q ."
        lab.sh(HOST, f"for try in $(seq 400); do {silent} || exit 0; sleep 0.05; done; exit 1")
        yield
    finally:  # or no later mode could be set up
        plug(lab, guests, "absent")


def pings(lab, name, address):
    return "reached" in lab.sh(name, f"({PING.format(address)}) >/dev/null && echo reached || true")


def ask_guests(lab, guests, place):
    """Each cell begins with nobody knowing anybody: a neighbour that is known is not asked for with a broadcast."""
    (one, two), (first, second) = guests, place.addresses
    asks = {
        "guest_to_guest": lambda: one.pings(second),
        "guest_to_lan": lambda: one.pings(LAN_PEER),
        "lan_to_guest": lambda: pings(lab, "lan", first),
        "guest_to_host": lambda: one.pings(place.host),
        "host_to_guest": lambda: pings(lab, HOST, first),
        "guest_to_guest_known_mac": lambda: one.pings(second),
    }
    told = {}
    for cell, ask in asks.items():
        for guest in guests:
            guest.forget()
        for name in (HOST, "lan"):
            lab.sh(name, "ip neigh flush all")
        if cell == "lan_to_guest" and place.gateway:  # only now: NAT has to do without it
            lab.sh("lan", f"ip route replace {ROUTE}")
        if cell == "guest_to_guest_known_mac":
            one.knows(second, MACS[1])
            two.knows(first, MACS[0])
        told[cell] = ask()
    return told


def probe_says(run):
    [network] = run.of(HOST, "Measure")[-1]["networks"]
    return {**{cell: told["measured"] for cell, told in network["directions"].items()}, **network}


def side_by_side(**tables):
    word = {True: "yes", False: "no", None: "not measured"}
    rows = [["", *tables], *([cell, *(word[table[cell]] for table in tables.values())] for cell in CELLS)]
    return "\n" + "\n".join("".join(f"{text:26}" for text in row) for row in rows)


@pytest.fixture
def switch(lab):
    """The switch and the LAN peer as they were, afterwards: no reflection, no way to the subnet behind the host."""
    yield
    lab.hairpin(HOST, "off")
    lab.sh("lan", f"ip route del {ROUTE} 2>/dev/null || true")


@pytest.mark.parametrize("case", CASES)
def test_guests_reach_what_the_probe_says(case, lab, switch, guests, record_property):
    mode, place, hairpin, row = case
    lab.hairpin(HOST, hairpin)
    lab.sh("switch", "ip link set sw0 type bridge fdb_flush")
    if mode in ("routed", "open"):
        lab.sh("lan", f"ip route replace {ROUTE}")
    began = time.monotonic()
    inventory = {HOST: {"hostnet_networks": [{"name": "lan", "mode": mode, **place.needs}]}}
    run = lab.play("site", inventory)
    if not run.of(HOST, "Measure"):  # nothing differed, as where only the switch does
        run = lab.play("verify", inventory)
    played = time.monotonic()
    assert run.of(HOST, "Measure"), run.output
    with plugged(lab, guests, place):
        ready = time.monotonic()
        told = ask_guests(lab, guests, place)
    seconds = f"site {played - began:.1f} s, plugged {ready - played:.1f} s, asked {time.monotonic() - ready:.1f} s"
    cells = ", ".join(f"{cell.replace('_', ' ')} {'yes' if told[cell] else 'no'}" for cell in CELLS)
    record_property("measured", f"{mode} with {' and '.join(place.needs)}, reflection {hairpin}: {cells} ({seconds})")

    known = {cell: word.endswith("yes") for cell, word in zip(CELLS, row.split())}
    said = {cell: probe_says(run)[cell] for cell in CELLS}
    expected = {cell: None if word.startswith("?") else known[cell] for cell, word in zip(CELLS, row.split())}
    assert (told, said) == (known, expected), side_by_side(guests=told, reachability_info=said, known=known)
    assert run.code == 0, run.output


def test_guests_of_a_pool_do_not_break_its_promise(lab, guests):
    inventory = {HOST: {"hostnet_networks": [{"name": "lan", "mode": "passthrough", **POOL.needs}]}}
    done = lab.play("site", inventory, "-e", "hostnet_verify=false")
    assert done.code == 0, done.output
    with plugged(lab, guests, POOL):
        beside = lab.play("verify", inventory)
    after = lab.play("verify", inventory)
    assert (beside.failure(HOST), after.failure(HOST)) == (None, None)
