# SPDX-License-Identifier: GPL-3.0-or-later
"""What `site` makes of a host is what it is after it has booted, in each mode, with no run of Ansible between.

Both hosts are set up by one inventory, and in each of them as many modes at once as can be beside each other.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fleet.conftest import Fleet
from tests.fleet.test_site import measured

from .conftest import Host

NAMES = {"kvmnetworkd": "10.88.3.101", "kvmnm": "10.88.3.102"}  # with the address of the host's own link
SPARES = "/etc/systemd/network/20-spares.network"  # uplinks are up before anybody uses them
DEFINED = "cd /etc/libvirt/qemu/networks && find . -name '*.xml' | sort | xargs -r md5sum"
ACTIVE = "ls /run/libvirt/network | sed -n 's/.xml$//p'"
AUTOSTARTED = "ls /etc/libvirt/qemu/networks/autostart 2>/dev/null | sed 's/.xml$//'"
# what STP and the kernel keep in mind of ports that came and went, and of a link that once was up; and the MAC address of
# the host's own link, which udev derives from its name, and the kernel, where none runs as in the lab, draws by lot
SEEN = re.compile(
    r"topology_change\w* \d|ageing_time \d+(?= stp_state 1)|qdisc no\w+|[tg]so_max_\w+ \d+|link/ether \S+(?=.* macvlan )"
)
LIBVIRT = (DEFINED, ACTIVE, AUTOSTARTED)
SUBNETS = {f"net{number}": {"address": f"192.168.{number}.1/24", "dhcp": True} for number in range(160, 164)}
# the modes of networks that are on uplinks, and of those that have a subnet, in the order of SUBNETS
ROUNDS = (
    ({"up0": "bridge", "up1": "passthrough", "up2": "macvtap_bridge"}, ("nat", "routed", "open", "isolated")),
    ({"up0": "macvtap_bridge", "up1": "macvtap_vepa", "up2": "macvtap_private"}, ("open", "nat", "isolated", "routed")),
)


def networks(number, address):
    """The networks of a round, each with what its mode needs."""
    uplinks, subnets = ROUNDS[number]
    access = {"address": address, "guests": ["198.18.0.0/15"]}
    found = [
        {"name": f"on-{uplink}", "mode": mode, "uplink": uplink, "host_access": mode == "macvtap_bridge" and access}
        for uplink, mode in uplinks.items()
    ]
    return found + [{"name": name, "mode": mode, **SUBNETS[name]} for name, mode in zip(SUBNETS, subnets)]


def inventory(number):
    relay = {"hostnet_reflective_relay": "tell"}  # the lab's switch does not reflect, and this is not about that
    return {name: {**relay, "hostnet_networks": networks(number, address)} for name, address in NAMES.items()}


class Pair(Fleet):
    """Both hosts of the lab that systemd boots."""

    def __init__(self, directory):
        super().__init__(directory)
        self.hosts = {name: Host(name) for name in NAMES}

    def each(self, call):
        with ThreadPoolExecutor() as pool:
            return dict(zip(self.hosts, pool.map(call, self.hosts.values())))

    def states(self):
        """All that tells of the hosts' networks, as lines."""
        told = self.each(lambda host: [host.state(), *(f"{asked}: {host.sh(asked)}" for asked in LIBVIRT)])
        return {
            f"{name}: {line}"
            for name, texts in told.items()
            for text in texts
            for line in SEEN.sub("", text).splitlines()
        }

    def is_still(self, before):
        other = sorted(self.states() ^ before)
        assert not other, "\n".join(other)

    def traces(self):
        return self.each(Host.traces)

    def reboot(self):
        self.each(Host.reboot)
        self.each(_started)

    def table(self, number):
        """What is measured in each network; a promise may be broken by the lab's switch, and nothing may have drifted."""
        done = self.play("verify", inventory(number))
        drifted = [told for name in NAMES for told in done.of(name) if told.get("changed") or told.get("boot_drift")]
        assert not drifted, drifted
        mine = [network["name"] for network in networks(number, "")]
        cells = {f"{name}: {network}": measured(done, name, network) for name in NAMES for network in mine}
        return {(key, row): seen for key, rows in cells.items() for row, seen in enumerate(rows) if seen is not None}

    def converge(self, number):
        done = self.play("site", {name: {**said, "hostnet_verify": False} for name, said in inventory(number).items()})
        assert done.code == 0, done.output
        return {name: done.changed(name) for name in NAMES}


def _started(host):
    """Wait for libvirt to start what it is to start."""
    deadline = time.monotonic() + 30
    while host.sh(ACTIVE) != host.sh(AUTOSTARTED):
        assert time.monotonic() < deadline, host.name
        time.sleep(0.2)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Both hosts as they were installed, before and after."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    networkd = pair.hosts["kvmnetworkd"]
    networkd.sh(f"printf '[Match]\nName=up1 up2\n' > {SPARES}")
    pair.reboot()
    yield pair
    networkd.sh(f"rm {SPARES}")
    pair.play("remove", inventory(0))
    pair.reboot()


@pytest.mark.nightly
def test_each_mode_is_the_same_after_a_reboot_and_leaves_nothing(pair):
    installed = pair.states()
    for number in range(len(ROUNDS)):
        assert all(pair.converge(number).values())
        before, table = pair.states(), pair.table(number)
        pair.is_still(before)
        pair.reboot()
        pair.is_still(before)
        assert not any(pair.converge(number).values())
        again = pair.table(number)
        assert not [key for key in again.keys() & table.keys() if again[key] != table[key]]
    done = pair.play("remove", inventory(1))
    assert done.code == 0, done.output
    pair.reboot()
    pair.is_still(installed)
    assert not any(pair.traces().values())


LIVE = "The host is not what the inventory says; site would: "
KEPT = "What comes back after a reboot is not what the inventory says; site would: "
BOOTED = "The host is not what it will be after a reboot, which would: "
STATE = "/etc/kvm.hostnet/state.json"
FORGET = f"import json; s = json.load(open('{STATE}')); s['macvtap_links'] = []; json.dump(s, open('{STATE}', 'w'))"
DELAY = "ip link set br-up0 type bridge forward_delay"
# what somebody does by hand, what `verify` calls that, and whether `site` has something to do
DRIFTS = {
    "ip link del h-up2": (LIVE + "create h-up2", True),
    f"{DELAY} 500": (BOOTED + "bridges: ", False),
    f'python3 -c "{FORGET}"': (KEPT, True),
}


@pytest.mark.nightly
def test_what_somebody_does_by_hand_is_told_and_mended(pair):
    names = ("on-up0", "on-up2")
    drifting = {
        name: {"hostnet_networks": [network for network in networks(0, address) if network["name"] in names]}
        for name, address in NAMES.items()
    }
    assert pair.play("site", drifting).code == 0
    for drift, (told, is_mended) in DRIFTS.items():
        pair.each(lambda host, drift=drift: host.sh(drift))
        verified, checked = pair.play("verify", drifting), pair.play("site", drifting, "--check", "--diff")
        for name in NAMES:
            assert told in (verified.failure(name) or ""), (drift, verified.failure(name))
            assert bool(checked.changed(name)) == is_mended, drift
        assert checked.code == 0 and ("h-up2" in checked.output) == is_mended
        done = pair.play("site", drifting, "-e", "hostnet_verify=false")
        assert done.code == 0 and all(bool(done.changed(name)) == is_mended for name in NAMES)
    pair.each(lambda host: host.sh(f"{DELAY} 0"))
    assert pair.play("verify", drifting).code == 0
