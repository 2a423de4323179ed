#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sriov_functions
short_description: Converge the SR-IOV virtual functions of NICs
version_added: 0.1.0
description:
  - Makes NICs have as many virtual functions as the task says, and each of those what the task says, all NICs of a host
    in one process.
  - A count changes by way of none, which takes the settings of all virtual functions along. The module gives them
    again to those that stay.
  - Nobody loses a virtual function by it. While any of them is in use, its NIC's count does not change, and neither
    does its driver, its name or its MAC address. In use is what a running guest has, or a process through vfio, or
    what a macvtap or another link sits on, is a port of something, has moved to another network namespace, or has
    addresses or routes.
  - What libvirt has given a virtual function for a guest, its MAC address, VLAN and driver, is left alone until libvirt
    takes it back. Other settings change under the running guest.
  - Virtual functions and all their settings are gone with a reboot, unless M(kvm.hostnet.persistence) keeps them.
options:
  functions:
    description: The NICs, that is their physical functions. An option that is left out is left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The NIC, by its name, an alternative name, its PCI address, or its permanent MAC address.
        type: str
        required: true
      state:
        description:
          - V(absent) brings the NIC back to what it was before this module first changed it since the host booted, or
            to no virtual functions where that is not known.
        type: str
        choices: [present, absent]
        default: present
      only_own:
        description: Whether V(absent) leaves a NIC alone that this module has not changed since the host booted.
        type: bool
        default: false
      vf_count:
        description: How many virtual functions there are; V(0) is none.
        type: int
      drivers_autoprobe:
        description: Whether new virtual functions get their driver, and so an interface, at once.
        type: bool
      eswitch_mode:
        description:
          - The mode of the switch in the NIC, for drivers that have one (devlink). A change of it makes the virtual
            functions anew.
        type: str
        choices: [legacy, switchdev]
      up:
        description: Whether the NIC is up. Settings of virtual functions need it, and rates a carrier besides.
        type: bool
      unmanaged:
        description:
          - Whether the host's own network managers are kept off the interfaces of the virtual functions,
            NetworkManager and systemd-networkd alike, by a udev rule that lasts until the next boot.
        type: bool
      every_vf:
        description: What each virtual function is given. O(functions[].vfs) goes before it.
        type: dict
        suboptions: &shared
          vlan:
            description:
              - The VLAN that frames of the virtual function are in, without its knowing. What is left out keeps its
                value; V({}) clears.
            type: dict
            suboptions:
              id:
                description: The number of the VLAN, from 1 to 4094; V(0) for none, which leaves the priority alone.
                type: int
              qos:
                description: The priority of the frames, from 0 to 7.
                type: int
              protocol:
                description: The protocol of the tag.
                type: str
                choices: [802.1Q, 802.1ad]
          spoofchk:
            description:
              - Whether frames are dropped that come from another MAC address than that of the virtual function.
            type: bool
          trust:
            description:
              - Whether the virtual function may do what others may not, such as changing its MAC address or receiving
                all multicast, which IPv6 needs with some NICs.
            type: bool
          link_state:
            description: Whether the virtual function sees the link of the NIC, or one that is always up or down.
            type: str
            choices: [auto, enable, disable]
          min_tx_rate:
            description: What the virtual function may send at least, in Mbit/s; V(0) for no promise.
            type: int
          max_tx_rate:
            description: What the virtual function may send at most, in Mbit/s; V(0) for no limit.
            type: int
          rss_query:
            description: Whether the virtual function may ask how the NIC spreads received frames over its queues.
            type: bool
          driver:
            description:
              - The driver, such as V(vfio-pci) for a guest that is not libvirt's, or V(none). An empty text means its
                own.
              - Networks of libvirt that are managed need none of that; libvirt takes and gives back the driver.
            type: str
      vfs:
        description: What single virtual functions are given.
        type: list
        elements: dict
        suboptions:
          index:
            description: Which one, counted from 0.
            type: int
            required: true
          mac:
            description:
              - The MAC address that the NIC holds the virtual function to. Its driver is loaded anew to hear of it. An
                empty text leaves it to the driver.
            type: str
          node_guid:
            description: The node GUID, of InfiniBand. An empty text clears.
            type: str
          port_guid:
            description: The port GUID, of InfiniBand. An empty text clears.
            type: str
          name:
            description: The name of its interface.
            type: str
          <<: *shared
      reset:
        description:
          - Whether settings of virtual functions that the task leaves out go back to their defaults, but for MAC
            addresses, GUIDs and names. Those are what the driver gave new virtual functions, or else C(spoofchk) on,
            C(link_state) V(auto), the own driver, and all else off.
        type: bool
        default: false
  iommu:
    description:
      - Whether virtual functions are for guests as whole devices, which needs an IOMMU. The task fails before anything
        changes if there is none.
    type: bool
    default: false
  force:
    description:
      - Whether virtual functions that are in use may be taken away, but for those that a process has open through vfio.
        The kernel would wait for such a process without end.
    type: bool
    default: false
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.netlink
seealso:
  - module: kvm.hostnet.libvirt_networks
  - module: kvm.hostnet.host_info
"""

EXAMPLES = r"""
- name: Four virtual functions, for libvirt to hand out
  kvm.hostnet.sriov_functions:
    functions:
      - {name: enp1s0, vf_count: 4, up: true, unmanaged: true, every_vf: {spoofchk: true, trust: false}}
    iommu: true

- name: Settings of some, each in its own way
  kvm.hostnet.sriov_functions:
    functions:
      - name: "0000:01:00.0"
        every_vf: {max_tx_rate: 500}
        vfs:
          - {index: 0, mac: "52:54:00:12:34:56", vlan: {id: 100, qos: 3}, trust: true}
          - {index: 1, driver: vfio-pci}

- name: No rate, no VLAN, its own driver, and a MAC address of the driver's choice
  kvm.hostnet.sriov_functions:
    functions:
      - {name: enp1s0, reset: true, vfs: [{index: 0, mac: ""}]}

- name: As it was
  kvm.hostnet.sriov_functions:
    functions:
      - {name: enp1s0, state: absent}
"""

RETURN = r"""
functions:
  description:
    - By what the task calls a NIC, its name, its PCI address, and of each virtual function its PCI address, interface,
      IOMMU group and who uses it.
  returned: success
  type: dict
  sample:
    enp1s0:
      name: enp1s0
      pci: "0000:01:00.0"
      vfs: [{index: 0, pci: "0000:01:10.0", name: null, iommu_group: "11", used_by: [guest web1 has it]}]
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [set enp1s0, recreate virtual functions of enp1s0]
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.sriov_functions import SriovFunctions


def main() -> None:
    run(SriovFunctions)


if __name__ == "__main__":
    main()
