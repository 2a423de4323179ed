# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a host under the eye of a watchdog: it puts the host back as it was unless somebody confirms over a new login.

This file is private to the collection.
"""

from __future__ import annotations

import os
import secrets
import time
import typing as t
from contextlib import contextmanager, suppress

from .._core import canonical, transaction
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Procedure
from .._drivers import libvirt as daemon, libvirt_records, program, reach, watchdog
from .._drivers.ledger import Ledger
from .._drivers.netlink import connection
from . import restore
from .network_fields import URI
from .snapshot import take

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

_PROBE = (
    Field("ping", canonical=canonical.address),
    Field("tcp", canonical=canonical.endpoint),
)
_PATIENCE = 120.0  # seconds for the host's own network to be back
_PROBE_SECONDS = 10.0  # for all that answered before to answer again
_MARGIN = 3.0  # seconds before the deadline in which it is too late to try again
_HEAD_START = 3.0  # seconds for the watchdog to begin before somebody else does it
_TIMEOUT_MIN = 1
_MAIN_TABLE = 254  # linux/rtnetlink.h


class Transaction(Procedure):
    """Opens, confirms or restores the one transaction of a host."""

    libraries = ("pyroute2", "libvirt")
    options = (
        Field("state", choices=("open", "confirmed", "restored"), required=True),
        Field("id"),
        Field("timeout", type="int", default=60),
        Field("probes", type="list", fields=_PROBE, default=[]),
        Field("files", type="list", default=[], canonical=canonical.absolute_path),
        URI,
    )

    def __init__(self, params: State, *, writable: bool) -> None:
        # a link stays one, and what it leads to is what is put back
        self._params = {**params, "files": [os.path.realpath(path) for path in params["files"]]}
        self._writable = writable
        self._ledger = Ledger()

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[Transaction]:
        for probe in params["probes"]:
            if len(probe) != 1:
                raise HostNetError(
                    "probes: each takes one of ping and tcp, such as ping: 192.0.2.1 or tcp: 192.0.2.1:443"
                )
        if params["timeout"] < _TIMEOUT_MIN:
            raise HostNetError(f"timeout is {params['timeout']}; write at least {_TIMEOUT_MIN} second")
        yield cls(params, writable=writable)

    def perform(self) -> State:
        verbs = {"open": self._open, "confirmed": self._confirm, "restored": self._restore}
        return verbs[self._params["state"]]() if self._writable else {"changed": False, "id": ""}

    # opening

    def _open(self) -> State:
        daemon.demand()
        earlier = self._make_way()
        with self._ledger.locked():
            self._refuse_a_second(self._ledger.state())
            wanted = secrets.token_hex(4)
            try:
                snapshot = self._keep(wanted)
                probes = self._working_probes()
                state = {
                    "id": wanted,
                    "phase": transaction.OPEN,
                    "opened": transaction.now(),
                    "timeout": self._params["timeout"],
                    "from": os.environ.get("SSH_CONNECTION", "").partition(" ")[0],
                    "probes": probes["working"],
                }
                self._ledger.write(state)
                watchdog.arm(self._ledger.program, wanted, state["timeout"], restore.armed_file(self._ledger))
                self._ledger.write({**state, "opened": transaction.now()})
            except BaseException:
                self._forget(wanted)
                raise
        warnings = earlier + [
            f"{name} does not answer now, so whether it does after the change tells nothing"
            for name in probes["silent"]
        ]
        warnings += (
            []
            if snapshot["networks"]
            else ["libvirt does not answer, so its networks are not part of this transaction"]
        )
        return {
            "changed": False,
            "id": wanted,
            "timeout": state["timeout"],
            "probes": probes["working"],
            "open_vswitch": snapshot["host"]["ovs"] is not None,
            "warnings": warnings,
        }

    def _make_way(self) -> list[str]:
        """Finish first what an earlier transaction has left, and tell of it."""
        state, journal = self._ledger.state(), self._ledger.journal()
        if journal and journal["phase"] == transaction.CONFIRMED:
            self._complete(journal["pending"])
        expired = state.get("phase") == transaction.OPEN and self._ledger.deadline() < transaction.now()
        if expired or (state.get("phase") == transaction.RESTORING and not restore.is_at_work(self._ledger)):
            restore.restore(self._ledger, state["id"], "its time was over, and its watchdog was gone")
            return [_restored(self._ledger.state())]
        return []

    def _refuse_a_second(self, state: State) -> None:
        if state.get("phase") == transaction.RESTORING:
            waiting = f": {state['waiting']}" if state.get("waiting") else ""
            raise HostNetError(
                f"Transaction {state['id']} is being restored on this host{waiting}. Nothing was changed; run this "
                "again later"
            )
        if state.get("phase") != transaction.OPEN:
            return
        left = max(0.0, self._ledger.deadline() - transaction.now())
        by = f" from {state['from']}" if state.get("from") else ""
        raise HostNetError(
            f"Transaction {state['id']}, opened{by} {transaction.now() - state['opened']:.0f} s ago, is open on this "
            "host. Nothing was changed. Confirm or restore that one, or wait: unless its run goes on, the host "
            f"restores itself in {left:.0f} s"
        )

    def _keep(self, wanted: str) -> State:
        """Write down what the host is, and show that the way back to it works."""
        with connection() as netlink:
            host = take(netlink, self._params["files"])
        networks = restore.networks_in_time(self._params["uri"])
        snapshot = {"host": host, "networks": networks}
        self._ledger.keep_snapshot(snapshot)
        program.pack(self._ledger.program, "_resources.restore:main")
        watchdog.check(self._ledger.program, wanted)
        if watchdog.has_systemd():
            files = {path.lstrip("/"): host["files"][path.lstrip("/")] for path in self._params["files"]}
            place = {"id": wanted, "phase": transaction.OPEN, "boot": watchdog.boot_id()}
            self._ledger.keep_journal({**place, "definitions": libvirt_records.definitions(), "files": files})
            program.pack(self._ledger.kept_program, "_resources.restore:main")
            watchdog.keep_for_boot(self._ledger.kept_program)
        return snapshot

    def _forget(self, wanted: str) -> None:
        """Nothing was changed yet, so there is nothing to come back to."""
        with suppress(HostNetError, OSError):
            self._ledger.write({"id": wanted, "phase": transaction.CONFIRMED})
        with suppress(HostNetError):
            watchdog.disarm(wanted)
        with suppress(OSError):
            self._ledger.drop_journal()
            watchdog.drop_for_boot()

    def _working_probes(self) -> dict[str, list[t.Any]]:
        asked = [*_gateways(), {"libvirt": self._params["uri"]}]
        named = list(self._params["probes"])
        working = [probe for probe in [*asked, *named] if _answers(probe)]
        return {"working": working, "silent": [_told(probe) for probe in named if probe not in working]}

    # ending

    def _confirm(self) -> State:
        state = self._the_one()
        if state["phase"] == transaction.CONFIRMED:
            journal = self._ledger.journal()  # of a confirmation that did not live to its end
            if journal and journal["phase"] == transaction.CONFIRMED:
                self._complete(journal["pending"])
            return {"changed": False, "id": state["id"]}
        if state["phase"] != transaction.OPEN:
            raise HostNetError(_restored(self._await(state["id"])))
        daemon.demand()
        silent = self._silent(state["probes"])
        if silent:
            report = self._put_back(state["id"], f"{', '.join(silent)} did not answer any more")
            raise HostNetError(_restored(report))
        try:
            self._commit(state["id"])
        except HostNetError as error:
            if self._ledger.state()["phase"] == transaction.CONFIRMED:
                raise
            raise HostNetError(_restored(self._put_back(state["id"], str(error)))) from error
        watchdog.disarm(state["id"])
        return {"changed": False, "id": state["id"], "probes": state["probes"]}

    def _silent(self, probes: list[State]) -> list[str]:
        """Who does not answer any more; a bridge that has just come up is given time, as far as there is any."""
        until = min(self._ledger.deadline() - _MARGIN, transaction.now() + _PROBE_SECONDS)
        left = probes
        while True:
            left = [probe for probe in left if not _answers(probe)]
            if not left or transaction.now() > until:
                return [_told(probe) for probe in left]
            time.sleep(0.5)

    def _commit(self, wanted: str) -> None:
        """What can fail comes first; with the journal's new phase it has happened, and a boot would complete it."""
        with self._ledger.locked(), self._ledger.idle():
            state = self._ledger.state()
            late = self._ledger.deadline() < transaction.now()
            if state.get("id") != wanted or state["phase"] != transaction.OPEN or late:
                raise HostNetError("its time was over before it was confirmed")
            pending, journal = restore.pending(), self._ledger.journal()
            if journal:
                self._ledger.keep_journal({**journal, "phase": transaction.CONFIRMED, "pending": pending})
            self._ledger.write({**state, "phase": transaction.CONFIRMED})
        self._complete(pending)

    def _complete(self, pending: State | None) -> None:
        restore.complete(pending)
        with suppress(OSError):  # they would complete it once more
            self._ledger.drop_journal()
            watchdog.drop_for_boot()

    def _restore(self) -> State:
        state = self._the_one()
        if state["phase"] == transaction.CONFIRMED:
            raise HostNetError(f"Transaction {state['id']} was confirmed, so there is nothing to restore")
        before = state["phase"]
        if before != transaction.RESTORED:
            state = self._put_back(state["id"], transaction.ASKED)
        report = state.get("report")
        if not report:
            raise HostNetError(_restored(state))
        return {"changed": before != transaction.RESTORED and bool(report["steps"]), "id": state["id"], **report}

    def _the_one(self) -> State:
        """The transaction that the task is about."""
        state, wanted = self._ledger.state(), self._params.get("id")
        if not state or (wanted and state["id"] != wanted):
            which = f"transaction {wanted}" if wanted else "transaction"
            raise HostNetError(f"There is no {which} on this host; it may have been restarted, which restores as well")
        return state

    def _put_back(self, wanted: str, why: str) -> State:
        with self._ledger.locked():
            state = self._ledger.state()
            if state["phase"] == transaction.OPEN:
                self._ledger.write({**state, "restore_now": why})
        with suppress(HostNetError):
            watchdog.hurry(wanted)
        deadline = time.monotonic() + _HEAD_START
        while time.monotonic() < deadline and self._ledger.state()["phase"] == transaction.OPEN:
            time.sleep(0.05)
        restore.restore(self._ledger, wanted, why)  # which does nothing if the watchdog does it
        return self._await(wanted)

    def _await(self, wanted: str) -> State:
        """The transaction as soon as it is restored, or is seen to take longer than anybody would wait."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            state = self._ledger.state()
            if state.get("id") != wanted or state["phase"] == transaction.RESTORED or state.get("waiting"):
                break
            time.sleep(0.1)
        return self._ledger.state()


def _gateways() -> list[State]:
    """The gateways of the host, each a probe."""
    with connection() as netlink:
        routes = netlink.layer3("route")
    found = {
        route["attrs"]["RTA_GATEWAY"]
        for route in routes
        if "RTA_GATEWAY" in route["attrs"] and "RTA_DST" not in route["attrs"] and route["table"] == _MAIN_TABLE
    }
    return [{"gateway": address} for address in sorted(found)]


def _link_to(gateway: str) -> str:
    with connection() as netlink:
        found = (route["attrs"] for route in netlink.layer3("route"))
        return next((attrs["RTA_OIF"] for attrs in found if attrs.get("RTA_GATEWAY") == gateway), "")


def _answers(probe: State) -> bool:
    ((kind, target),) = probe.items()
    if kind == "libvirt":
        return restore.networks_in_time(target) is not None
    if kind == "tcp":
        host, _colon, port = target.rpartition(":")
        return reach.connects(host.strip("[]"), int(port))
    return reach.pings(target, _link_to(target) if kind == "gateway" else "")


def _told(probe: State) -> str:
    ((kind, target),) = probe.items()
    return kind if kind == "libvirt" else f"{kind} {target}"


def _restored(state: State) -> str:
    """What happened to a transaction that cannot be confirmed."""
    report = state.get("report")
    if not report:
        waiting = state.get("waiting") or "it is still at it"
        return f"Transaction {state['id']} cannot be confirmed: the host is putting itself back as it was ({waiting})"
    told = f"Transaction {state['id']} was not confirmed: {report['why']}. "
    if report["left"]:
        return f"{told}The host could not put everything back: {'; '.join(report['left'])}"
    back = f"The host has put itself back as it was within {report['seconds']} s"
    functions = (
        f". Virtual functions are never put back: {', '.join(report['functions'])}" if report["functions"] else ""
    )
    return f"{told}{back}{functions}"
