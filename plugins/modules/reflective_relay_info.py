#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: reflective_relay_info
short_description: Tell whether the adjacent switch reflects frames
version_added: 0.1.0
description:
  - Sends one small frame (EtherType 88B5) between two addresses that nobody has out of each interface, and sees whether
    it comes back. It does if the switch port is a reflective relay (IEEE 802.1Qbg), which a Linux bridge calls hairpin.
  - Guests in macvtap mode VEPA reach each other, and the host, only through such a switch.
  - Where lldpad or lldpd runs on the host, the switch's own word is told as well, from its EVB TLV (IEEE 802.1Qbg).
  - Takes a millisecond for each interface that reflects, and 0.6 seconds for one that does not. Changes nothing, except
    that the interface takes frames for others while it waits.
options:
  interfaces:
    description: The uplinks to probe.
    type: list
    elements: str
    required: true
  otherwise:
    description:
      - What happens if an interface does not reflect, besides telling. One of which nothing can be told does not count.
    type: str
    choices: [tell, warn, fail]
    default: tell
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.info
seealso:
  - module: kvm.hostnet.bridges
"""

EXAMPLES = r"""
- name: Probe the uplink
  kvm.hostnet.reflective_relay_info:
    interfaces: [up0]
"""

RETURN = r"""
interfaces:
  description: By interface, what was seen.
  returned: success
  type: dict
  contains:
    reflects:
      description: Whether the switch reflects; null where that cannot be told.
      type: bool
    reason:
      description: What the answer rests on.
      type: str
    evb:
      description: What the switch says of itself by LLDP; null where it does not, or no agent runs.
      type: dict
      contains:
        agent:
          description: Who heard it, V(lldpad) or V(lldpd).
          type: str
        capable:
          description: Whether the switch can reflect.
          type: bool
        reflects:
          description: Whether it says that it does.
          type: bool
    agree:
      description: Whether frames and the switch's own word agree; null if one of the two is missing.
      type: bool
  sample: {up0: {reflects: true, reason: a frame came back, evb: null, agree: null}}
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.reflective_relay import ReflectiveRelay


def main() -> None:
    run(ReflectiveRelay)


if __name__ == "__main__":
    main()
