# SPDX-License-Identifier: GPL-3.0-or-later
"""The change that faults hit, as the role makes it: the management NIC moves under a bridge, and a network onto that.

Runs on the host.
"""

from __future__ import annotations

import contextlib
import os
import signal

from ansible_collections.kvm.hostnet.plugins.module_utils._core import transaction
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import clean
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import watchdog
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.libvirt import Libvirt
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.netlink import Netlink
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.bridges import Bridges
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.libvirt_networks import LibvirtNetworks
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.transaction import Transaction

from tests.kernel.conftest import do

BRIDGE = {"name": "br-up0", "uplink": "up0"}
LAN = {"name": "lan", "forward": {"mode": "bridge"}, "bridge": {"name": "br-up0"}, "autostart": True}
#: what a change consists of: whoever dies does so between two of these
LIBVIRT_CALLS = tuple((Libvirt, f"{verb}_network") for verb in ("define", "start", "autostart"))
CALLS = ((Netlink, "_transact"), *LIBVIRT_CALLS)


def procedure(**options):
    with Transaction.open(clean(Transaction.options, options), writable=True) as opened:
        return opened.perform()


def in_part(kind, items, **options):
    found = transaction.state_of()
    os.environ[transaction.VARIABLE] = found["id"] if found.get("phase") == transaction.OPEN else ""
    with transaction.part():
        return do(kind, items, **options)


def persistence(bridge):
    from ansible_collections.kvm.hostnet.plugins.module_utils._resources.persistence import Persistence

    return Persistence, [bridge]


def change():
    """Each task as a module of its own would do it."""
    if watchdog.has_systemd():
        in_part(*persistence(BRIDGE))
    in_part(Bridges, [BRIDGE])
    in_part(LibvirtNetworks, [LAN])


def undo():
    """The way back that a user takes."""
    do(LibvirtNetworks, [{"name": "lan", "state": "absent"}], allow_restart="true")
    if watchdog.has_systemd():
        do(*persistence({"name": "br-up0", "state": "absent"}))
    do(Bridges, [{"name": "br-up0", "state": "absent"}])


def clean_up():
    with contextlib.suppress(HostNetError):
        procedure(state="restored")
    undo()


def before_call(number, act, calls=CALLS):
    """Do something in front of the call of that number, in this process only; the answer tells how many there were."""
    mine, count = os.getpid(), [0]
    if calls == CALLS and watchdog.has_systemd():
        calls = (*CALLS, (persistence({})[0], "apply"))

    def counted(method):
        def called(*arguments, **options):
            if os.getpid() == mine:
                count[0] += 1
                if count[0] == number:
                    act()
            return method(*arguments, **options)

        return called

    for owner, name in calls:
        setattr(owner, name, counted(getattr(owner, name)))
    return count


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(code):
    """Have the kernel refuse something, as it does when it is short of memory or somebody is faster."""

    def refusing():
        real = Netlink._transact

        def once(self, requests):
            Netlink._transact = real
            return [(0, code, "injected")]

        Netlink._transact = once

    return refusing


def said(work):
    """What an error says; empty if there was none."""
    try:
        work()
    except HostNetError as error:
        return str(error)
    return ""
