#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: evb_stations
short_description: Have lldpad speak EVB with the adjacent switch
version_added: 0.1.0
description:
  - Sets ports of lldpad up as stations of Edge Virtual Bridging (IEEE 802.1Qbg), which ask the switch to reflect
    frames. lldpad then also associates guests with the switch (VDP) for libvirt networks of virtualport type 802.1Qbg.
  - Of each port, its agent towards the nearest customer bridge sends and receives (C(adminStatus=rxtx)), and its EVB
    TLV is on (C(enableTx=yes)), of a station (C(evbmode=station)) that wants reflective relay (C(evbrrreq=yes)).
  - Reads first and sets what differs. What was written is read back. When a step fails, everything is put back. lldpad
    keeps it over its restarts.
notes:
  - Needs lldpad and lldptool, and lldpad running. The role C(kvm.hostnet.evb) starts it.
  - lldpd must not speak at the same ports; the task warns of that. NetworkManager only listens to LLDP, which does no
    harm.
options:
  ports:
    description: The interfaces towards switches. Others are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The interface. It has to be up and have carrier, or lldpad does not know it.
        type: str
        required: true
      state:
        description: Whether lldpad speaks EVB there. V(absent) sets what this sets back to lldpad's defaults.
        type: str
        choices: [present, absent]
        default: present
  pending:
    description:
      - Whether an earlier task of the same run starts lldpad. Check mode takes that for done, which it has not been.
    type: bool
    default: false
extends_documentation_fragment:
  - kvm.hostnet.attributes
seealso:
  - module: kvm.hostnet.reflective_relay_info
  - module: kvm.hostnet.libvirt_networks
"""

EXAMPLES = r"""
- name: Ask the switches behind two uplinks to reflect
  kvm.hostnet.evb_stations:
    ports:
      - {name: eth1}
      - {name: eth2}

- name: No longer at one of them
  kvm.hostnet.evb_stations:
    ports:
      - {name: eth2, state: absent}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [set eth1, silence eth2]
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.evb_stations import EvbStations


def main() -> None:
    run(EvbStations)


if __name__ == "__main__":
    main()
