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
  - Each change is read back before the task reports success. When a step fails, everything is put back.
  - Links do not outlive a reboot.
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
  allow_recreate:
    description: Whether a link may be made anew for what cannot be changed in place. That cuts off its user.
    type: bool
    default: false
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.libvirt_networks
"""

EXAMPLES = r"""
- name: A link for the host to talk to guests in macvtap bridge mode
  kvm.hostnet.macvtap_links:
    links:
      - {name: host0, lower: up0, kind: macvlan, mode: bridge, mac: "52:54:00:00:00:fe"}

- name: No longer
  kvm.hostnet.macvtap_links:
    links:
      - {name: host0, state: absent}
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
