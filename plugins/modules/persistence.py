#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: persistence
short_description: Let bridges, macvtap links and virtual functions come back when the host boots
version_added: 0.1.0
description:
  - Keeps what the modules M(kvm.hostnet.bridges), M(kvm.hostnet.macvtap_links) and M(kvm.hostnet.sriov_functions) made
    of a host, so that it is there again after a reboot, with no Ansible run between. Give it the same lists.
  - All that is kept is in one file, C(/etc/kvm.hostnet/state.json). Replacing that file as a whole is the commit.
  - A bridge with an uplink belongs to the network manager that keeps the uplink, be it systemd-networkd, with or
    without netplan, or NetworkManager. The bridge gets the uplink's own profile, so DHCP, DNS and routes carry over,
    also when the user edits that profile later. Files for the manager are made in C(/run) only, now and at each boot;
    the user's own stay as they are, and are what the host boots with if ours are not there.
  - What no manager can carry, which is port flags, macvtap links and virtual functions, is converged at boot, before
    libvirt starts, by a unit that runs the same code from the file.
  - A bridge whose uplink has no addresses, and no manager that keeps it, is made by that unit as well.
  - The manager takes over what is there, without a gap in connections; what is there is read back. systemd-networkd
    and NetworkManager are restarted for that, as they go on with what they find only when they start.
  - Within a transaction of the role, all of it lasts until the next boot only, until the transaction is confirmed.
options:
  bridges:
    description:
      - Bridges, as in O(kvm.hostnet.bridges#module:bridges). They merge with what is kept of the same name; V(absent)
        is kept no longer.
    type: list
    elements: dict
    default: []
  macvtap_links:
    description: Links, as in O(kvm.hostnet.macvtap_links#module:links).
    type: list
    elements: dict
    default: []
  sriov_functions:
    description: NICs, as in O(kvm.hostnet.sriov_functions#module:functions).
    type: list
    elements: dict
    default: []
  exclusive:
    description: Whether what is not listed is kept no longer.
    type: bool
    default: false
notes:
  - A host whose links are kept by ifupdown, or by nobody, cannot be told of a bridge for the uplink that it has its
    addresses on; the module says so before anything changes.
  - IPv6 addresses that NetworkManager makes up from the name of an interface (V(stable-privacy)) change with it.
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.bridges
  - module: kvm.hostnet.macvtap_links
  - module: kvm.hostnet.sriov_functions
"""

EXAMPLES = r"""
- name: Bring the uplink under a bridge, and let it be so after a reboot
  block:
    - name: Now
      kvm.hostnet.bridges:
        bridges: "{{ wanted }}"
    - name: Later
      kvm.hostnet.persistence:
        bridges: "{{ wanted }}"
  vars:
    wanted:
      - {name: br0, uplink: up0}

- name: Give a NIC its virtual functions at each boot
  kvm.hostnet.persistence:
    sriov_functions:
      - {name: eth1, vf_count: 4, up: true}

- name: Let one of them come back no longer
  kvm.hostnet.persistence:
    bridges:
      - {name: br0, state: absent}

- name: Keep nothing any more
  kvm.hostnet.persistence:
    exclusive: true
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [write /run/systemd/network/05-kvm.hostnet-br0.network, adopt br0, keep /etc/kvm.hostnet/state.json]
boot_drift:
  description:
    - The steps that booting now would take on the host as it is. Where there are none, the host is what is kept.
  returned: success
  type: list
  elements: str
  sample: ["bridges: set port up0"]
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.persistence import Persistence


def main() -> None:
    run(Persistence)


if __name__ == "__main__":
    main()
