#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Tell what a host has for its guests' networks, and who uses what
version_added: 0.1.0
description:
  - Reads the links of a host with their drivers, who uses each of them and which network manager says that it manages
    it; its bridges; whether it can do SR-IOV and has an IOMMU; which features its kernel has; the versions of libvirt
    and QEMU; and what adjacent switches tell by LLDP.
  - Takes well below a second besides the start of Python, and changes nothing. A device whose driver hangs makes a fact
    unknown, never the task hang.
options:
  uri:
    description: Where libvirt is reached. If it is not, the rest is told all the same.
    type: str
    default: qemu:///system
  lldp:
    description: Whether lldpad and lldpd are asked, where they run, for what adjacent switches tell.
    type: bool
    default: true
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.info
seealso:
  - module: kvm.hostnet.reflective_relay_info
  - module: kvm.hostnet.libvirt_networks_info
"""

EXAMPLES = r"""
- name: Look at the host
  kvm.hostnet.host_info:
  register: host

- name: Tell which NICs are free
  ansible.builtin.debug:
    msg: "{{ host.links | dict2items | rejectattr('value.used_by') | rejectattr('value.kind') | map(attribute='key') }}"
"""

RETURN = r"""
links:
  description: The network interfaces by name.
  returned: success
  type: dict
  contains:
    kind:
      description: What kind of virtual link it is; null for a device.
      type: str
    driver:
      description: The driver of the device.
      type: str
    pci:
      description: The PCI address of the device.
      type: str
    iommu_group:
      description: The IOMMU group of the device.
      type: str
    vf_of:
      description: The PCI address of the physical function, if this is a virtual one.
      type: str
    wireless:
      description: Whether it is wireless.
      type: bool
    speed:
      description: Its speed in Mb/s.
      type: int
    carrier:
      description: Whether there is something at its other end; null for a link that is down.
      type: bool
    sriov:
      description: How many virtual functions it can have, and has; null if it cannot do SR-IOV.
      type: dict
      contains:
        total:
          description: How many it can have.
          type: int
        functions:
          description: How many it has; null if the device did not tell in time.
          type: int
    mac:
      description: The MAC address.
      type: str
    mtu:
      description: The largest packet in bytes.
      type: int
    up:
      description: Whether it is up.
      type: bool
    master:
      description: What it is a port of.
      type: str
    lower:
      description: What it sits on.
      type: str
    mode:
      description: The mode of a macvtap or macvlan link.
      type: str
    vlan:
      description: The VLAN of a link that is one.
      type: int
    flags:
      description: Of a port of a Linux bridge, what M(kvm.hostnet.bridges) can set, as it is.
      type: dict
      sample: {hairpin: false, isolated: false, learning: true}
    altnames:
      description: Its alternative names, as far as the pyroute2 of the host knows of them.
      type: list
      elements: str
    addresses:
      description: The host's addresses on it, of global scope.
      type: list
      elements: str
    manager:
      description: The network manager that says it manages it.
      type: str
    written_in:
      description: The files of the host's configuration that name it, which bring it back after a reboot.
      type: list
      elements: str
    used_by:
      description: Bridges, links on top of it, libvirt networks and running guests that use it.
      type: list
      elements: str
    lldp:
      description: What is at its other end, as LLDP agents tell.
      type: list
      elements: dict
  sample: {up0: {driver: igb, pci: "0000:01:00.0", sriov: {total: 7, functions: 2}, used_by: [libvirt network lan]}}
bridges:
  description: The Linux bridges by name, with their ports, and the libvirt network that made each.
  returned: success
  type: dict
  sample: {virbr0: {ports: [vnet0], stp: true, vlan_filtering: false, libvirt_network: default}}
networks:
  description:
    - libvirt's networks by name, each with the mode that it is in, null for one that this collection does not set up,
      and the uplinks that its guests sit on.
  returned: success
  type: dict
  sample: {lan: {mode: macvtap_bridge, uplinks: [up0]}}
kept:
  description:
    - What M(kvm.hostnet.persistence) brings back after a reboot, as lists of C(bridges), C(macvtap_links) and
      C(sriov_functions); null if its file cannot be used.
  returned: success
  type: dict
  sample: {bridges: [{name: br-eth0, uplink: eth0}], macvtap_links: [], sriov_functions: []}
unknown:
  description: Files of devices that did not answer in time, or were not asked after several had not.
  returned: success
  type: list
  elements: str
iommu:
  description: Whether devices can be given to guests.
  returned: success
  type: bool
open_vswitch:
  description: Whether the database of Open vSwitch runs.
  returned: success
  type: bool
ovs_bridges:
  description: The names of the ports of each Open vSwitch bridge; null where its database does not answer.
  returned: success
  type: dict
  sample: {ovs-up0: [ovs-up0, up0]}
kernel:
  description: The release of the kernel, and which features it has; null where that cannot be told.
  returned: success
  type: dict
  sample: {release: 6.12.0, features: {macvtap: true, bridge_vlan_filtering: true}}
libvirt:
  description: The versions of libvirt and of the hypervisor, or the problem.
  returned: success
  type: dict
  sample: {libvirt: 9.0.0, hypervisor: 7.2.13, problem: null}
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.host_info import HostInfo


def main() -> None:
    run(HostInfo)


if __name__ == "__main__":
    main()
