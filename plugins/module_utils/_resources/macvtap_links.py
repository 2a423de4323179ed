# SPDX-License-Identifier: GPL-3.0-or-later
"""The macvtap and macvlan links of a host.

This file is private to the collection.
"""

from __future__ import annotations

import itertools
import typing as t
from contextlib import contextmanager

from .._core import canonical
from .._core.errors import HostNetError
from .._core.field import Field
from .._core.resource import Resource
from .._core.state import Step
from .._drivers import libvirt_records
from .._drivers.messages import MACVLAN_KINDS, OVS_MASTER
from .._drivers.netlink import connection
from .._drivers.sysfs import Sysfs
from . import layer3

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink

# in the kernel's spelling; the four that guests use are also libvirt's forward modes
MODES = ("bridge", "vepa", "private", "passthru", "source")
ADDR_GEN_MODES = ("eui64", "none", "stable_secret", "random")  # IN6_ADDR_GEN_MODE_*, linux/if_link.h
_FIXED = ("kind", "lower")  # the kernel takes a change of these, and does nothing
_LINK = (
    Field("lower", canonical=canonical.link_name),
    Field("kind", choices=MACVLAN_KINDS),
    Field("mode", choices=MODES),
    Field("mac", canonical=canonical.mac),
    Field("mtu", type="int"),
    Field("up", type="bool"),
    Field("source_macs", type="list", canonical=canonical.mac),
    Field("nopromisc", type="bool"),
    Field("bc_queue_len", type="int"),
    Field("allmulti", type="bool"),
    Field("addr_gen_mode", choices=ADDR_GEN_MODES),
    Field("addresses", type="list", canonical=canonical.interface_address),
    Field("routes", type="list", canonical=canonical.subnet),
)
_MTU_MIN = 68  # what IPv4 asks for (RFC 791), and the kernel's ETH_MIN_MTU
_QUEUE_MAX = 2**32 - 1
_MACS_MAX = 2000  # with many more, a link does not fit into the kernel's list of links, and is not in it
_NAMES = [field.name for field in _LINK]
_DATA = ("mode", "nopromisc", "bc_queue_len")  # what a message says of the kind
_LAYER3 = ("addresses", "routes")
_RIVALS = ("ipvlan", "ipvtap")
_NEW = {"kind": "macvtap", "mode": "vepa", "up": True}  # vepa is the kernel's own default
# a host that made up an address for a guest's MAC would claim the guest's own address in duplicate detection
_NEW_MACVTAP = {"addr_gen_mode": "none"}


class MacvtapLinks(Resource):
    """Converges macvtap and macvlan links."""

    libraries = ("pyroute2",)
    items = Field(
        "links",
        type="list",
        key="name",
        required=True,
        fields=(
            Field("name", required=True, canonical=canonical.link_name),
            Field("state", choices=("present", "absent"), default="present"),
            *_LINK,
        ),
    )
    options = (
        Field("allow_recreate", type="bool", default=False),
        Field("pending_bridges", type="list", default=[], canonical=canonical.link_name),
    )

    def __init__(self, netlink: Netlink, params: State) -> None:
        self._netlink = netlink
        self._sysfs = Sysfs()
        self._allow_recreate = params["allow_recreate"]
        self._pending = params.get("pending_bridges", ())
        #: addresses and routes take a look at all that the host has, so only who asks for them pays
        self._with_layer3 = any(word in item for item in params["links"].values() for word in _LAYER3)
        self._others: State = {}  #: the links that are neither macvtap nor macvlan
        self._guests: dict[str, str] = {}  #: the links of running guests, and whose they are

    @classmethod
    @contextmanager
    def open(cls, params: State, *, writable: bool) -> Iterator[MacvtapLinks]:
        with connection() as netlink:
            yield cls(netlink, params)

    def read(self) -> State:
        found = self._netlink.links()
        self._others = {name: link for name, link in found.items() if link["kind"] not in MACVLAN_KINDS}
        self._guests = libvirt_records.guest_links()
        links = {name: self._state(name, link) for name, link in found.items() if name not in self._others}
        entries = self._netlink.layer3() if self._with_layer3 else []
        for name, link in links.items() if self._with_layer3 else ():
            own = layer3.on_link(entries, name)
            link.update({"addresses": layer3.addresses_of(own), "routes": layer3.subnets_of(own)})
        return {name: {key: link[key] for key in _NAMES if link.get(key) is not None} for name, link in links.items()}

    def _state(self, name: str, link: State) -> State:
        data = link["data"]
        generates = self._sysfs.setting(name, "ipv6", "addr_gen_mode")
        return {
            **link,
            "mode": data["mode"],
            "source_macs": link["source_macs"] if data["mode"] == "source" else None,
            "nopromisc": "nopromisc" in data["flags"],
            "bc_queue_len": data.get("bc_queue_len"),
            "addr_gen_mode": ADDR_GEN_MODES[int(generates)] if generates else None,
        }

    def aim(self, desired: State, current: State) -> State:
        ipv6 = self._sysfs.setting("all", "ipv6", "disable_ipv6") is not None
        return {name: _aim(item, current.get(name), _NEW_MACVTAP if ipv6 else {}) for name, item in desired.items()}

    @staticmethod
    def plan(goal: State, current: State) -> list[Step]:
        removals, others = [], []
        for name, wanted in goal.items():
            have = current.get(name)
            if have and (wanted is None or _is_other_link(wanted, have)):
                removals.append(Step("delete", name))
                have = None
            if wanted and not have:
                others.append(Step("create", name, wanted))
            elif wanted and have:
                changed = {key: wanted[key] for key in _NAMES if key in wanted and wanted[key] != have.get(key)}
                others += [Step("set", name, {"kind": have["kind"], **changed})] if changed else []
        return removals + others

    def carry_out(self, steps: list[Step]) -> None:
        for verb, group in itertools.groupby(steps, key=lambda step: step.verb):
            if verb == "delete":
                self._netlink.delete_links([step.item for step in group])
            else:
                super().carry_out(list(group))

    def apply(self, step: Step) -> None:
        name, state = step.item, dict(step.state)
        kind, up = state.pop("kind"), state.pop("up", None)
        if step.verb == "create":
            born = {key: state.pop(key) for key in ("lower", "mac", "mtu") if key in state}
            self._netlink.add_link(name, kind, **born, data=_data({"mode": state.pop("mode"), **state}))
            state = {key: value for key, value in state.items() if key not in _DATA}
        if up and "nopromisc" in state:  # the kernel loses count when the flag changes on a link that is down
            self._netlink.set_link(name, up=True)
        if "addr_gen_mode" in state:
            self._sysfs.set_setting(name, "ipv6", "addr_gen_mode", str(ADDR_GEN_MODES.index(state["addr_gen_mode"])))
        plain = {key: state[key] for key in ("mac", "mtu", "allmulti", "source_macs") if key in state}
        data = _data(state)
        last = {} if up is None else {"up": up}
        if plain or data or last:
            self._netlink.set_link(name, kind, **plain, **last, **({"data": data} if data else {}))
        if any(word in state for word in _LAYER3):
            self._set_layer3(name, state)

    def _set_layer3(self, name: str, state: State) -> None:
        """Addresses come before others go, since the kernel drops all routes with the last one, and secondaries too."""
        before = layer3.on_link(self._netlink.layer3(), name)
        have = {"addresses": layer3.addresses_of(before), "routes": layer3.subnets_of(before)}
        wanted = {word: state.get(word, have[word]) for word in _LAYER3}
        make = {"addresses": layer3.address, "routes": layer3.route}
        stale = [make[word](name, text) for word in _LAYER3 for text in have[word] if text not in wanted[word]]
        entries = [make[word](name, text) for word in _LAYER3 for text in wanted[word]]
        steps = (layer3.added(entries[: len(wanted["addresses"])]), layer3.deleted(stale), layer3.added(entries))
        refused = [text for requests in steps for text in self._netlink.batch(requests)]
        if refused:
            raise HostNetError(f"Cannot set the addresses and routes of {name}: {'; '.join(refused)}")

    def validate(self, desired: State, current: State) -> None:
        goal = self.aim(desired, current)
        after = {**current, **goal}
        crowd = _crowd(after)
        found = [
            f"{name}: {text}"
            for name, wanted in goal.items()
            if wanted != current.get(name)
            for text in (*self._problems(name, wanted, after, current.get(name)), *_rivals(name, wanted, crowd))
        ]
        if found:
            raise HostNetError("Nothing was changed. " + ". ".join(f"Link {text}" for text in found) + ".")

    def _problems(self, name: str, wanted: State | None, after: State, have: State | None) -> Iterator[str]:
        if name in self._guests:
            yield f"it is the interface of the running guest {self._guests[name]}, and libvirt's; change the guest"
            return
        if wanted is None:
            return
        lower = wanted.get("lower")
        if name in self._others:
            yield f"there is an interface of that name, of kind {self._others[name]['kind'] or 'physical'}"
        elif not lower:
            yield "lower is missing; name the interface that the link is to sit on"
        elif lower not in self._others:
            sits = "a macvtap or macvlan link itself" if lower in after else "not on this host"
            yield f"its lower interface {lower} is {sits}"
        else:
            yield from self._lower_problems(lower, wanted)
        if wanted["mode"] == "passthru" and "mac" in wanted and wanted["mac"] != (have or {}).get("mac"):
            yield f"mode passthru shares the MAC address of {lower}; leave mac out, or set it on {lower}"
        again = have is not None and _is_other_link(wanted, have)
        if again and not self._allow_recreate:
            yield "this change needs the link made anew, which cuts off its user; set allow_recreate to allow it"
        secrets = (self._sysfs.setting(link, "ipv6", "stable_secret") for link in (name, "default"))
        if wanted.get("addr_gen_mode") == "stable_secret" and not any(secrets):
            yield "addr_gen_mode stable_secret needs a secret; set net.ipv6.conf.default.stable_secret first"
        yield from _option_problems(wanted, None if again else have)

    def _lower_problems(self, lower: str, wanted: State) -> Iterator[str]:
        master, most, mac = (self._others[lower][name] for name in ("master", "mtu", "mac"))
        if "mtu" in wanted and not _MTU_MIN <= wanted["mtu"] <= most:
            yield f"mtu {wanted['mtu']} has to be from {_MTU_MIN} to the {most} of {lower}"
        if "mac" in wanted and wanted["mac"] == mac and wanted["mode"] != "passthru":
            yield f"{lower} itself has the MAC address {mac}"
        if lower == "lo":
            yield "lo carries no Ethernet frames; choose another lower interface"
        if master == OVS_MASTER:
            yield f"{lower} is a port of Open vSwitch, where the kernel allows no such link; choose another one"
        elif master and master not in self._pending:
            yield f"{lower} is a port of {master}, where the kernel allows no such link; put it on {master}"
        rival = next(
            (name for name, link in self._others.items() if link.get("lower") == lower and link["kind"] in _RIVALS),
            None,
        )
        if rival:
            yield f"{lower} carries the {self._others[rival]['kind']} link {rival}, beside which the kernel allows none"


def _data(state: State) -> State:
    """What the kind's own part of a message says."""
    data: State = {key: state[key] for key in ("mode", "bc_queue_len") if key in state}
    if "nopromisc" in state:
        data["flags"] = "nopromisc" if state["nopromisc"] else 0
    return data


def _aim(desired: State, current: State | None, new_macvtap: State) -> State | None:
    if desired["state"] == "absent":
        return None
    given = {
        key: sorted({*desired[key]}) if isinstance(desired[key], list) else desired[key]
        for key in _NAMES
        if key in desired
    }
    if current is None or _is_other_link({**current, **given}, current):
        # made anew, it keeps what was asked for and nothing by chance
        kept = (
            {}
            if current is None
            else {key: current[key] for key in ("lower", "kind", "mode", *given) if key in current}
        )
        goal = {**_NEW, **kept, **given}
        return {**(new_macvtap if goal["kind"] == "macvtap" else {}), **goal}
    goal = {**current, **given}
    if goal["mode"] != "source" and not given.get("source_macs"):  # the kernel forgets them by itself
        goal.pop("source_macs", None)
    return goal


def _is_other_link(wanted: State, have: State) -> bool:
    """Whether the kernel cannot turn one link into the other."""
    to_or_from_passthru = wanted["mode"] != have["mode"] and "passthru" in (wanted["mode"], have["mode"])
    return to_or_from_passthru or any(wanted.get(name) != have.get(name) for name in _FIXED)


def _option_problems(wanted: State, have: State | None) -> Iterator[str]:
    if len(wanted.get("source_macs", ())) > _MACS_MAX:
        yield f"source_macs has {len(wanted['source_macs'])} addresses, and the kernel can list {_MACS_MAX} at most"
    if wanted.get("source_macs") and wanted["mode"] != "source":
        yield f"source_macs is for mode source, and this link is in mode {wanted['mode']}"
    if wanted.get("nopromisc") and wanted["mode"] != "passthru":
        yield f"nopromisc is for mode passthru, and this link is in mode {wanted['mode']}"
    if have and wanted.get("nopromisc") != have.get("nopromisc") and not (have["up"] or wanted["up"]):
        yield "nopromisc can change only while the link is up (the kernel loses count otherwise); set up: true as well"
    if not 0 <= wanted.get("bc_queue_len", 0) <= _QUEUE_MAX:
        yield f"bc_queue_len {wanted['bc_queue_len']} has to be from 0 to {_QUEUE_MAX} frames"
    if have and "bc_queue_len" in wanted and "bc_queue_len" not in have:
        yield "the kernel of this host does not know bc_queue_len (Linux 5.11 does); leave it out"
    if have and "addr_gen_mode" in wanted and "addr_gen_mode" not in have:
        yield "this host has no IPv6, so no addr_gen_mode; leave it out"
    if wanted.get("routes") and not wanted["up"]:
        yield "routes need the link up; leave them out, or set up: true"
    if wanted["kind"] == "macvtap" and any(wanted.get(word) for word in _LAYER3):
        yield "addresses and routes are the guest's on a macvtap; give them to a link of kind macvlan"


def _crowd(after: State) -> dict[t.Any, list[str]]:
    """Who will be on each lower interface, by MAC address and by mode; a host may have very many links."""
    crowd: dict[t.Any, list[str]] = {}
    for name, link in after.items():
        for place in ("mac", "mode") if link else ():
            crowd.setdefault((link.get("lower"), link.get(place)), []).append(name)
        if link:
            crowd.setdefault(link.get("lower"), []).append(name)
    return crowd


def _rivals(name: str, wanted: State | None, crowd: dict[t.Any, list[str]]) -> Iterator[str]:
    if wanted is None:
        return
    lower = wanted.get("lower")
    beside = crowd[lower] if wanted["mode"] == "passthru" else crowd.get((lower, "passthru"), [])
    for other in [other for other in beside if other != name][:1]:
        yield f"mode passthru takes {lower} for itself, where {other} is as well"
    for other in [other for other in crowd.get((lower, wanted.get("mac", "")), []) if other != name][:1]:
        yield f"{other} on {lower} has the same MAC address {wanted['mac']}"
