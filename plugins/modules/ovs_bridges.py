#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_bridges
short_description: Converge Open vSwitch bridges, their ports and bonds, and the uplink that moves under one
version_added: 0.1.0
description:
  - Makes the bridges of Open vSwitch and their ports what the task says, all in one process. What changes together is
    one transaction of its database, which happens as a whole or not at all. The task then waits until ovs-vswitchd has
    done it, and fails for an interface that Open vSwitch cannot use.
  - Talks to the database itself (RFC 7047) over its socket, so that no library of Open vSwitch is needed, which some
    distributions have in no repository that is enabled.
  - Moves the uplink of the host under a bridge without losing a connection. Its addresses, routes of all tables,
    rules and neighbours are first added to the bridge, then Open vSwitch makes the uplink a port, and then the uplink
    loses what it had, so that a crash at any moment leaves the host with its address. The bridge has the uplink's MAC
    address. A process of its own puts everything back if the task dies in between. V(absent) takes all of it back.
  - Ports of guests, which libvirt makes and takes away, are never touched. Bridges and ports that this collection made
    bear C(kvm.hostnet) in their C(external_ids).
notes:
  - Open vSwitch keeps its bridges and ports over a reboot by itself, but no addresses. See O(until_reboot).
  - Programs that are bound to the uplink stay bound to it, such as a DHCP client; the task warns of addresses with a
    limited lifetime. Firewall rules that name the uplink are left alone.
options:
  ovs_bridges:
    description: The bridges. A port or option that is left out is left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the bridge.
        type: str
        required: true
      state:
        description: Whether the bridge is there. V(absent) is refused while guests are on the bridge.
        type: str
        choices: [present, absent]
        default: present
      only_own:
        description: With V(absent), whether the bridge is left alone unless this collection made it.
        type: bool
      uplink:
        description:
          - The interface that the bridge stands in for. It becomes a port, and what the host has above it moves to
            the bridge.
          - With V(absent), the port that all goes back to. Needed only if this collection did not make it the uplink.
        type: str
      datapath_type:
        description: V(system), the kernel's, which new bridges have, or V(netdev), the one in user space.
        type: str
        choices: [system, netdev]
      fail_mode:
        description: What the bridge does while no controller answers; V(standalone) is to forward as a switch does.
        type: str
        choices: [standalone, secure]
      stp:
        description: Whether the bridge runs the spanning-tree protocol, which keeps a new port silent for 30 seconds.
        type: bool
      rstp:
        description: Whether the bridge runs the rapid spanning-tree protocol.
        type: bool
      other_config:
        description:
          - Settings of the bridge as Open vSwitch names them, merged with those that there are. An empty text takes a
            setting away, an empty mapping all of them.
        type: dict
      external_ids:
        description: Marks of others on the bridge, merged in the same way.
        type: dict
      mac:
        description: The MAC address. A new bridge has that of its uplink.
        type: str
      up:
        description: Whether the host's own interface on the bridge is up. New ones are.
        type: bool
      ports:
        description: Ports of the bridge with one interface each.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name of the port and of its interface.
            type: str
            required: true
          state:
            description: Whether it is a port of the bridge.
            type: str
            choices: [present, absent]
            default: present
          tag:
            description: The VLAN of the port, from 1 to 4094, or V(0) for none.
            type: int
          trunks:
            description: The VLANs that a trunk carries; all if empty.
            type: list
            elements: int
          vlan_mode:
            description: How the port treats VLANs, as Open vSwitch names it.
            type: str
            choices: [access, dot1q-tunnel, native-tagged, native-untagged, trunk]
          type:
            description: The type of the interface, such as V(internal) or V(patch). Empty for one of the host's.
            type: str
          options:
            description: Options of the type, such as C(peer) of a patch, merged with those that there are.
            type: dict
          external_ids:
            description: Marks of others on the interface, merged with those that there are.
            type: dict
      bonds:
        description: Ports of the bridge with several interfaces each.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name of the bond.
            type: str
            required: true
          state:
            description: Whether it is on the bridge.
            type: str
            choices: [present, absent]
            default: present
          tag:
            description: The VLAN of the bond, from 1 to 4094, or V(0) for none.
            type: int
          trunks:
            description: The VLANs that it carries; all if empty.
            type: list
            elements: int
          vlan_mode:
            description: How the bond treats VLANs, as Open vSwitch names it.
            type: str
            choices: [access, dot1q-tunnel, native-tagged, native-untagged, trunk]
          interfaces:
            description: The interfaces of the bond, two at least.
            type: list
            elements: str
          bond_mode:
            description: Which interface a frame goes out of. V(balance-tcp) needs O(ovs_bridges[].bonds[].lacp).
            type: str
            choices: [active-backup, balance-slb, balance-tcp]
          lacp:
            description: Whether the bond speaks LACP with the switch.
            type: str
            choices: [active, passive, "off"]
      exclusive_ports:
        description:
          - Whether ports that are not listed leave the bridge. Its uplink stays, and so do ports of guests.
        type: bool
        default: false
  until_reboot:
    description:
      - Whether what an uplink has may move to a bridge though nothing puts it there after a reboot. V(false) refuses.
    type: bool
    default: true
  pending_bridges:
    description:
      - Linux bridges that an earlier task of the same run removes. Check mode takes that for done.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.bridges
"""

EXAMPLES = r"""
- name: Bring the uplink, with the address that this login uses, under an Open vSwitch bridge
  kvm.hostnet.ovs_bridges:
    ovs_bridges:
      - {name: ovs-up0, uplink: up0}

- name: A bridge with a bond towards the switch, and a port of the host's own in VLAN 10
  kvm.hostnet.ovs_bridges:
    ovs_bridges:
      - name: ovs1
        ports:
          - {name: mgmt0, type: internal, tag: 10}
        bonds:
          - {name: bond0, interfaces: [up1, up2], bond_mode: active-backup}

- name: No longer
  kvm.hostnet.ovs_bridges:
    ovs_bridges:
      - {name: ovs-up0, state: absent}
      - {name: ovs1, state: absent}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [create ovs0, move up0]
moves:
  description: The uplinks that were moved.
  returned: success
  type: list
  elements: dict
  contains:
    uplink:
      description: The uplink.
      type: str
    bridge:
      description: The bridge that it is under now; null if it was taken back.
      type: str
    milliseconds:
      description: How long the switch-over took.
      type: float
  sample: [{uplink: up0, bridge: ovs0, milliseconds: 9.4}]
ovs_bridges:
  description: The bridges of the task as they are now, without ports of guests, as options that this module takes.
  returned: success
  type: list
  elements: dict
  sample: [{name: ovs0, state: present, datapath_type: system, ports: [{name: up0, trunks: []}], bonds: []}]
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.ovs_bridges import OvsBridges


def main() -> None:
    run(OvsBridges)


if __name__ == "__main__":
    main()
