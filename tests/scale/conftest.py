# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty lab hosts over ssh, in four modes.  The lab is in $LAB_DIR, and up."""

from __future__ import annotations

import resource
import time
import typing as t

import pytest

from ..fleet.conftest import Fleet

# the hosts of each group, and what their inventory says
GROUPS = {
    range(1, 6): {"hostnet_mode": "bridge", "hostnet_networks": [{"name": "lan", "uplink": "up0"}]},
    range(6, 11): {"hostnet_mode": "macvtap_bridge", "hostnet_networks": [{"name": "lan", "uplink": "up0"}]},
    range(11, 16): {"hostnet_networks": [{"name": "quiet", "mode": "isolated", "address": "192.168.151.1/24"}]},
    range(16, 21): {"hostnet_networks": [{"name": "build", "mode": "nat", "address": "192.168.150.1/24"}]},
}
# tests/fleet sends frames, in every mode
WANTED = {
    f"kvm{number}": {**variables, "hostnet_verify": False}
    for numbers, variables in GROUPS.items()
    for number in numbers
}


class Cost(t.NamedTuple):
    """What a run took: seconds, and those of the controller's processors."""

    wall: float
    cpu: float


BATCHES = '{"hostnet_serial": ["1", "25%", "100%"]}'  # as users have them; the other suites take all hosts at once


class Measured:
    """Measures what is done in a with statement; processes of lab hosts are not the controller's."""

    def __enter__(self):
        self._began = self._now()
        return self

    def __exit__(self, *_error):
        self.cost = Cost(*(now - then for now, then in zip(self._now(), self._began)))

    @staticmethod
    def _now():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.monotonic(), used.ru_utime + used.ru_stime


class Trouble(t.NamedTuple):
    """What ails a host: commands that bring it about and end it, on the host or where it says, or what its inventory says."""

    hurt: str = ""
    mend: str = ""
    where: str = ""
    inventory: dict = {}


BUSY = "while kill -STOP $pid; do sleep 0.5; kill -CONT $pid; sleep 0.1; done"
TROUBLES = {
    # the host is not reached
    "kvm3": Trouble("ip link set up0 down", "ip link set up0 up"),
    "kvm8": Trouble("ip route add blackhole 10.88.0.254", "ip route del blackhole 10.88.0.254"),
    # slow: its line, and its libvirt, which stands still most of the time
    "kvm12": Trouble("tc qdisc add dev kvm12 root tbf rate 1mbit burst 10kb latency 400ms", "tc qdisc del dev kvm12 root", "switch"),
    "kvm14": Trouble(f"pid=$(cat /run/libvirtd.pid); ({BUSY}) >/dev/null 2>&1 & echo $! >/run/busy", "kill $(cat /run/busy); kill -CONT $(cat /run/libvirtd.pid)"),
    # half configured: what a run that was killed, or a hand, has left
    "kvm4": Trouble("ip link add br-up0 type bridge; ip link set br-up0 up"),
    "kvm9": Trouble("""/usr/bin/python3 -c 'import libvirt; libvirt.open().networkDefineXML("<network><name>lan</name></network>")'"""),
    # wrongly inventoried
    "kvm5": Trouble(inventory={"hostnet_mode": "brigde"}),
    "kvm10": Trouble(inventory={"hostnet_networks": [{"name": "lan"}]}),
    "kvm7": Trouble(inventory={"hostnet_networks": [{"name": "lan", "uplink": "eth9"}]}),
    "kvm15": Trouble(inventory={"hostnet_networks": [{"name": "quiet", "mode": "isolated", "address": "192.168.151.1"}]}),
}  # fmt: skip


def troubled(fleet, part):
    for host, trouble in TROUBLES.items():
        if command := getattr(trouble, part):
            fleet.sh(trouble.where or host, command)


class Story(t.NamedTuple):
    """The three runs, and what they cost."""

    hurt: t.Any
    mended: t.Any
    again: t.Any
    cost: t.Any


@pytest.fixture(scope="session")
def fleet(tmp_path_factory):
    """Each test goes on with what the one before has left, since to set up twenty hosts takes its time."""
    return Fleet(tmp_path_factory.mktemp("scale"))


@pytest.fixture(scope="session")
def story(fleet):
    """All that a fleet lives through: trouble, its repair, and an ordinary day."""
    troubled(fleet, "hurt")
    try:
        inventory = {host: {**WANTED[host], **TROUBLES.get(host, Trouble()).inventory} for host in WANTED}
        hurt = fleet.play("site", inventory, "-e", BATCHES)
    finally:
        troubled(fleet, "mend")
    mended = fleet.play("site", WANTED)
    with Measured() as measured:
        again = fleet.play("site", WANTED)
    return Story(hurt, mended, again, measured.cost)
