#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_networks
short_description: Converge libvirt networks
version_added: 0.1.0
description:
  - Makes the libvirt networks of a host what the task says, all in one process over one connection.
  - An existing network is edited in place. Elements of its document that have no option here stay as they are, and so
    do its UUID, bridge name and MAC address.
  - What is persistent and what is live are read, planned and shown apart. Each change is read back before the task
    reports success. When a step fails, everything that the task has touched is put back.
options:
  networks:
    description:
      - The networks. An option that is left out is left alone; an empty string or list clears it.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the network.
        type: str
        required: true
      state:
        description:
          - V(active) defines and starts the network, V(inactive) defines and stops it, V(absent) removes it.
        type: str
        choices: [active, inactive, absent]
        default: active
      autostart:
        description: Whether libvirt starts the network when the host boots. New networks are made without.
        type: bool
      forward:
        description: How frames or packets of the guests leave the host.
        type: dict
        suboptions:
          mode:
            description:
              - V(none) isolates the guests. V(nat), V(route) and V(open) put them on a bridge that libvirt makes.
              - V(bridge), V(vepa), V(private) and V(passthrough) put them on O(networks[].forward.interfaces)
                themselves, as macvtap.
              - V(hostdev) is understood in networks that exist, and cannot be set up yet.
            type: str
            choices: [none, nat, route, open, bridge, vepa, private, passthrough, hostdev]
          interfaces:
            description:
              - The uplinks. macvtap modes take one or more; libvirt spreads the guests over them.
              - V(nat), V(route) and V(open) take at most one, to which forwarding is limited then.
            type: list
            elements: str
      bridge:
        description: The bridge that libvirt makes; not for macvtap modes.
        type: dict
        suboptions:
          name:
            description: Its name, at most 15 bytes. libvirt picks one, such as V(virbr0), if there is none.
            type: str
          stp:
            description: Whether it runs the Spanning Tree Protocol. libvirt turns that on by default.
            type: bool
          delay:
            description: The forward delay in seconds.
            type: int
      domain:
        description: The DNS domain of the network.
        type: dict
        suboptions:
          name:
            description: The domain's name.
            type: str
          local_only:
            description: Whether names of this domain are never asked for elsewhere (libvirt's C(localOnly)).
            type: bool
      ips:
        description: The host's own addresses on the network, each with the subnet that it stands for.
        type: list
        elements: dict
        suboptions:
          address:
            description: The IPv4 or IPv6 address.
            type: str
            required: true
          prefix:
            description: The length of the subnet's prefix in bits.
            type: int
            required: true
          dhcp:
            description: What dnsmasq hands out there.
            type: dict
            suboptions:
              ranges:
                description: Ranges of addresses for any guest.
                type: list
                elements: dict
                suboptions:
                  start:
                    description: The first address.
                    type: str
                    required: true
                  end:
                    description: The last address.
                    type: str
                    required: true
              hosts:
                description: Addresses that are kept for one guest each. Their order means nothing.
                type: list
                elements: dict
                suboptions:
                  ip:
                    description: The address.
                    type: str
                    required: true
                  mac:
                    description: The guest's MAC address.
                    type: str
                  name:
                    description: The guest's host name.
                    type: str
                  id:
                    description: The guest's DHCPv6 unique identifier (DUID).
                    type: str
  allow_restart:
    description:
      - Whether a network may be stopped and started when a change needs that. A restart cuts off the guests that are
        attached, until they are attached anew.
      - V(when_unused) restarts networks that no guest is attached to. Otherwise the change is made in the persistent
        network only, and RV(pending) and a warning tell what waits for a restart.
      - A network with guests attached is stopped or removed only with V(true).
    type: str
    choices: ["false", when_unused, "true"]
    default: when_unused
  exclusive:
    description:
      - Removes every libvirt network of the connection that O(networks) does not list, however it was made.
    type: bool
    default: false
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.libvirt
seealso:
  - module: kvm.hostnet.libvirt_networks_info
  - module: kvm.hostnet.reachability_info
"""

EXAMPLES = r"""
- name: A network behind NAT, and one on the uplink itself
  kvm.hostnet.libvirt_networks:
    networks:
      - name: build
        autostart: true
        forward: {mode: nat}
        domain: {name: build.example}
        ips:
          - address: 192.168.150.1
            prefix: 24
            dhcp:
              ranges: [{start: 192.168.150.100, end: 192.168.150.199}]
              hosts: [{mac: "52:54:00:00:00:01", ip: 192.168.150.10, name: runner}]
      - name: lan
        autostart: true
        forward: {mode: vepa, interfaces: [up0]}

- name: Neither is needed any more
  kvm.hostnet.libvirt_networks:
    networks:
      - {name: build, state: absent}
      - {name: lan, state: absent}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [define build, autostart build, start build]
pending:
  description: For each network that a change waits on, the options that will change when it restarts.
  returned: success
  type: dict
  sample: {build: [domain.name]}
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.libvirt_networks import LibvirtNetworks


def main() -> None:
    run(LibvirtNetworks)


if __name__ == "__main__":
    main()
