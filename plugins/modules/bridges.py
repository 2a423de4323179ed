#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bridges
short_description: Converge Linux bridges, their ports, and the uplink that moves under one
version_added: 0.1.0
description:
  - Makes bridges of the host and their ports what the task says, over rtnetlink, all in one process.
  - Moves the uplink of the host under a bridge without losing a connection. Its addresses, routes of all tables,
    rules and neighbours are first added to the bridge. One system call then makes the uplink a port and deletes what
    it had, so that a crash at any moment leaves the host with its address, and the bridge has the uplink's MAC
    address. A process of its own puts everything back if the task dies in between. V(absent) takes all of it back to
    the uplink.
  - What the kernel would refuse is told before anything changes. Each change is read back before the task reports
    success. When a step fails, everything is put back.
  - A new port that is on the same LAN as another port would close a loop, which takes that LAN down. A frame from one
    to the other finds out, and the task refuses, unless the bridge runs STP or filters VLANs. In check mode no frame is
    sent, so a loop is not foreseen there.
  - Bridges do not outlive a reboot by themselves; M(kvm.hostnet.persistence) lets them.
notes:
  - Programs that are bound to the uplink stay bound to it, such as a DHCP client; the task warns of addresses with a
    limited lifetime. Firewall rules that name the uplink are left alone.
options:
  bridges:
    description: The bridges. A port or option that is left out is left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the bridge, or with O(bridges[].hwmode) of the NIC.
        type: str
        required: true
      state:
        description:
          - Whether the bridge is there. V(absent) is refused while guests are on the bridge.
        type: str
        choices: [present, absent]
        default: present
      uplink:
        description:
          - The interface that the bridge stands in for. It becomes a port, and what the host has above it moves to
            the bridge.
          - With V(absent), the port that all goes back to. Needed only if no port has the MAC address of the bridge.
        type: str
      only_own:
        description:
          - With V(absent), whether the bridge is left alone unless this collection made it, which its alias tells.
        type: bool
      stp:
        description: Whether the bridge runs the spanning-tree protocol. New bridges do not.
        type: bool
      forward_delay:
        description:
          - Seconds that a port listens and learns before it forwards. V(0) for new bridges. With O(bridges[].stp) it
            is from 2 to 30, and V(15) if there was none.
        type: float
      hello_time:
        description: Seconds between messages of the spanning tree, from 1 to 10.
        type: float
      max_age:
        description: Seconds after which the spanning tree gives a silent bridge up, from 6 to 40.
        type: float
      ageing_time:
        description: Seconds after which a MAC address is forgotten.
        type: float
      priority:
        description: The priority of the bridge for the spanning tree, from 0 to 65535.
        type: int
      vlan_filtering:
        description: Whether ports belong to VLANs. Needs a kernel with VLAN filtering of bridges.
        type: bool
      vlan_default_pvid:
        description: The VLAN of new ports; 0 for none.
        type: int
      mcast_snooping:
        description: Whether multicast goes only where somebody has asked for it.
        type: bool
      group_fwd_mask:
        description:
          - Which frames to 01-80-C2-00-00-0X are forwarded, one bit each but for the lowest three. 16384
            lets LLDP through.
        type: int
      mac:
        description: The MAC address. A new bridge has that of its uplink.
        type: str
      mtu:
        description: The largest packet in bytes. A new bridge has that of its uplink.
        type: int
      up:
        description: Whether the bridge is up. New bridges are.
        type: bool
      vlans:
        description:
          - The VLANs of the host itself on the bridge. The list replaces what is there.
          - Counts with O(bridges[].vlan_filtering) only. Needs a kernel with VLAN filtering of bridges.
        type: list
        elements: dict
        suboptions:
          vid:
            description: A VLAN from 1 to 4094, or a range such as V(20-29).
            type: str
            required: true
          pvid:
            description: Whether frames that come in untagged belong to it. At most one VLAN is.
            type: bool
            default: false
          untagged:
            description: Whether its frames go out untagged.
            type: bool
            default: false
      guest_ports:
        description: What all taps of guests on the bridge are set to. A guest that starts later is not.
        type: dict
        suboptions: &flags
          hairpin:
            description:
              - Whether frames may go out of the port that they came in. It makes the bridge a reflective relay for
                VEPA hosts behind that port.
            type: bool
          isolated:
            description:
              - Whether the port is cut off from other isolated ports.
            type: bool
          learning:
            description:
              - Whether the bridge learns MAC addresses from the port.
            type: bool
          flood:
            description:
              - Whether the port gets unicast frames for addresses that the bridge does not know.
            type: bool
          mcast_flood:
            description:
              - Whether the port gets multicast frames that nobody has asked for.
            type: bool
          bcast_flood:
            description:
              - Whether the port gets broadcast frames.
            type: bool
          neigh_suppress:
            description:
              - Whether the bridge answers ARP and neighbour requests in the name of others.
            type: bool
          guard:
            description:
              - Whether the port goes down when a spanning-tree frame comes in (BPDU guard).
            type: bool
          root_block:
            description:
              - Whether the port may never lead to the root of the spanning tree.
            type: bool
          fast_leave:
            description:
              - Whether a multicast group is left at once when a leave message comes in.
            type: bool
          mcast_to_unicast:
            description:
              - Whether multicast goes to each subscriber as unicast.
            type: bool
          proxy_arp:
            description:
              - Whether the bridge answers ARP requests in the name of hosts behind other ports.
            type: bool
          locked:
            description:
              - Whether the port takes frames only from addresses that the bridge was told of (IEEE 802.1X). Needs
                Linux 5.16.
            type: bool
          mab:
            description:
              - Whether a locked port lets the bridge know of unknown addresses (MAC authentication bypass). Needs
                Linux 6.2.
            type: bool
          cost:
            description: The path cost of the port for the spanning tree, from 1 to 65535.
            type: int
          priority:
            description: The priority of the port for the spanning tree, from 0 to 63.
            type: int
      ports:
        description: Ports of the bridge.
        type: list
        elements: dict
        suboptions:
          <<: *flags
          name:
            description: The interface that is the port.
            type: str
            required: true
          state:
            description: Whether it is a port of the bridge.
            type: str
            choices: [present, absent]
            default: present
          vlans:
            description:
              - The VLANs of the port. The list replaces what is there.
              - Counts with O(bridges[].vlan_filtering) only. Needs a kernel with VLAN filtering of bridges.
            type: list
            elements: dict
            suboptions:
              vid:
                description: A VLAN from 1 to 4094, or a range such as V(20-29).
                type: str
                required: true
              pvid:
                description: Whether frames that come in untagged belong to it. At most one VLAN is.
                type: bool
                default: false
              untagged:
                description: Whether its frames go out untagged.
                type: bool
                default: false
      hwmode:
        description:
          - The mode of the switch that a NIC with virtual functions has of its own. V(vepa) sends all frames between
            its functions through the adjacent switch. The name is then that of the NIC, and no other option applies.
        type: str
        choices: [veb, vepa]
  pending_links:
    description:
      - Links that an earlier task of the same run removes, or takes the ports of away. Check mode takes that for done,
        which it has not been.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.reflective_relay_info
"""

EXAMPLES = r"""
- name: Bring the uplink, with the address that this login uses, under a bridge
  kvm.hostnet.bridges:
    bridges:
      - {name: br0, uplink: up0}

- name: Cut the guests on it off from each other
  kvm.hostnet.bridges:
    bridges:
      - {name: br0, guest_ports: {isolated: true}}

- name: Let a Linux host be the reflecting switch of its neighbour
  kvm.hostnet.bridges:
    bridges:
      - name: br1
        ports:
          - {name: eth2, hairpin: true}

- name: No longer
  kvm.hostnet.bridges:
    bridges:
      - {name: br0, state: absent}
      - {name: br1, state: absent}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [create br0, move up0]
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
  sample: [{uplink: up0, bridge: br0, milliseconds: 2.1}]
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.bridges import Bridges


def main() -> None:
    run(Bridges)


if __name__ == "__main__":
    main()
