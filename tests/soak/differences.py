# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has that its inventory does not explain, or lacks; one sentence each.  Pure."""

from __future__ import annotations

import json
import re

from .inventories import CABLES, OWN_BRIDGE, bridge_of, carrier, has_host_access, present, reflects

FORWARD = {
    "nat": "nat",
    "routed": "route",
    "open": "open",
    "isolated": "",
    "bridge": "bridge",
    "ovs": "bridge",
    "macvtap_bridge": "bridge",
    "macvtap_private": "private",
    "passthrough": "passthrough",
}
FIREWALLED = ("nat", "routed", "isolated")
WITHOUT_FILES = ("libvirtd", "sshd")  # daemons that hold no file of a network open
UPLINKS = ("up0", "up1", "up2")
OF_THE_DATAPATH = {"ovs-netdev"}  # comes with the first bridge of Open vSwitch in user space
# files of a network, and of the bridge that libvirt makes for it
FILES = (
    "/etc/libvirt/qemu/networks/{name}.xml",
    "/etc/libvirt/qemu/networks/autostart/{name}.xml",
    "/run/libvirt/network/{name}.xml",
    "/var/lib/libvirt/dnsmasq/{name}.conf",
    "/var/lib/libvirt/dnsmasq/{name}.addnhosts",
    "/var/lib/libvirt/dnsmasq/{name}.hostsfile",
    "/var/lib/libvirt/dnsmasq/{bridge}.status",
    "/var/lib/libvirt/dnsmasq/{bridge}.macs",
)
# what daemons keep for themselves, and what libvirt leaves of a dnsmasq that has ended: its number, and its leases
NOISE = re.compile(
    r"/run/libvirt/common/|/run/openvswitch/|/run/libvirt/network/[a-e]\.pid$|/var/lib/libvirt/dnsmasq/virbr\d\.status$"
)


class Host:
    """One host: what it was before the first cycle, what others have put there, and what each network looked like."""

    def __init__(self, name, before):
        self.name = name
        self.before = before
        self.addresses = {}  #: foreign ones, by uplink
        self.networks = []  #: foreign ones
        self._seen = {}

    def differences(self, networks, now):
        """All that the inventory does not explain."""
        found = [
            *_networks(networks, self.networks, now),
            *_links(networks, self.before, now),
            *_uplinks(networks, now),
            *self._addresses(networks, now),
            *_processes(networks, self.before, now),
            *_rules(networks, self.before, now),
            *_files(now, self.before),
        ]
        return found or [*self._as_before(networks, now)]

    def _addresses(self, networks, now):
        wanted = {link: list(told) for link, told in self.before["addresses"].items()}
        wanted["up0"] = []
        own = {"up0": self.before["addresses"]["up0"]}
        for uplink in UPLINKS:
            wanted[uplink] = []
        for uplink in UPLINKS:
            place = carrier(uplink, networks)
            wanted[place] = sorted([*own.get(uplink, []), *self.addresses.get(uplink, [])])
        for network in present(networks):
            if has_host_access(network):
                wanted[f"h-{network['uplink']}"] = [f"{network['host_access']['address']}/32"]
            if _active(network) and network["mode"] in OWN_BRIDGE:
                wanted[bridge(now, network["name"])] = [network["address"]]
        for link in sorted({*wanted, *now["addresses"]}):
            if wanted.get(link, []) != now["addresses"].get(link, []):
                yield f"{link} has the addresses {now['addresses'].get(link)}, not {wanted.get(link, [])}"

    def _as_before(self, networks, now):
        """A network looks as it did when its entry was set up for the first time."""
        for network in present(networks):
            entry = json.dumps(network, sort_keys=True)
            look = _look(network, now)
            first = self._seen.setdefault(entry, look)
            for part, told in look.items():
                if told != first[part]:
                    yield f"network {network['name']}: {part} was {first[part]} with the same entry, and is {told}"


def _active(network):
    return network.get("state", "active") == "active"


def bridge(now, name):
    """The bridge of a network, as libvirt's document names it."""
    found = re.search(r"<bridge name=.(\S+?)['\"]", now["networks"].get(name, {}).get("live", ""))
    return found[1] if found else ""


def _networks(networks, foreign, now):
    wanted = {network["name"]: network for network in present(networks)}
    for name in sorted({*wanted, *foreign} ^ {*now["networks"]}):
        yield f"network {name} is {'there' if name in now['networks'] else 'missing'}"
    for name in sorted({*wanted} & {*now["networks"]}):
        told = now["networks"][name]
        asked = {"active": _active(wanted[name]), "autostart": wanted[name].get("autostart", True), "persistent": True}
        if asked != {word: told[word] for word in asked}:
            yield f"network {name} is { ({word: told[word] for word in asked}) }, not {asked}"
        forward = re.search(r"<forward .*?mode=.(\w+)", told["kept"])
        if FORWARD[wanted[name]["mode"]] != (forward[1] if forward else ""):
            yield f"network {name} is in forward mode {forward and forward[1]}, not that of {wanted[name]['mode']}"


def _links(networks, before, now):
    wanted = {*before["links"]}
    for network in present(networks):
        if network["mode"] in OWN_BRIDGE and _active(network):
            wanted.add(bridge(now, network["name"]))
        if has_host_access(network):
            wanted.add(f"h-{network['uplink']}")
    wanted |= {bridge_of(uplink, networks) for uplink in UPLINKS} - {""}
    if any(network["mode"] == "ovs" for network in present(networks)):
        wanted |= OF_THE_DATAPATH
    for name in sorted(wanted ^ {*now["links"]}):
        yield f"link {name} is {'there' if name in now['links'] else 'missing'}"
    for name, link in now["links"].items():
        if not link["up"] and name not in OF_THE_DATAPATH:
            yield f"link {name} is down"
        if name.startswith("h-") and (link["kind"], link["mode"], link["lower"]) != ("macvlan", "bridge", name[2:]):
            yield f"link {name} is {link}"


def _uplinks(networks, now):
    """Each uplink, and each port towards VEPA hosts, is under its bridge."""
    ports = {port: f"br-{n['uplink']}" for n in present(networks) for port in reflects(n)}
    ovs = {}
    for uplink in (*UPLINKS, *CABLES):
        under = ports.get(uplink) or bridge_of(uplink, networks)
        if under.startswith("ovs-"):
            ovs[under] = [uplink]
        told = now["links"].get(uplink, {})
        wanted = (under if under.startswith("br-") else "", uplink in ports)
        if (told.get("master"), told.get("hairpin")) != wanted:
            yield f"{uplink} is under ({told.get('master')}, hairpin {told.get('hairpin')}), not {wanted}"
    if now["ovs"] != ovs:
        yield f"Open vSwitch has {now['ovs']}, not {ovs}"


def _processes(networks, before, now):
    serving = [network for network in present(networks) if _active(network) and network["mode"] in OWN_BRIDGE]
    # with DHCP, a second one tells libvirt of leases
    wanted = {network["name"]: 2 if network.get("dhcp") else 1 for network in serving}
    if now["dnsmasq"] != wanted:
        yield f"dnsmasq processes: {now['dnsmasq']}, not {wanted}"
    for line in now["processes"]:
        if now["processes"].count(line) > before["processes"].count(line):
            yield f"process {line}"
    for line in {*before["processes"]} - {*now["processes"]}:
        yield f"process {line} has ended"
    if now["namespaces"] != before["namespaces"]:
        yield f"network namespaces: {now['namespaces']}, not {before['namespaces']}"
    if now["sessions"] > 1:
        yield f"{now['sessions']} ssh sessions"
    for name in WITHOUT_FILES:  # a connection that has just ended may still have one
        told = now["daemons"][name]
        if told["fds"] > before["daemons"][name]["fds"] + 2:
            yield f"{name} has {told['fds']} open files, and had {before['daemons'][name]['fds']}"


def rules_of(network, now):
    """The rules that name the bridge or the subnet of a network."""
    words = {bridge(now, network["name"]), network["address"].replace(".1/", ".0/")} - {""}
    return [rule for rule in now["rules"] if words & {*rule.split()}]


def _rules(networks, before, now):
    unexplained = {*now["rules"]} - {*before["rules"]}
    for network in present(networks):
        own = rules_of(network, now) if _active(network) and network["mode"] in OWN_BRIDGE else []
        unexplained -= {*own}
        if bool(own) != (_active(network) and network["mode"] in FIREWALLED):
            yield f"network {network['name']} ({network['mode']}) has {len(own)} firewall rules"
        if len(own) != len({*own}):
            yield f"network {network['name']} has firewall rules twice: {own}"
    yield from (f"firewall rule {rule} belongs to no network" for rule in sorted(unexplained))
    yield from (f"firewall rule {rule} is gone" for rule in sorted({*before["rules"]} - {*now["rules"]}))


def _files(now, before):
    """Files of networks and bridges that are there, and what there was before."""
    known = {*before["files"]}
    for name in now["networks"]:
        known |= {form.format(name=name, bridge=bridge(now, name)) for form in FILES}
    for path in now["files"]:
        if path not in known and not NOISE.match(path):
            yield f"file {path}"


def _look(network, now):
    """How libvirt, the firewall and the links hold a network, without names and numbers that are given by chance."""
    own = bridge(now, network["name"]) if network["mode"] in OWN_BRIDGE else ""

    def plain(text):
        return re.sub(rf"\b{own}\b", "BRIDGE", text) if own else text

    told = now["networks"][network["name"]]
    # libvirt counts who is connected, and picks an identity of its own; a bridge is named when it is first made; the
    # ports of NAT, which are libvirt's own, it tells of what runs, and so of a network that got its definition from that
    chance = re.compile(
        r"\s*<uuid>.*|\s*<mac address=.*(?=\n  <)|\s*<mac address='\S*'/>(?=\n  <)| connections='\d+'"
        r"|\s*<nat>\s*<port start='1024' end='65535'/>\s*</nat>"
    )
    kept = chance.sub("", plain(told["kept"]))
    live = chance.sub("", plain(told["live"])) if told["active"] else ""
    rules = [plain(rule) for rule in rules_of(network, now)] if live and own else []
    return {"what libvirt keeps": kept, "the live document": live, "the firewall": sorted(rules)}


def left_over(before, now):
    """What differs from the time before the first cycle when all networks are removed."""
    parts = ("links", "addresses", "routes", "rules", "networks", "dnsmasq", "processes", "namespaces", "ovs")
    for part in parts:
        if now[part] != before[part]:
            yield f"{part}: {_both(before[part], now[part])}"
    for path in sorted({*before["files"]} ^ {*now["files"]}):
        if not NOISE.match(path):
            yield f"file {path} is {'there' if path in now['files'] else 'gone'}"
    for name, told in before["daemons"].items():
        if now["daemons"][name]["fds"] > told["fds"]:
            yield f"{name} has {now['daemons'][name]['fds']} open files, and had {told['fds']}"


def _both(before, now):
    if isinstance(before, dict):
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        return {key: (before.get(key), now.get(key)) for key in keys}
    return {"gone": [x for x in before if x not in now], "new": [x for x in now if x not in before]}
