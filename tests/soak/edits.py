# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody does to a host by hand between two cycles.  Each edit is repaired, or kept, by the next run."""

from __future__ import annotations

import os

from .differences import UPLINKS, bridge
from .inventories import OWN_BRIDGE, bridge_of, carrier, has_host_access, ports_of, present, reflects

PYTHON = """/usr/bin/python3 -B -c '
import libvirt
c = libvirt.open("qemu:///system")
{}'"""
FOREIGN = "<network><name>foreign</name></network>"
DHCP_HOST = '<host mac="52:54:00:ff:00:01" ip="{}"/>'
NETWORK = 'n = c.networkLookupByName("{}")\n'


def _virt(name, line):
    return PYTHON.format(NETWORK.format(name) + line)


def _those(networks, *modes, state="active"):
    return [n for n in present(networks) if n["mode"] in modes and n.get("state", "active") == state]


def stop_a_network(host, networks, now):
    modes = {network["mode"] for network in networks}
    return [_virt(network["name"], "n.destroy()") for network in _those(networks, *modes)]


def start_a_network(host, networks, now):
    modes = {network["mode"] for network in networks}
    return [_virt(network["name"], "n.create()") for network in _those(networks, *modes, state="inactive")]


def undefine_a_network(host, networks, now):
    return [_virt(network["name"], "n.undefine()") for network in present(networks)]


def turn_autostart_over(host, networks, now):
    return [_virt(network["name"], "n.setAutostart(not n.autostart())") for network in present(networks)]


def add_a_dhcp_host(host, networks, now):
    command, section = 3, 4  # VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, VIR_NETWORK_SECTION_IP_DHCP_HOST
    return [
        _virt(
            n["name"],
            f"n.update({command}, {section}, -1, '\"'\"'{DHCP_HOST.format(n['address'].replace('.1/24', '.77'))}'\"'\"', 3)",
        )
        for n in _those(networks, *OWN_BRIDGE)
        if n.get("dhcp")
    ]


def delete_libvirts_bridge(host, networks, now):
    return [f"ip link del {bridge(now, network['name'])}" for network in _those(networks, *OWN_BRIDGE)]


def delete_the_hosts_bridge(host, networks, now):
    """Not the one by which the login goes."""
    bridges = {uplink: bridge_of(uplink, networks) for uplink in UPLINKS[1:]}
    return [
        ("ovs-vsctl del-br {}" if name.startswith("ovs-") else "ip link del {}").format(name)
        for uplink, name in bridges.items()
        if name and not host.addresses.get(uplink)
    ]


def take_a_port_out(host, networks, now):
    bridges = {uplink: bridge_of(uplink, networks) for uplink in UPLINKS[1:]}
    return [
        f"ovs-vsctl del-port {uplink}" if name.startswith("ovs-") else f"ip link set {uplink} nomaster"
        for uplink, name in bridges.items()
        if name and not host.addresses.get(uplink)  # else nobody knows where those go back to
    ]


def turn_a_port_flag_over(host, networks, now):
    return [
        f"bridge link set dev {port} hairpin off" for network in present(networks) for port in sorted(reflects(network))
    ]


def delete_the_hosts_own_link(host, networks, now):
    return [f"ip link del {link}" for link in _own_links(networks)]


def set_the_hosts_own_link_down(host, networks, now):
    return [f"ip link set {link} down" for link in _own_links(networks)]


def take_the_address_of_the_hosts_own_link(host, networks, now):
    return [f"ip addr flush dev {link}" for link in _own_links(networks)]


def turn_the_hosts_own_link_private(host, networks, now):
    return [f"ip link set {link} type macvlan mode private" for link in _own_links(networks)]


def _own_links(networks):
    return [f"h-{network['uplink']}" for network in present(networks) if has_host_access(network)]


def add_a_foreign_address(host, networks, now):
    """It moves with its uplink from then on."""
    return [
        f"ip addr add {foreign_address(uplink)} dev {carrier(uplink, networks)}"
        for uplink in UPLINKS[1:]
        if uplink not in {*host.addresses, *ports_of(networks)}
    ]


def foreign_address(uplink):
    return f"198.51.10{uplink[-1]}.1/24"


def define_a_foreign_network(host, networks, now):
    return [PYTHON.format(f'c.networkDefineXML("{FOREIGN}")')] if not host.networks else []


def kill_dnsmasq(host, networks, now):
    return [f"kill $(cat /run/libvirt/network/{network['name']}.pid)" for network in _those(networks, *OWN_BRIDGE)]


def set_a_bridge_down(host, networks, now):
    names = [bridge_of(uplink, networks) for uplink in UPLINKS[1:]]
    return [f"ip link set {name} down" for name in names if name and not name.startswith("ovs-")]


REPAIRED = (
    stop_a_network,
    start_a_network,
    undefine_a_network,
    turn_autostart_over,
    add_a_dhcp_host,
    delete_libvirts_bridge,
    delete_the_hosts_bridge,
    take_a_port_out,
    turn_a_port_flag_over,
    delete_the_hosts_own_link,
    set_the_hosts_own_link_down,
    take_the_address_of_the_hosts_own_link,
    turn_the_hosts_own_link_private,
    add_a_foreign_address,
    define_a_foreign_network,
    kill_dnsmasq,
    set_a_bridge_down,
)
WITHOUT = os.environ.get("SOAK_WITHOUT", "").split()  # edits to leave out, while what they have found is not repaired


def do_one(chance, host, networks, now, sh):
    """Do one edit, if one is possible on the host; its name and its command."""
    possible = [(edit, edit(host, networks, now)) for edit in REPAIRED if edit.__name__ not in WITHOUT]
    possible = [(edit, commands) for edit, commands in possible if commands]
    if not possible:
        return "", ""
    edit, commands = chance.choice(possible)
    command = chance.choice(commands)
    sh(command)
    if edit is add_a_foreign_address:
        uplink = next(uplink for uplink in UPLINKS if f" {foreign_address(uplink)} " in command)
        host.addresses[uplink] = [foreign_address(uplink)]
    elif edit is define_a_foreign_network:
        host.networks = ["foreign"]
    return edit.__name__, command
