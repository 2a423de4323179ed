# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules do on a host with virtual functions, as they would where systemd runs.  Runs on that host."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from ansible_collections.kvm.hostnet.plugins.module_utils._resources.persistence import Persistence
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.sriov_functions import SriovFunctions

from tests.kernel.conftest import do

SYSTEMD = Path("/run/systemd/system")


@contextlib.contextmanager
def seeming_systemd():
    """The lab host's init plays systemd at boot, and otherwise there is none."""
    SYSTEMD.mkdir(parents=True)
    try:
        yield
    finally:
        SYSTEMD.rmdir()


def both(item, *, check=False):
    """Converge what is kept and what is now; tells what a test wants to know of both."""
    with seeming_systemd():
        kept = do(Persistence, [], check=check, sriov_functions=[item])
    now = do(SriovFunctions, [item], check=check)
    told = {"kept": kept["steps"], "now": now["steps"], "boot_drift": kept["boot_drift"]}
    print(json.dumps(told, default=str))
