#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: transaction
short_description: Change a host's network under a watchdog that puts it back
version_added: 0.1.0
description:
  - V(open) writes down what the host's network is, and starts a watchdog outside of the ssh session, which puts the
    host back unless the transaction is confirmed in time. Before it says so, it has shown that the way back works.
  - V(confirmed) drops the connection, logs in anew, has every probe answer that answered before, and only then ends the
    transaction. It tries until the time is over, and then fails with what the host says of its restore.
  - Between the two may be any tasks, of this collection or not. The time starts anew with each task of this collection
    that has C(KVM_HOSTNET_TRANSACTION) in its environment, and such a task refuses to work once the restore has begun.
  - Put back are links (masters, MAC addresses, MTUs, whether they are up, port flags, VLANs, settings of bridges,
    macvtap and macvlan links), addresses, routes, rules, permanent neighbours, forwarding, libvirt's networks with
    their documents, activity and autostart, the files that this collection writes, and O(files). A link that was made
    since then goes if this collection made it, or if it stands on a link that was there before.
  - That is so whoever changed it. What a daemon has given a link meanwhile goes as well, such as an address of
    keepalived, and so does a rule or a libvirt network that somebody else has made. Routes of routing daemons are
    left to them.
  - What a transaction cannot put back are counts of virtual functions, which would pull devices out of guests, bonds
    and tunnels that were deleted, and guests. The module M(kvm.hostnet.sriov_functions) guards the first by itself.
  - A power cut puts the host back as well. libvirt's networks and O(files) are put back before libvirt and the
    network start, which takes systemd. All else is gone with a reboot, unless M(kvm.hostnet.persistence) has made it
    last, which it does when the transaction is confirmed.
options:
  state:
    description:
      - V(open), V(confirmed), or V(restored), which puts the host back at once.
      - A host has one transaction at a time. A second one is refused, and one that is over but was never put back is
        put back first.
    type: str
    choices: [open, confirmed, restored]
    required: true
  id:
    description: Which transaction is confirmed or restored; the one that is there if left out.
    type: str
  timeout:
    description:
      - Seconds until the host puts itself back. They start anew with each task of the transaction, so this is for the
        longest of them. STP keeps a new bridge silent for twice its forward delay, which has to fit.
    type: int
    default: 60
  probes:
    description:
      - What else has to answer the host before it is confirmed, besides its gateways and libvirt. Those that do not
        answer when the transaction opens are left aside, with a warning.
    type: list
    elements: dict
    default: []
    suboptions:
      ping:
        description: An IP address that answers an echo request.
        type: str
      tcp:
        description: A host and port that take a TCP connection, such as V(192.0.2.1:443).
        type: str
  files:
    description: Files that tasks between the two change, to be put back as well.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.libvirt
  - kvm.hostnet.attributes.netlink
attributes:
  check_mode:
    description: Opens nothing, and changes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: Ending twice in the same way is the same as once; opening twice is refused.
    support: partial
  action:
    description: Runs in part on the controller, to connect anew.
    support: full
seealso:
  - module: kvm.hostnet.persistence
  - module: kvm.hostnet.bridges
"""

EXAMPLES = r"""
- name: Open a transaction
  kvm.hostnet.transaction:
    state: open
    timeout: 30
    probes:
      - {ping: 10.88.0.254}
  register: change

- name: Change whatever you like
  kvm.hostnet.bridges:
    bridges:
      - {name: br-up0, uplink: up0}
  environment:
    KVM_HOSTNET_TRANSACTION: "{{ change.id | default('') }}"
  ignore_unreachable: true # what became of the host, the confirmation tells

- name: Keep it if the host still answers
  kvm.hostnet.transaction:
    state: confirmed
    id: "{{ change.id | default(omit, true) }}"

- name: Or put it back at once
  kvm.hostnet.transaction:
    state: restored
  when: false
"""

RETURN = r"""
id:
  description: Which transaction it is; empty in check mode.
  returned: success
  type: str
  sample: 5f1c2a9e
open_vswitch:
  description: Whether this host has an Open vSwitch, whose bridges are then part of the transaction.
  returned: when it was opened
  type: bool
probes:
  description: What answered before, and has to answer again.
  returned: when it was opened or confirmed
  type: list
  elements: dict
  sample: [{gateway: 10.88.0.254}, {libvirt: "qemu:///system"}]
steps:
  description: What was put back.
  returned: when it was restored
  type: list
  elements: str
left:
  description: What could not be put back.
  returned: when it was restored
  type: list
  elements: str
functions:
  description: Counts of virtual functions that have changed since, and stay.
  returned: when it was restored
  type: list
  elements: str
seconds:
  description: How long the restore took.
  returned: when it was restored
  type: float
why:
  description: Why it was restored.
  returned: when it was restored
  type: str
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.transaction import Transaction


def main() -> None:
    run(Transaction)


if __name__ == "__main__":
    main()
