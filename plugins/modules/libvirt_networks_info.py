#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_networks_info
short_description: Tell of libvirt networks in the options of libvirt_networks
version_added: 0.1.0
description:
  - Reads the libvirt networks of a host. What it returns as RV(networks) is what M(kvm.hostnet.libvirt_networks) takes
    as O(kvm.hostnet.libvirt_networks#module:networks), and feeding it back changes nothing.
  - Never fails on a network that it has no options for.
options:
  names:
    description: The networks to tell of. All of them if this is empty.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.info
  - kvm.hostnet.attributes.libvirt
seealso:
  - module: kvm.hostnet.libvirt_networks
"""

EXAMPLES = r"""
- name: Read all networks of a host
  kvm.hostnet.libvirt_networks_info:
  register: found

- name: Give another host the same ones
  kvm.hostnet.libvirt_networks:
    networks: "{{ found.networks }}"
"""

RETURN = r"""
networks:
  description: The networks by name, as the options of M(kvm.hostnet.libvirt_networks).
  returned: success
  type: list
  elements: dict
  sample: [{name: lan, state: active, autostart: true, forward: {mode: vepa, interfaces: [up0]}}]
details:
  description: By name of the network, what is no option.
  returned: success
  type: dict
  contains:
    persistent:
      description: Whether the network is defined, and so outlives its being stopped.
      type: bool
    live:
      description: The options as they are in force now; null where the network is not active.
      type: dict
    guests:
      description:
        - The interfaces of guests on the network, with their C(domain), C(mac), C(tap) (null where there is none), and
          whether the tap is C(attached) to the network's bridge (null where there is no tap or no bridge).
      type: list
      elements: dict
    leases:
      description: DHCP leases, with C(mac), C(ip), C(name), and C(expiry) in seconds since 1970.
      type: list
      elements: dict
    ailing:
      description: What keeps the network from working though libvirt calls it active.
      type: list
      elements: str
      sample: [the bridge virbr0 is gone]
    pending:
      description: The options that will change when the network restarts.
      type: list
      elements: str
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.libvirt_networks_info import LibvirtNetworksInfo


def main() -> None:
    run(LibvirtNetworksInfo)


if __name__ == "__main__":
    main()
