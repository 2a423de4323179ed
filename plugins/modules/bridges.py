#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: bridges
short_description: Converge the ports of Linux bridges
version_added: 0.1.0
description:
  - Sets what the ports of existing bridges do with frames, over rtnetlink, all in one process.
  - Each change is read back before the task reports success. When a step fails, everything is put back.
  - Port flags do not outlive a reboot.
options:
  bridges:
    description: The bridges. A port or flag that is left out is left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the bridge, which has to exist.
        type: str
        required: true
      ports:
        description: Ports of the bridge.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: The interface that is the port.
            type: str
            required: true
          hairpin:
            description:
              - Whether frames may go out of the port that they came in. It makes the bridge a reflective relay for
                VEPA hosts behind that port.
            type: bool
          isolated:
            description: Whether the port is cut off from other isolated ports.
            type: bool
          learning:
            description: Whether the bridge learns MAC addresses from the port.
            type: bool
          flood:
            description: Whether the port gets unicast frames for addresses that the bridge does not know.
            type: bool
          mcast_flood:
            description: Whether the port gets multicast frames that nobody has asked for.
            type: bool
          bcast_flood:
            description: Whether the port gets broadcast frames.
            type: bool
          neigh_suppress:
            description: Whether the bridge answers ARP and neighbour requests in the name of others.
            type: bool
          guard:
            description: Whether the port goes down when a spanning-tree frame comes in (BPDU guard).
            type: bool
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.reflective_relay_info
"""

EXAMPLES = r"""
- name: Let a Linux host be the reflecting switch of its neighbour
  kvm.hostnet.bridges:
    bridges:
      - name: br0
        ports:
          - {name: eth2, hairpin: true}

- name: No longer
  kvm.hostnet.bridges:
    bridges:
      - name: br0
        ports:
          - {name: eth2, hairpin: false}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [set eth2]
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.bridges import Bridges


def main() -> None:
    run(Bridges)


if __name__ == "__main__":
    main()
