#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_interfaces_info
short_description: Tell of the network interfaces of libvirt domains in the options of domain_interfaces
version_added: 0.1.0
description:
  - Reads the network interfaces of guests. What it returns as RV(domains) is what M(kvm.hostnet.domain_interfaces)
    takes as O(kvm.hostnet.domain_interfaces#module:domains), and feeding it back changes nothing.
  - Tells as well what runs otherwise than it is defined, and what the host has made of it.
options:
  names:
    description: The domains to tell of. All of them if this is empty.
    type: list
    elements: str
    default: []
  addresses:
    description:
      - Where to ask for the addresses of running guests, the DHCP leases of libvirt's networks, the agent in the
        guest, or the host's ARP table. They are not asked for if left out.
    type: str
    choices: [lease, agent, arp]
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.info
  - kvm.hostnet.attributes.libvirt
notes:
  - Needs pyroute2, packaged as C(python3-pyroute2), for running guests with macvtap interfaces.
seealso:
  - module: kvm.hostnet.domain_interfaces
"""

EXAMPLES = r"""
- name: Read the interfaces of all guests
  kvm.hostnet.domain_interfaces_info:
  register: found

- name: Show what waits for a restart
  ansible.builtin.debug:
    msg: "{{ item.key }}: {{ item.value.interfaces | map(attribute='pending') | flatten | unique | join(', ') }}"
  loop: "{{ found.details | dict2items }}"

- name: Find the address of a guest
  kvm.hostnet.domain_interfaces_info:
    names: [web1]
    addresses: lease
"""

RETURN = r"""
domains:
  description: The domains by name, as the options of M(kvm.hostnet.domain_interfaces).
  returned: success
  type: list
  elements: dict
  sample:
    - name: web1
      interfaces:
        - type: network
          mac: "52:54:00:12:34:56"
          source: {network: lan}
          model: virtio
          address: "0000:00:02.0"
details:
  description: By name of the domain, what is no option.
  returned: success
  type: dict
  contains:
    uuid:
      description: The domain's UUID.
      type: str
    running:
      description: Whether the guest runs.
      type: bool
    persistent:
      description: Whether the domain is defined, and so outlives its being shut off.
      type: bool
    interfaces:
      description:
        - Each interface with its C(mac), the options as they are C(live) (null where it does not run), the options that
          are C(pending) until a restart, its C(place) on the host (C(kind), what it is C(on), its C(link)), what is
          C(ailing), and its C(addresses) if they were asked for.
      type: list
      elements: dict
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.domain_interfaces_info import DomainInterfacesInfo


def main() -> None:
    run(DomainInterfacesInfo)


if __name__ == "__main__":
    main()
