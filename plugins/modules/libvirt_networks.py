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
    do its UUID, bridge name and MAC address. A network that moves elsewhere, from a bridge to an uplink for example,
    loses what cannot go with its new forward mode.
  - What is persistent and what is live are read, planned and shown apart. What libvirt can change in a running network
    changes there; for the rest see O(allow_restart). Each change is read back before the task reports success. When a
    step fails, everything that the task has touched is put back.
  - A network that libvirt calls active while its bridge is gone, or while the tap of a guest has fallen off it, is
    repaired.
options:
  networks:
    description:
      - The networks. An option that is left out is left alone; an empty string, list or mapping clears it.
      - The names of the options are the words of libvirt's network document,
        U(https://libvirt.org/formatnetwork.html), which says more about each of them.
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
      xml:
        description:
          - The whole network document, for those who have it. It takes the place of all options below, and converges
            in the same way. The UUID, and the bridge and MAC address that libvirt has chosen, need not be in it.
        type: str
      title:
        description: A short name for people (libvirt 9.7).
        type: str
      description:
        description: A longer text for people (libvirt 9.7).
        type: str
      metadata:
        description: XML that applications keep with the network, each element in a namespace of its own.
        type: str
      ipv6:
        description: Whether guests may speak IPv6 to each other though the network has no IPv6 address.
        type: bool
      forward:
        description: How frames or packets of the guests leave the host.
        type: dict
        suboptions:
          mode:
            description:
              - V(none) isolates the guests. V(nat), V(route) and V(open) put them on a bridge that libvirt makes.
              - V(bridge), V(vepa), V(private) and V(passthrough) put them on O(networks[].forward.interfaces)
                themselves, as macvtap; V(bridge) together with O(networks[].bridge.name) puts them on a bridge of the
                host.
              - V(hostdev) gives each guest a virtual function of a network card.
            type: str
            choices: [none, nat, route, open, bridge, vepa, private, passthrough, hostdev]
          managed:
            description: For V(hostdev), whether libvirt moves the functions between the drivers of host and guest.
            type: bool
          interfaces:
            description:
              - The uplinks. macvtap modes take one or more; libvirt spreads the guests over them.
              - V(nat) and V(route) take at most one, to which forwarding is limited then.
            type: list
            elements: str
          pf:
            description:
              - The physical function whose virtual functions make the pool, for V(hostdev) and V(passthrough).
            type: str
          addresses:
            description:
              - PCI addresses of virtual functions that make the pool, such as V(0000:01:10.0), for V(hostdev).
            type: list
            elements: str
          driver:
            description: The driver that the virtual functions are bound to for a guest.
            type: str
            choices: [kvm, vfio]
          nat:
            description: Details of V(nat).
            type: dict
            suboptions:
              ipv6:
                description: Whether IPv6 is translated too.
                type: bool
              address:
                description: The addresses that guests get towards the LAN.
                type: dict
                suboptions:
                  start:
                    description: The first.
                    type: str
                    required: true
                  end:
                    description: The last.
                    type: str
                    required: true
              port:
                description: The ports that guests get towards the LAN. V(1024) to V(65535) if left out.
                type: dict
                suboptions:
                  start:
                    description: The first.
                    type: int
                    required: true
                  end:
                    description: The last.
                    type: int
                    required: true
      bridge:
        description: The bridge that guests sit on.
        type: dict
        suboptions:
          name:
            description:
              - Its name, at most 15 bytes. libvirt picks one, such as V(virbr0), for a bridge that it makes.
            type: str
          stp:
            description: Whether it runs the Spanning Tree Protocol. libvirt turns that on by default.
            type: bool
          delay:
            description: The forward delay in seconds.
            type: int
          mac_table_manager:
            description: Who keeps the table of MAC addresses.
            type: str
            choices: [kernel, libvirt]
          zone:
            description: The zone of firewalld that it belongs to.
            type: str
      mtu:
        description: The largest packet in bytes.
        type: int
      mac:
        description: The MAC address of the bridge. libvirt makes one up for a new network.
        type: str
      domain:
        description: The DNS domain of the network.
        type: dict
        suboptions:
          name:
            description: The domain's name.
            type: str
          local_only:
            description: Whether names of this domain are never asked for elsewhere.
            type: bool
          register:
            description: Whether the domain is registered with systemd-resolved (libvirt 10.1).
            type: bool
      dns:
        description: The name server of the network.
        type: dict
        suboptions:
          enable:
            description: Whether there is one.
            type: bool
          forward_plain_names:
            description: Whether names without a dot are asked for elsewhere.
            type: bool
          forwarders:
            description: Servers to ask instead of those of the host.
            type: list
            elements: dict
            suboptions:
              addr:
                description: The address of the server.
                type: str
              domain:
                description: The domain that it is asked for; any if left out.
                type: str
              port:
                description: The port of the server (libvirt 12.0).
                type: int
          hosts:
            description: Names of addresses.
            type: list
            elements: dict
            suboptions:
              ip:
                description: The address.
                type: str
                required: true
              hostnames:
                description: Its names.
                type: list
                elements: str
                required: true
          txt:
            description: Text records.
            type: list
            elements: dict
            suboptions:
              name:
                description: The name of the record.
                type: str
                required: true
              value:
                description: Its text.
                type: str
                required: true
          srv:
            description: Service records.
            type: list
            elements: dict
            suboptions:
              service:
                description: The service.
                type: str
                required: true
              protocol:
                description: The protocol.
                type: str
                required: true
                choices: [tcp, udp]
              domain:
                description: The domain of the service.
                type: str
              target:
                description: The host that has it.
                type: str
              port:
                description: Its port there.
                type: int
              priority:
                description: Lower ones are used first.
                type: int
              weight:
                description: The share among equal priorities.
                type: int
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
          local_ptr:
            description: Whether names of addresses in the subnet are never asked for elsewhere.
            type: bool
          tftp:
            description: The directory that is served by TFTP.
            type: str
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
                    description: The first.
                    type: str
                    required: true
                  end:
                    description: The last.
                    type: str
                    required: true
                  lease: &lease
                    description: How long a guest keeps an address.
                    type: dict
                    suboptions:
                      expiry:
                        description: The number of units, V(0) for ever.
                        type: int
                        required: true
                      unit:
                        description: The unit. V(minutes) if left out.
                        type: str
                        choices: [seconds, minutes, hours]
              hosts:
                description: Addresses that are kept for one guest each.
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
                  lease: *lease
              bootp:
                description: What guests that boot from the network are told.
                type: dict
                suboptions:
                  file:
                    description: The file to boot.
                    type: str
                    required: true
                  server:
                    description: The server that has it; this host if left out.
                    type: str
      routes:
        description: Subnets that are reached through guests of this network.
        type: list
        elements: dict
        suboptions:
          address:
            description: The address of the subnet.
            type: str
            required: true
          prefix:
            description: Its prefix in bits.
            type: int
            required: true
          gateway:
            description: The guest that leads there, in a subnet of the network.
            type: str
            required: true
          metric:
            description: The metric of the route. V(1) if left out.
            type: int
      vlan:
        description:
          - The VLANs of the guests, where guests sit on an Open vSwitch bridge, on virtual functions, or with libvirt
            11.0 on a Linux bridge.
        type: dict
        suboptions:
          trunk:
            description: Whether guests see the tags themselves. Always so with more than one tag.
            type: bool
          tags: &tags
            description: The tags.
            type: list
            elements: dict
            suboptions:
              id:
                description: The VLAN, from 1 to 4094.
                type: int
                required: true
              native_mode:
                description: Marks the VLAN of frames without a tag.
                type: str
                choices: [tagged, untagged]
      virtualport: &virtualport
        description: How the port of a guest is made known to the switch.
        type: dict
        suboptions:
          type:
            description:
              - The kind of switch. V(802.1Qbg) needs lldpad to run before the network comes up, as the role
                C(kvm.hostnet.evb) sees to, and V(802.1Qbh) NICs with the driver enic.
            type: str
            choices: [802.1Qbg, 802.1Qbh, openvswitch, midonet]
          managerid:
            description: The VSI manager, from 1 to 255 (V(802.1Qbg)).
            type: int
          typeid:
            description: The VSI type, up to 16777215 (V(802.1Qbg)).
            type: int
          typeidversion:
            description: The version of the VSI type, up to 255 (V(802.1Qbg)).
            type: int
          instanceid:
            description: The VSI instance, a UUID (V(802.1Qbg)).
            type: str
          profileid:
            description: The port profile, at most 39 characters (V(802.1Qbh), V(openvswitch)).
            type: str
          interfaceid:
            description: The interface, a UUID (V(openvswitch), V(midonet)).
            type: str
      bandwidth: &bandwidth
        description: Limits of traffic.
        type: dict
        suboptions:
          inbound:
            description: Towards the guests.
            type: dict
            suboptions:
              average:
                description: In kilobytes a second.
                type: int
              peak:
                description: At most, in kilobytes a second.
                type: int
              burst:
                description: In kilobytes at peak speed.
                type: int
          outbound:
            description: From the guests.
            type: dict
            suboptions:
              average:
                description: In kilobytes a second.
                type: int
              peak:
                description: At most, in kilobytes a second.
                type: int
              burst:
                description: In kilobytes at peak speed.
                type: int
      trust_guest_rx_filters:
        description:
          - Whether guests may change their MAC address and filters, which IPv6 and multicast over macvtap need.
        type: bool
      isolated:
        description: Whether guests cannot reach each other on the bridge.
        type: bool
      portgroups:
        description: Settings by name, one of which an interface of a guest may ask for.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name.
            type: str
            required: true
          default:
            description: Whether interfaces that name none get this one.
            type: bool
          vlan:
            description:
              - The VLANs of the guests, where guests sit on an Open vSwitch bridge, on virtual functions, or with
                libvirt 11.0 on a Linux bridge.
            type: dict
            suboptions:
              trunk:
                description: Whether guests see the tags themselves. Always so with more than one tag.
                type: bool
              tags: *tags
          virtualport: *virtualport
          bandwidth: *bandwidth
          trust_guest_rx_filters:
            description:
              - Whether guests may change their MAC address and filters, which IPv6 and multicast over macvtap need.
            type: bool
      dnsmasq_options:
        description: Lines for the configuration of dnsmasq.
        type: list
        elements: str
  allow_restart:
    description:
      - Whether a network may be stopped and started when a change needs that.
      - V(when_unused) restarts networks that no guest is attached to. Otherwise what can change in the running network
        does, the rest is changed in the persistent network only, and RV(pending) and a warning tell what waits.
      - V(true) restarts networks in use as well, and puts their guests back, which lose the network for a moment.
        Guests cannot be moved to another kind of device that way, from a bridge to an uplink for example, which
        is refused.
      - A network with guests attached is stopped or removed only with V(true), and that does cut them off.
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
  - kvm.hostnet.attributes.pending_bridges
  - kvm.hostnet.attributes.pending_functions
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

- name: A host bridge, with VLANs for guests that ask for them by portgroup
  kvm.hostnet.libvirt_networks:
    networks:
      - name: bridged
        forward: {mode: bridge}
        bridge: {name: br0}
        portgroups:
          - {name: plain, default: true}
          - {name: shaped, bandwidth: {inbound: {average: 10000}, outbound: {average: 10000}}}

- name: A network from its document, restarted at once if that is needed
  kvm.hostnet.libvirt_networks:
    allow_restart: true
    networks:
      - name: quiet
        xml: |
          <network>
            <bridge name="quiet0"/>
            <ip address="192.168.151.1" prefix="24"/>
          </network>

- name: None of them is needed any more
  kvm.hostnet.libvirt_networks:
    networks:
      - {name: build, state: absent}
      - {name: lan, state: absent}
      - {name: bridged, state: absent}
      - {name: quiet, state: absent}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order.
  returned: success
  type: list
  elements: str
  sample: [define build, update build]
plan:
  description: By network that differs, what is to be done in which way. The diff shows the values.
  returned: success
  type: dict
  contains:
    persistent:
      description: The options that differ in the persistent network.
      type: list
      elements: str
    live:
      description: The entries that are deleted, added or modified in the running network.
      type: list
      elements: str
    restart:
      description: The options, or the ailments, that the network is restarted for.
      type: list
      elements: str
    pending:
      description: The options that wait for a restart.
      type: list
      elements: str
  sample: {build: {persistent: [domain.name], live: [], restart: [], pending: [domain.name]}}
pending:
  description: By network, the options that wait for a restart.
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
