#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: benchmark_info
short_description: Measure how fast guests' frames would go in each mode
version_added: 0.1.0
description:
  - Joins two network namespaces by each path that the host can carry, and sends between them, with iperf3 and sockperf.
    Tells throughput, round trips, and what a Gbit costs the host's processors, round by round. Paths are measured in
    turn, so that what else the host does hits all of them alike.
  - No guest is needed and none is touched. What is built is gone when the module ends, however it ends, and has
    addresses of 198.18.0.0/15, which is set aside for benchmarks (RFC 2544). It does take processors and, on
    V(macvtap_vepa) and between two hosts, the uplink for some seconds; O(rate) bounds that.
  - What is measured is the host's part of the way. What QEMU, vhost and the guest's own driver add is the same for taps
    and macvtaps, and less for a virtual function that is handed to the guest. The host's own firewall is not on the way
    of V(routed) and V(nat), which have a router to themselves.
  - On a terminal it tells how far it is, round by round.
  - In check mode nothing is sent, and only what keeps the host from carrying a path is told.
options:
  uplink:
    description:
      - The NIC or bond that guests would use, or a bridge of the host. Without it, only what stays within the host is
        measured.
    type: str
  paths:
    description:
      - Which paths are measured. V(bridge) is a cable into a bridge, that of the uplink if it is under one. It stands
        for mode isolated as well. V(macvtap_bridge) and V(macvtap_vepa) are macvlans on the uplink, V(passthrough) is a
        macvlan on a virtual function of the uplink that nobody uses, for each end. On V(routed) and V(nat) an end is
        behind a bridge of a router, which forwards, and masquerades for V(nat). Mode open is the same as V(routed).
    type: list
    elements: str
    choices: [bridge, macvtap_bridge, macvtap_vepa, passthrough, routed, nat]
    default: [bridge, macvtap_bridge, macvtap_vepa, passthrough, routed, nat]
  rounds:
    description:
      - How often each path is measured. With fewer than six, chance alone cannot be told from a difference.
    type: int
    default: 1
  seconds:
    description: How long one transfer takes, and how long round trips are counted; a path takes both, and a little.
    type: int
    default: 2
  rate:
    description:
      - The most Mbit/s that a transfer may take, so that nobody else suffers; 0 for as fast as it goes. Where all paths
        reach it, what a Gbit costs the processors still tells them apart.
    type: int
    default: 1000
  subnet:
    description: The addresses to use, an IPv4 network of prefix 24. One of 198.18.0.0/15 by chance if left out.
    type: str
  between_hosts:
    description:
      - Whether the far ends are on another host, where M(kvm.hostnet.benchmark_far_end) has made them with the same
        O(subnet).
    type: bool
    default: false
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.info
  - kvm.hostnet.attributes.netlink
attributes:
  action:
    description: Runs in part on the controller, to tell of its progress.
    support: full
notes:
  - Needs iperf3, sockperf and nsenter on the host.
seealso:
  - module: kvm.hostnet.benchmark_far_end
  - module: kvm.hostnet.reachability_info
"""

EXAMPLES = r"""
- name: Which mode is fastest here?
  kvm.hostnet.benchmark_info:
    uplink: up0
    rounds: 8
  register: benchmark

- name: Show the median of each
  ansible.builtin.debug:
    msg: "{{ benchmark | kvm.hostnet.benchmark_table }}"
"""

RETURN = r"""
paths:
  description: By path, what was measured, or why not.
  returned: success
  type: dict
  contains:
    skipped:
      description: Why the host does not carry this path; null if it does.
      type: str
    rounds:
      description:
        - One for each round, with C(gbits), Gbit a second of a TCP transfer; C(cpu_per_gbit), the seconds that the
          host's processors worked for each Gbit, less what they did before; C(transactions), requests of 64 bytes that
          were answered in a second, one after the other; C(p50) and C(p99), the microseconds in which half and 99 % of
          them were.
      type: list
      elements: dict
host:
  description: What figures depend on, namely C(kernel), C(processors), and C(driver) and C(speed) of the C(uplink).
  returned: success
  type: dict
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.benchmark import Benchmark


def main() -> None:
    run(Benchmark)


if __name__ == "__main__":
    main()
