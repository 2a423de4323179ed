#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: benchmark_far_end
short_description: Be the far end of a benchmark between two hosts
version_added: 0.1.0
description:
  - Makes one end for each path at this host's uplink, and serves until a task with O(state=absent) ends it, or its time
    is over. So it is run with C(async) and C(poll=0).
  - What it makes is gone when it ends, however it ends.
options:
  state:
    description: V(absent) ends the one that serves.
    type: str
    choices: [present, absent]
    default: present
  uplink:
    description: As in M(kvm.hostnet.benchmark_info). Needed unless it is to end.
    type: str
  paths:
    description:
      - Which paths have an end here, as in M(kvm.hostnet.benchmark_info).
    type: list
    elements: str
    choices: [bridge, macvtap_bridge, macvtap_vepa, passthrough, routed, nat]
    default: [bridge, macvtap_bridge, macvtap_vepa, passthrough, routed, nat]
  subnet:
    description: The addresses to use, the same as on the other host. Needed unless it is to end.
    type: str
  seconds:
    description: After how long it ends by itself.
    type: int
    default: 600
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.netlink
attributes:
  check_mode:
    description: Serves nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: A second one at the same time is refused.
    support: partial
notes:
  - Needs iperf3, sockperf and nsenter on the host.
seealso:
  - module: kvm.hostnet.benchmark_info
"""

EXAMPLES = r"""
- name: Serve for five minutes at most
  kvm.hostnet.benchmark_far_end:
    uplink: up0
    subnet: 198.18.7.0/24
    seconds: 300
  async: 300
  poll: 0
  delegate_to: kvm2

- name: Measure the way there
  kvm.hostnet.benchmark_info:
    uplink: up0
    subnet: 198.18.7.0/24
    between_hosts: true
    rounds: 8

- name: End it
  kvm.hostnet.benchmark_far_end:
    state: absent
  delegate_to: kvm2
"""

RETURN = r"""
skipped:
  description: By path, why this host has no end of it.
  returned: when it has served
  type: dict
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.benchmark_far_end import BenchmarkFarEnd


def main() -> None:
    run(BenchmarkFarEnd)


if __name__ == "__main__":
    main()
