#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: reachability_info
short_description: Measure what guests on libvirt networks reach
version_added: 0.1.0
description:
  - Puts two probe endpoints onto each network, as guests would sit there, and sends frames between them, the host and
    the LAN. Returns what was measured beside what the network's mode promises.
  - The endpoints are links in network namespaces without a name. They are gone when the module ends, however it ends.
    No guest is needed, and none is touched. While it runs, a bridge has more ports and an uplink more links.
  - A conversation counts if it gets its answer, beginning with a broadcast as ARP does. From the LAN to a guest behind
    libvirt's own bridge, a stand-in for the LAN sends through the host's forwarding from a link of its own.
  - In check mode nothing is sent, and each measurement is null.
options:
  networks:
    description: The networks to measure.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the libvirt network.
        type: str
        required: true
      mode:
        description: The mode that the network is meant to be in. What it is in on the host if left out.
        type: str
  lan_peer:
    description:
      - The IPv4 address of a host on the LAN that answers ARP and ping. Without it, networks on an uplink are measured
        against the default gateway, and directions between the LAN and networks behind the host are not measured.
    type: str
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.info
  - kvm.hostnet.attributes.libvirt
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.reflective_relay_info
"""

EXAMPLES = r"""
- name: Does the network do what it promises?
  kvm.hostnet.reachability_info:
    networks:
      - {name: lan, mode: macvtap_vepa}
    lan_peer: 10.88.0.254
  register: reachability

- name: Say what does not hold
  ansible.builtin.debug:
    msg: "{{ reachability.networks | map(attribute='broken') | flatten }}"
"""

RETURN = r"""
networks:
  description: One for each network of the task, in the same order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The network.
      type: str
    mode:
      description: Its mode.
      type: str
    measured:
      description: Whether frames were sent.
      type: bool
    reflects:
      description: Whether the switch behind the uplink reflects; null where guests are not on an uplink.
      type: bool
    guest_to_guest_known_mac:
      description:
        - Whether unicast frames pass between guests that know each other's MAC address. Behind a reflecting switch
          they do even in macvtap private mode, which is therefore no security boundary.
      type: bool
    directions:
      description:
        - By C(guest_to_guest), C(guest_to_lan), C(lan_to_guest), C(guest_to_host) and C(host_to_guest), what is
          C(promised) (V(yes), V(no), or V(if reflected) where it follows the switch), what was C(measured) (null where
          this host offers no way to tell) and whether the promise C(holds).
        - Guests reach each other if one finds the other by ARP, and gets an answer to an IP packet. Where
          only ARP passes, what the LAN answers to ARP is not taken for reaching it.
      type: dict
    broken:
      description: A sentence for each reason why a promise does not hold.
      type: list
      elements: str
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.reachability import Reachability


def main() -> None:
    run(Reachability)


if __name__ == "__main__":
    main()
