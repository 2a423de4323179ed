# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection says of itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Shared documentation."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts what a run would change, and changes nothing.
    support: full
  diff_mode:
    description: Tells what is, or would be, different afterwards.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Where the module runs.
    platforms: linux
    support: full
  action_group:
    description: Use C(group/kvm.hostnet.hostnet) in C(module_defaults).
    membership: [kvm.hostnet.hostnet]
    support: full
author:
  - The kvm.hostnet authors (@kvm-hostnet)
"""

    INFO = r"""
options: {}
attributes:
  diff_mode:
    description: There is nothing to compare.
    support: N/A
"""

    LIBVIRT = r"""
options:
  uri:
    description: The libvirt connection to use on the managed node.
    type: str
    default: qemu:///system
requirements:
  - libvirt-python, packaged as C(python3-libvirt), with libvirt 7.7 or newer
"""

    PENDING_BRIDGES = r"""
options:
  pending_bridges:
    description:
      - Bridges that an earlier task of the same run makes or removes. Check mode takes that for done, which it has not
        been.
    type: list
    elements: str
    default: []
"""

    PENDING_FUNCTIONS = r"""
options:
  pending_functions:
    description:
      - Interfaces that an earlier task of the same run gives their virtual functions. Check mode takes that for done,
        which it has not been.
    type: list
    elements: str
    default: []
"""

    NETLINK = r"""
options: {}
requirements:
  - pyroute2 0.5.14 or newer, packaged as C(python3-pyroute2)
"""
