# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk through the inventories of one host: at each step some of its networks appear, change or vanish.

The same seed gives the same walk.
"""

from __future__ import annotations

import copy

from ansible_collections.kvm.hostnet.plugins.plugin_utils import inventory as product

NAMES = ("a", "b", "c", "d", "e")
OWN_BRIDGE = ("nat", "routed", "open", "isolated")  # modes in which libvirt makes the bridge
TAKES_UPLINK = ("bridge", "ovs")  # modes in which the uplink goes under a bridge of the host
ON_UPLINK = ("macvtap_bridge", "macvtap_private", "passthrough")
UPLINKS = ("up1", "up1", "up2", "up2", "up0")  # the last one carries the login
CABLES = ("far1", "far2")  # to hosts in VEPA mode; another uplink would close a loop
GROUPS = ([], [{"name": "web", "vlan": 10}], [{"name": "web", "vlan": 20}, {"name": "plain", "default": True}])


class Walk:
    """The inventory of one host, and what has become of it."""

    def __init__(self, chance, number, ovs):
        self._chance, self._number = chance, number
        self.modes = (*OWN_BRIDGE, "bridge", *ON_UPLINK, *(["ovs"] if ovs else []))
        self.networks = []
        self.exclusive = False
        self.addressed = set()  #: uplinks with a foreign address, which no port towards VEPA hosts can use
        self.step()

    def variables(self, verify=False):
        return {
            "hostnet_networks": copy.deepcopy(self.networks),
            "hostnet_exclusive": self.exclusive,
            "hostnet_verify": verify,
            "hostnet_persist": False,
            "ansible_remote_tmp": "/run/ansible",  # where what is left is seen
        }

    def step(self):
        """One to three changes, of which each leaves an inventory that makes sense."""
        self.exclusive = self._chance.random() < 0.3
        self._set_up = {network["name"]: network for network in self.networks}
        for _number in range(self._chance.randint(1, 3)):
            for _attempt in range(30):
                changed = self._changed()
                if changed and fits(changed) and not self.addressed & ports_of(changed):
                    self.networks = changed
                    break

    def _changed(self):
        """The networks with one change, or None where it does not apply."""
        networks = copy.deepcopy(self.networks)
        kind = self._chance.choice(["appear", "vanish", "mode", "mode", "address", "dhcp", *_WORDS])
        if kind == "appear" or not networks:
            free = [name for name in NAMES if name not in {network["name"] for network in networks}]
            return [*networks, self._network(self._chance.choice(free))] if free else None
        network = self._chance.choice(networks)
        if kind == "vanish":
            return self._without(networks, network)
        if network.get("state") == "absent":  # it has to be gone before it may come anew
            return None
        changes = {"mode": self._mode, "address": self._address, "dhcp": self._dhcp}
        return networks if changes.get(kind, self._word)(network) else None

    def _network(self, name):
        network = {"name": name, "mode": self._chance.choice(self.modes), "uplink": self._chance.choice(UPLINKS)}
        network["datapath"] = "netdev"  # no kernel module in the lab
        self._address(network)
        for _number in range(2):
            self._word(network)
        return network

    def _without(self, networks, network):
        """First it is to be absent, and then not in the list; the first may be left out where all of it is libvirt's."""
        gone = self._set_up.get(network["name"], {"state": "absent"}).get("state") == "absent"
        if gone or (self.exclusive and not self._leaves(network)):
            networks.remove(network)
            return networks or None
        if network.get("state") == "absent":
            return None
        network["state"] = "absent"
        return networks

    def _leaves(self, network):
        """As it is set up now, or is going to be."""
        return leaves(network) or leaves(self._set_up.get(network["name"], network))

    def _mode(self, network):
        network["mode"] = self._chance.choice([mode for mode in self.modes if mode != network["mode"]])
        return True

    def _address(self, network):
        variant = self._chance.choice((150, 160, 170)) + NAMES.index(network["name"])
        network["address"] = f"192.168.{variant}.1/24"
        if isinstance(network.get("dhcp"), dict):
            network["dhcp"] = True
        return True

    def _dhcp(self, network):
        subnet = network["address"].rpartition(".")[0]
        count = self._chance.randint(0, 3)
        mac = f"52:54:00:{self._number:02x}:{NAMES.index(network['name']):02x}"
        hosts = [{"mac": f"{mac}:{number:02x}", "ip": f"{subnet}.{number + 10}"} for number in range(count)]
        ranges = {"start": f"{subnet}.100", "end": f"{subnet}.{self._chance.choice((120, 140))}"}
        network["dhcp"] = self._chance.choice([False, True, {**ranges, "hosts": hosts}, {"hosts": hosts}])
        return True

    def _word(self, network):
        word = self._chance.choice(_WORDS)
        if word == "uplink" and self._leaves(network):  # what was made for the old one would stay
            return False
        values = _VALUES[word]
        if word == "host_access":
            values = (False, {"address": f"10.88.{self._number + 4}.{NAMES.index(network['name']) + 1}"})
        elif word == "hairpin":
            values = tuple({cable: reflects} for cable in CABLES for reflects in (True, False))
            if network.get("hairpin"):  # another port would stay
                values = tuple(value for value in values if value.keys() == network["hairpin"].keys())
        network[word] = self._chance.choice(values)
        return True


_VALUES = {
    "uplink": UPLINKS,
    "autostart": (True, False),
    "state": ("active", "active", "inactive"),
    "domain": ("", "one.example", "two.example"),
    "multicast": (True, False),
    "portgroups": GROUPS,
    "host_access": (),
    "hairpin": (),
}
_WORDS = tuple(_VALUES)


def present(networks):
    return [network for network in networks if network.get("state") != "absent"]


def ports_of(networks):
    """The ports towards VEPA hosts that any mode would have."""
    return {port for network in networks for port in network.get("hairpin") or {}}


def reflects(network):
    """The ports towards VEPA hosts of a bridge that is wanted now."""
    return {port for port, on in (network.get("hairpin") or {}).items() if on} if network["mode"] == "bridge" else set()


def has_host_access(network):
    return network["mode"] == "macvtap_bridge" and bool(network.get("host_access"))


def leaves(network):
    """Whether it has something on the host that goes only when it is to be absent."""
    return network["mode"] in TAKES_UPLINK or has_host_access(network) or bool(network.get("hairpin"))


def taken(network):
    """What no network may use that is not on the same bridge, by the bridge."""
    if network["mode"] not in TAKES_UPLINK:
        return {}
    return dict.fromkeys({network["uplink"], *(network.get("hairpin") or {})}, (network["mode"], network["uplink"]))


def fits(networks):
    """Whether hosts can be so; what the product itself refuses is not for a soak."""
    here = present(networks)
    by_word = [network["uplink"] for network in networks if "host_access" in network]
    if len(by_word) != len({*by_word}) or product.problems(networks):
        return False
    return all(
        network is other or _side_by_side(network, other, here) for network in networks for other in networks
    ) and all(_alone(network) for network in here)


def _side_by_side(network, other, here):
    if network.get("hairpin") and other.get("hairpin"):
        return False
    if network not in here or other not in here:
        return True
    mine, bridge = taken(network), (other["mode"], other["uplink"])
    if network.get("hairpin") and network["mode"] == "bridge" and bridge == ("bridge", network["uplink"]):
        return False
    if any(port in taken(other) and taken(other)[port] != place for port, place in mine.items()):
        return False
    if other["uplink"] in mine and bridge != mine[other["uplink"]] and other["mode"] not in ("open", "isolated"):
        return False
    exclusive = network["mode"] == "passthrough" and network["uplink"] == other["uplink"]
    return not (exclusive and other["mode"] in ON_UPLINK)


def _alone(network):
    if network["uplink"] in (network.get("hairpin") or {}):
        return False
    return not (network["mode"] == "passthrough" and network["uplink"] == "up0")  # the host itself is on it


def bridge_of(uplink, networks):
    """The bridge of the host that an uplink is to be under, or none."""
    for network in present(networks):
        if network["mode"] in TAKES_UPLINK and network["uplink"] == uplink:
            return f"{'br' if network['mode'] == 'bridge' else 'ovs'}-{uplink}"
    return ""


def carrier(uplink, networks):
    """The link that has the addresses of an uplink."""
    return bridge_of(uplink, networks) or uplink
