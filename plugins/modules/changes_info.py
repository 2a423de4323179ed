#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: changes_info
short_description: Tell what several modules of this collection would change
version_added: 0.1.0
description:
  - Plans tasks of several modules in one process, each as if those before it had been done, and changes nothing. All of
    them are checked, so that a mistake in the last one is found before the first one changes the host.
  - A host where nothing differs costs this one task. The role C(kvm.hostnet.hostnet) goes on only with tasks that have
    something to do.
options:
  tasks:
    description:
      - By names of your choice, the tasks in their order, each with its C(module), without the name of the collection,
        and the C(options) of that module.
      - The modules are M(kvm.hostnet.bridges), M(kvm.hostnet.domain_interfaces), M(kvm.hostnet.libvirt_networks),
        M(kvm.hostnet.macvtap_links), M(kvm.hostnet.ovs_bridges), M(kvm.hostnet.persistence), and
        M(kvm.hostnet.sriov_functions).
      - What an earlier task is about to make or take away has to be told by those options whose names begin with
        C(pending), where the module has them.
    type: dict
    required: true
  otherwise:
    description: What happens where a task cannot be planned, V(fail) or V(tell), which tells of it as RV(problems).
    type: str
    choices: [fail, tell]
    default: fail
extends_documentation_fragment:
  - kvm.hostnet.attributes
  - kvm.hostnet.attributes.info
seealso:
  - module: kvm.hostnet.libvirt_networks
  - module: kvm.hostnet.bridges
"""

EXAMPLES = r"""
- name: Look for what differs
  kvm.hostnet.changes_info:
    tasks:
      uplinks:
        module: bridges
        options:
          bridges: [{name: br0, uplink: eth1}]
      networks:
        module: libvirt_networks
        options:
          networks: [{name: lan, forward: {mode: bridge}, bridge: {name: br0}}]
          pending_bridges: [br0]
  register: planned

- name: Tell which tasks have something to do
  ansible.builtin.debug:
    msg: "{{ planned.differs }}"
"""

RETURN = r"""
differs:
  description: The names of the tasks that would change something.
  returned: success
  type: list
  elements: str
  sample: [networks]
problems:
  description: By its name, why a task cannot be planned.
  returned: success
  type: dict
  sample: {}
tasks:
  description: By name, what the module of each task would return in check mode, but for the diff.
  returned: success
  type: dict
  sample: {networks: {changed: true, steps: [define lan, start lan]}}
"""

from ..module_utils._core.runner import run
from ..module_utils._resources.changes import Changes


def main() -> None:
    run(Changes)


if __name__ == "__main__":
    main()
