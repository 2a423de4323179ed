#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: macvtap_links
short_description: Converge macvtap and macvlan links
version_added: 0.1.0
description:
  - Makes macvtap and macvlan links of the host what the task says, over rtnetlink, all in one process.
  - Settings are changed in place, without making the link anew. The kernel cannot do that for O(links[].kind),
    O(links[].lower), or a change to or from mode V(passthru); see O(allow_recreate).
  - What the kernel would refuse, or accept and not do, is told before anything changes. Each change is read back
    before the task reports success. When a step fails, everything is put back.
  - The links of running guests are libvirt's, and are never touched.
  - Links do not outlive a reboot by themselves; M(kvm.hostnet.persistence) lets them.
options:
  links:
    description: The links. An option that is left out is left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the link, at most 15 bytes.
        type: str
        required: true
      state:
        description: Whether the link is there.
        type: str
        choices: [present, absent]
        default: present
      lower:
        description: The interface that the link sits on. Required for a new link.
        type: str
      kind:
        description: V(macvtap) has a device node for a guest, V(macvlan) is for the host. New links are V(macvtap).
        type: str
        choices: [macvlan, macvtap]
      mode:
        description:
          - What may pass between links of the same lower interface. New links are in mode V(vepa).
        type: str
        choices: [bridge, vepa, private, passthru, source]
      mac:
        description: The MAC address. The kernel makes one up for a new link.
        type: str
      mtu:
        description: The largest packet in bytes, at most that of the lower interface.
        type: int
      up:
        description: Whether the link is up. New links are.
        type: bool
      source_macs:
        description:
          - From which MAC addresses a link in mode V(source) takes frames; the list replaces what is there. The
            kernel forgets it when the link leaves that mode, and lists at most 2000.
        type: list
        elements: str
      nopromisc:
        description:
          - Whether a link in mode V(passthru) leaves its lower interface out of promiscuous mode. Changes only while
            the link is up, since the kernel loses count of its users otherwise, for good.
        type: bool
      bc_queue_len:
        description: How many broadcast and multicast frames may wait for delivery, in frames. Needs Linux 5.11.
        type: int
      allmulti:
        description:
          - Whether the link takes all multicast frames, which IPv6 and mDNS of a guest behind a macvtap need as long
            as its own filters are not trusted.
        type: bool
      addr_gen_mode:
        description:
          - How the host makes up an IPv6 link-local address for the link. New macvtaps have V(none), since the
            address of a guest's MAC is the guest's.
        type: str
        choices: [eui64, none, stable_secret, random]
      addresses:
        description:
          - The host's own addresses on a macvlan, each with its prefix, of both families. The list replaces those of
            global scope.
        type: list
        elements: str
      routes:
        description:
          - Subnets that the host finds right on a macvlan, in the main routing table, such as those of guests on the
            same lower interface. The list replaces what is there.
        type: list
        elements: str
  allow_recreate:
    description:
      - Whether a link may be made anew for what cannot be changed in place. That cuts off its user. The new link has
        the lower interface, kind and mode of the old one and what the task says, and nothing else of it.
    type: bool
    default: false
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.pending_bridges
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.libvirt_networks
"""

EXAMPLES = r"""
- name: A link for the host to talk to guests in macvtap bridge mode
  kvm.hostnet.macvtap_links:
    links:
      - {name: host0, lower: up0, kind: macvlan, mode: bridge, mac: "52:54:00:00:00:fe"}

- name: The same with an address of its own, and the way to the guests
  kvm.hostnet.macvtap_links:
    links:
      - {name: host0, lower: up0, kind: macvlan, mode: bridge, addresses: [192.0.2.9/32], routes: [192.0.2.64/26]}

- name: A macvtap that lets only two senders in
  kvm.hostnet.macvtap_links:
    links:
      - {name: tap7, lower: up0, mode: source, source_macs: ["52:54:00:00:00:01", "52:54:00:00:00:02"]}

- name: No longer
  kvm.hostnet.macvtap_links:
    links:
      - {name: host0, state: absent}
      - {name: tap7, state: absent}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [create host0]
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.macvtap_links import MacvtapLinks


def main() -> None:
    run(MacvtapLinks)


if __name__ == "__main__":
    main()
