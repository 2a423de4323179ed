#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: domain_interfaces
short_description: Converge the network interfaces of libvirt domains
version_added: 0.1.0
description:
  - Makes the network interfaces of existing guests what the task says, many guests in one process over one connection.
  - What is persistent and what is live are read, planned and shown apart. What libvirt can change while a guest runs is
    changed there; for the rest see O(allow_replug). libvirt answers "ok" to some changes that it does not make, so each
    is read back, from libvirt, from the kernel and from Open vSwitch. When a step fails, everything that the task has
    touched is put back.
  - An interface is edited in place. Elements of its document that have no option here stay as they are, and so do its
    MAC address and its place in the guest.
  - An interface whose tap has fallen off its bridge, whose macvtap has got another mode, or whose VLANs Open vSwitch
    has lost, is repaired.
options:
  domains:
    description: The guests, each with those of its interfaces that the task is about.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of the libvirt domain.
        type: str
        required: true
      interfaces:
        description:
          - The interfaces. An option that is left out is left alone; an empty list or mapping clears it, and so does an
            empty string where the option is any text. Numbers cannot be cleared.
          - An item means the interface with its O(domains[].interfaces[].mac), or else its
            O(domains[].interfaces[].alias), or else its O(domains[].interfaces[].address) or the PCI address of its
            O(domains[].interfaces[].source). An item with none of these means the first interface of equal type and
            source that no other item means, or else a new one, whose MAC address is the same each time; see
            O(mac_seed). For V(absent) it means all of equal type and source that no other item means.
          - The names of the options are the words of libvirt's domain document,
            U(https://libvirt.org/formatdomain.html#network-interfaces), which says more about each of them.
        type: list
        elements: dict
        required: true
        suboptions:
          state:
            description: Whether the guest has the interface.
            type: str
            choices: [present, absent]
            default: present
          type:
            description:
              - What the interface is on. The source tells it for the first four and V(vhostuser), so that it may be
                left out.
              - V(network) is a libvirt network, V(bridge) a bridge of the host, V(direct) an interface of the host
                through macvtap, V(hostdev) a virtual function of a network card, V(ethernet) a tap that something else
                connects, V(user) QEMU's own network or passt, V(vhostuser) a switch such as DPDK's through a socket.
            type: str
            choices: [network, bridge, direct, hostdev, ethernet, user, vhostuser]
          mac:
            description: The MAC address, in quotes. An interface keeps the one that it has.
            type: str
          alias:
            description: A name for the interface that the user gives, which has to start with C(ua-).
            type: str
          source:
            description: What the interface is on.
            type: dict
            suboptions:
              network:
                description: The libvirt network.
                type: str
              portgroup:
                description: The portgroup of the network; its default one if left out.
                type: str
              bridge:
                description: The bridge of the host, for V(bridge).
                type: str
              dev:
                description: The interface of the host, for V(direct).
                type: str
              mode:
                description:
                  - For V(direct), how guests on one interface reach each other, and for V(vhostuser), whether QEMU is
                    the V(server) or the V(client) of the socket.
                type: str
                choices: [bridge, vepa, private, passthrough, server, client]
              address:
                description: The PCI address of the virtual function, such as V(0000:01:10.0), for V(hostdev).
                type: str
              path:
                description: The socket, for V(vhostuser).
                type: str
          managed:
            description: For V(hostdev), whether libvirt moves the function between the drivers of host and guest.
            type: bool
          model:
            description: The device that the guest sees. A new interface is V(virtio) if nothing is said.
            type: str
          driver:
            description: How the device is served.
            type: dict
            suboptions:
              name:
                description: By the kernel, by QEMU, or for V(hostdev) by which driver of the host.
                type: str
                choices: [vhost, qemu, vfio, kvm]
              queues:
                description: Pairs of queues, up to 256.
                type: int
              rx_queue_size:
                description: Places in the receive queue, 256, 512 or 1024.
                type: int
              tx_queue_size:
                description: Places in the transmit queue, 256, 512 or 1024.
                type: int
              txmode:
                description: How packets are sent when the queue is full.
                type: str
                choices: [iothread, timer]
              ioeventfd:
                description: Whether the guest's notifications are handled asynchronously.
                type: bool
              event_idx:
                description: Whether notifications are suppressed while the other side is at work.
                type: bool
              iommu:
                description: Whether the device uses the guest's IOMMU.
                type: bool
              ats:
                description: Whether the device uses address translation services.
                type: bool
              packed:
                description: Whether packed virtqueues are offered.
                type: bool
              page_per_vq:
                description: Whether each queue has a page of its own for notifications.
                type: bool
              rss:
                description: Whether the device spreads packets over queues by hash.
                type: bool
              rss_hash_report:
                description: Whether the device tells the guest the hash.
                type: bool
              host:
                description: Offloads on the host's side.
                type: dict
                suboptions:
                  csum: &offload
                    description: Whether this is on.
                    type: bool
                  gso: *offload
                  tso4: *offload
                  tso6: *offload
                  ecn: *offload
                  ufo: *offload
                  mrg_rxbuf: *offload
              guest:
                description: Offloads on the guest's side.
                type: dict
                suboptions:
                  csum: *offload
                  tso4: *offload
                  tso6: *offload
                  ecn: *offload
                  ufo: *offload
          vlan:
            description:
              - VLANs, on Open vSwitch, on virtual functions, and from libvirt 11.0 on on Linux bridges that filter
                VLANs.
            type: dict
            suboptions:
              trunk:
                description: Whether all of the tags are let through. libvirt sets it for more than one tag.
                type: bool
              tags:
                description: The VLANs.
                type: list
                elements: dict
                suboptions:
                  id:
                    description: From 1 to 4094.
                    type: int
                    required: true
                  native_mode:
                    description: That this is the VLAN of untagged frames, and whether the guest gets them tagged.
                    type: str
                    choices: [tagged, untagged]
          virtualport:
            description: How the port is made known to the switch.
            type: dict
            suboptions:
              type:
                description: The kind of switch.
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
                description: The VSI instance, a UUID (V(802.1Qbg)). libvirt makes one up if left out.
                type: str
              profileid:
                description: The port profile, at most 39 characters (V(802.1Qbh), V(openvswitch)).
                type: str
              interfaceid:
                description:
                  - The interface, a UUID (V(openvswitch), V(midonet)). A new interface on Open vSwitch gets one that
                    is the same each time, since libvirt would make up another at each start.
                type: str
          bandwidth:
            description: Limits of traffic.
            type: dict
            suboptions:
              inbound:
                description: Towards the guest.
                type: dict
                suboptions:
                  average: &average
                    description: In kilobytes a second.
                    type: int
                  peak: &peak
                    description: At most, in kilobytes a second.
                    type: int
                  burst: &burst
                    description: In kilobytes at peak speed.
                    type: int
                  floor:
                    description: At least, in kilobytes a second, on networks with a limit of their own.
                    type: int
              outbound:
                description: From the guest.
                type: dict
                suboptions:
                  average: *average
                  peak: *peak
                  burst: *burst
          trust_guest_rx_filters:
            description: Whether the guest may change its MAC address and filters, which multicast over macvtap needs.
            type: bool
          isolated:
            description: Whether the interface cannot talk to other isolated ones on its bridge.
            type: bool
          filterref:
            description: The network filter of libvirt that its traffic passes. Not for V(direct), which has none.
            type: dict
            suboptions:
              filter:
                description: The name of the filter, such as V(clean-traffic).
                type: str
              parameters:
                description: The variables of the filter.
                type: list
                elements: dict
                suboptions:
                  name:
                    description: The variable, such as V(IP).
                    type: str
                    required: true
                  value:
                    description: Its value. A variable with several values is listed several times.
                    type: str
                    required: true
          link:
            description: Whether the guest sees a cable plugged in.
            type: str
            choices: [up, down]
          mtu:
            description: The MTU in bytes, from 68 to 65535.
            type: int
          teaming:
            description: A pair of interfaces with one MAC address, of which one leaves for a migration.
            type: dict
            suboptions:
              type:
                description: Whether this one stays or leaves.
                type: str
                choices: [persistent, transient]
              persistent:
                description: For the one that leaves, the alias of the one that stays.
                type: str
          boot_order:
            description: Its place among the devices that the guest boots from, counted from 1.
            type: int
          rom:
            description: The boot ROM.
            type: dict
            suboptions:
              enabled:
                description: Whether the device has one.
                type: bool
              bar:
                description: Whether it is in the guest's memory map.
                type: bool
              file:
                description: Its file.
                type: str
          coalesce:
            description: How interrupts are put together.
            type: dict
            suboptions:
              rx_frames_max:
                description: Received packets for one interrupt.
                type: int
          sndbuf:
            description: Bytes that may be on their way to the host; 0 is without a limit.
            type: int
          target:
            description: The link on the host.
            type: dict
            suboptions:
              dev:
                description: Its name; C(vnet) and C(macvtap) with a number are libvirt's own.
                type: str
              managed:
                description: For V(ethernet), whether libvirt makes the link and deletes it.
                type: bool
          script:
            description: For V(ethernet), what is run to connect the link.
            type: str
          backend:
            description: What serves the link.
            type: dict
            suboptions:
              type:
                description: For V(user), QEMU's own or passt.
                type: str
                choices: [default, passt]
              tap:
                description: The device for taps.
                type: str
              vhost:
                description: The device for vhost.
                type: str
              log_file:
                description: Where passt writes what it does.
                type: str
          ips:
            description: For V(user), the addresses that the guest finds.
            type: list
            elements: dict
            suboptions:
              address:
                description: The address.
                type: str
                required: true
              prefix:
                description: The length of its prefix.
                type: int
          address:
            description: The PCI address that the guest sees the device at, such as V(0000:00:05.0).
            type: str
          acpi_index:
            description: The number that the guest's system may name the interface by.
            type: int
  apply_to:
    description:
      - Whether the running guest, the persistent one, or each of the two that there is, is changed. V(live) refuses
        what cannot change while the guest runs.
    type: str
    choices: [both, live, persistent]
    default: both
  allow_replug:
    description:
      - Whether an interface may be unplugged from its running guest and plugged in again for what libvirt cannot change
        in place. The guest's system has to be up for it, and loses the interface for a moment.
      - Otherwise the persistent guest is changed, and RV(restart_required) and a warning tell what waits.
    type: bool
    default: false
  detach_timeout:
    description: Seconds that a running guest has to let go of an interface.
    type: int
    default: 20
  exclusive:
    description:
      - Removes every interface of the domains that their O(domains[].interfaces) does not list, except those of types
        that have no options here. Items without a name for their interface take what is there before anything new is
        made.
    type: bool
    default: false
  missing:
    description: Whether a domain that the host does not have fails the task, or is left aside.
    type: str
    choices: [fail, skip]
    default: fail
  mac_seed:
    description:
      - What the MAC addresses of new interfaces are made from, besides the name of the domain and the number of the
        interface. The UUID of the domain if empty, so that domains of equal names on two hosts differ.
    type: str
    default: ""
  pending_networks:
    description:
      - Networks that an earlier task of the same run makes or changes, each with its C(name) and its options as in
        O(kvm.hostnet.libvirt_networks#module:networks). Check mode takes that for done, which it has not been.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.libvirt
notes:
  - Needs pyroute2, packaged as C(python3-pyroute2), for running guests with macvtap interfaces.
seealso:
  - module: kvm.hostnet.domain_interfaces_info
  - module: kvm.hostnet.libvirt_networks
"""

EXAMPLES = r"""
- name: Two guests on the network lan, whatever that is on this host
  kvm.hostnet.domain_interfaces:
    domains:
      - name: web1
        interfaces:
          - source: {network: lan}
      - name: db1
        interfaces:
          - source: {network: lan}
            bandwidth: {outbound: {average: 10000}}

- name: Move an interface to another network while the guest runs
  kvm.hostnet.domain_interfaces:
    domains:
      - name: web1
        interfaces:
          - mac: "52:54:00:12:34:56"
            source: {network: build}

- name: Pull the cable
  kvm.hostnet.domain_interfaces:
    domains:
      - name: web1
        interfaces:
          - mac: "52:54:00:12:34:56"
            link: down

- name: Change what takes a replug
  kvm.hostnet.domain_interfaces:
    domains:
      - name: web1
        interfaces:
          - mac: "52:54:00:12:34:56"
            mtu: 1400
            driver: {queues: 2}
    allow_replug: true

- name: Take interfaces away
  kvm.hostnet.domain_interfaces:
    domains:
      - name: web1
        interfaces:
          - {mac: "52:54:00:12:34:56", state: absent}
      - name: db1
        interfaces:
          - {source: {network: lan}, state: absent}
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, in order; each with the domain and the MAC address.
  returned: success
  type: list
  elements: str
  sample: ["update live web1 52:54:00:12:34:56", "update persistent web1 52:54:00:12:34:56"]
macs:
  description: By domain, the MAC addresses of the interfaces that the task's items mean, in their order.
  returned: success
  type: dict
  sample: {web1: ["52:54:00:12:34:56"]}
restart_required:
  description: What is otherwise in the running guest than in the persistent one, and changes when the guest is started
    anew.
  returned: success
  type: list
  elements: dict
  contains:
    domain:
      description: The guest.
      type: str
    mac:
      description: The interface.
      type: str
    option:
      description: What waits.
      type: str
    reason:
      description: Why it is not the same now.
      type: str
  sample:
    - domain: web1
      mac: "52:54:00:12:34:56"
      option: mtu
      reason: libvirt changes it at the next start of the guest only
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.domain_interfaces import DomainInterfaces


def main() -> None:
    run(DomainInterfaces)


if __name__ == "__main__":
    main()
