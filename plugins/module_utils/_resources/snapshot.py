# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's links, addresses, routes, rules and some of its files are, and the way back to that.

A snapshot is plain data that JSON holds.  The plan is pure; what libvirt, a guest or a driver has made is theirs, and
neither made nor deleted here.  This file is private to the collection.
"""

from __future__ import annotations

import base64
import os
import re
import typing as t
from pathlib import Path

from .._core.errors import HostNetError
from .._core.state import Step
from .._drivers import libvirt_records
from .._drivers.messages import OVS_MASTER, LinkError
from .._drivers.program import write_whole
from .._drivers.sysfs import Sysfs
from . import layer3, ovs_snapshot
from .bridge_fields import OPTIONS, OWN_ALIAS, PORT_FIELDS

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State
    from .._drivers.netlink import Netlink

#: what this collection writes below /run for others to read
FILES = (
    "run/systemd/network/*kvm.hostnet*",
    "run/NetworkManager/system-connections/kvm.hostnet*",
    "run/udev/rules.d/*kvm.hostnet*",
)
_MADE = ("bridge", "macvlan", "macvtap", "vlan", "dummy")  # kinds that can be made anew from what the kernel tells
_SETTABLE = ("mac", "mtu", "up", "allmulti", "alias", "master", "data", "port", "source_macs", "vlans")
_PORT = {field.wire for field in PORT_FIELDS}
_MACVLAN = {"mode", "flags", "bc_queue_len"}
# what the kernel tells of a kind and takes again
_DATA = {
    "bridge": {field.wire for field in OPTIONS},
    "macvlan": _MACVLAN,
    "macvtap": _MACVLAN,
    "vlan": {"id", "protocol", "flags"},
}
_FIXED = {"vlan": ("id", "protocol")}  # what is only taken when it is made; a change has no effect, and no error
# linux/if_vlan.h: reorder_hdr, gvrp, loose_binding and mvrp; bridge_binding, which kernels before 5.2 refuse
_VLAN_FLAGS, _BRIDGE_BINDING = 0x0F, 0x10
_FORWARDING = ("ipv4", "ipv6")


def take(netlink: Netlink, files: list[str], root: str = "/") -> State:
    """What the host is now; `files` are paths that somebody wants to have back besides ours."""
    links = {name: _link(link) for name, link in netlink.links().items()}
    for name, vlans in netlink.vlans().items():
        if name in links:
            links[name]["vlans"] = vlans
    sysfs = Sysfs(root)
    ovs = ovs_snapshot.take()
    for name in links.keys() & ovs_snapshot.links_of(ovs):  # whose daemon gives them these as it sees fit
        links[name].update({"mac": None, "mtu": None})
    return {
        "links": links,
        "layer3": [entry for entry in netlink.layer3() if not layer3.is_learned(entry)],
        "forwarding": {family: sysfs.setting("all", family, "forwarding") for family in _FORWARDING},
        "functions": {name: len(sysfs.functions(name)) for name in links},
        "files": {path: _content(root, path) for path in _paths(files, root)},
        "ovs": ovs,
        "named": _named(root),
        "theirs": sorted({*libvirt_records.network_bridges(root), *libvirt_records.guest_links(root)}),
    }


def _named(root: str) -> list[str]:
    """All words of the files by which this collection has network managers make links."""
    texts = (path.read_text(errors="replace") for pattern in FILES for path in Path(root).glob(pattern))
    return sorted({word for text in texts for word in re.findall(r"[\w.:-]+", text)})


def _link(link: State) -> State:
    kept = {word: value for word, value in link.items() if word not in ("group", "altnames")}
    if link["master"] == OVS_MASTER:  # for the database of Open vSwitch to tell, and to take
        kept["master"] = None
    if "data" in link:
        kept["data"] = {word: value for word, value in link["data"].items() if word in _DATA[link["kind"]]}
    if link["kind"] == "vlan" and "flags" in kept["data"]:
        # the mask says which of them are meant, and is told as all bits, which the kernel does not take
        flags = link["data"]["flags"]["flags"]
        mask = _VLAN_FLAGS | flags & _BRIDGE_BINDING
        kept["data"]["flags"] = {"flags": flags & mask, "mask": mask}
    elif "flags" in kept.get("data", {}):
        kept["data"]["flags"] = "nopromisc" if "nopromisc" in (link["data"]["flags"] or ()) else 0
    if "port" in link:
        kept["port"] = {word: value for word, value in link["port"].items() if word in _PORT}
    return kept


def _paths(files: list[str], root: str) -> list[str]:
    own = (str(path.relative_to(root)) for pattern in FILES for path in Path(root).glob(pattern))
    return sorted({*own, *(path.lstrip("/") for path in files)})


def _content(root: str, path: str) -> State | None:
    """A file with its owner and mode; None where there is none."""
    file = Path(root, path)
    if not file.is_file():
        return None
    try:
        status = file.stat()
        content = base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise HostNetError(f"Cannot read /{path}, which is to be restored: {error.strerror}") from error
    return {"content": content, "mode": status.st_mode & 0o7777, "owner": [status.st_uid, status.st_gid]}


# deciding


def plan(before: State, current: State) -> list[Step]:
    """The next steps from the current state of links and what is above them to the one before.  Pure.

    Names come first, then which links there are, then all else: what a new link lacks shows only once it is there.
    """
    theirs = {*before["theirs"], *current["theirs"]}
    was = {name: link for name, link in before["links"].items() if name not in theirs}
    have = {name: link for name, link in current["links"].items() if name not in theirs}
    return ovs_snapshot.plan(before["ovs"], current["ovs"]) + _of_links(before, current, was, have, theirs)


def _of_links(before: State, current: State, was: State, have: State, theirs: set[str]) -> list[Step]:
    return [*_renamed(was, have)] or _remade(was, have, set(current["named"])) or [
        *(Step("set", name, {"kind": link["kind"], **differs})
          for name, link in was.items() if name in have and (differs := _differs(link, have[name]))),
        *_layer3_steps(before, current, set(was), theirs),
        *_forwarding_steps(before, current),
    ]  # fmt: skip


def _renamed(was: State, have: State) -> Iterator[Step]:
    known = {link["index"]: name for name, link in was.items()}
    for name, link in have.items():
        old = known.get(link["index"])
        if name not in was and old is not None and old not in have:
            yield Step("rename", name, {"new_name": old})


def _remade(was: State, have: State, named: set[str]) -> list[Step]:
    new = [name for name, link in have.items() if name not in was and link["kind"] in _MADE]
    doomed = [name for name in new if name in named or _is_in_the_way(name, have, was)]
    anew = [name for name in was if name in have and _is_other(was[name], have[name])]
    missing = [name for name in was if (name not in have or name in anew) and was[name]["kind"] in _MADE]
    deletions = [Step("delete", name) for name in _upper_first([*doomed, *anew], have)]
    return [*deletions, *(Step("create", name, was[name]) for name in reversed(_upper_first(missing, was)))]


def _is_in_the_way(name: str, have: State, was: State) -> bool:
    """Whether a link that is new was made by this collection, or stands on a link that was there, or over one."""
    link = have[name]
    below = [other for other in have if have[other]["master"] == name or other == link.get("lower")]
    return link["alias"] == OWN_ALIAS or any(
        other in was or (other in have and _is_in_the_way(other, have, was)) for other in below
    )


def _is_other(link: State, current: State) -> bool:
    """Whether this is another link of the same name, which cannot become what it was."""
    if link["kind"] not in _MADE:
        return False
    if (link["kind"], link.get("lower")) != (current["kind"], current.get("lower")):
        return True
    data, data_now = link.get("data", {}), current.get("data", {})
    if any(data.get(word) != data_now.get(word) for word in _FIXED.get(link["kind"], ())):
        return True
    modes = {data.get("mode"), data_now.get("mode")}
    return len(modes) > 1 and "passthru" in modes


def _upper_first(names: list[str], links: State) -> list[str]:
    def depth(name: str) -> int:
        lower = links[name].get("lower")
        return 1 + (depth(lower) if lower in links else 0)

    return sorted(names, key=depth, reverse=True)


def _differs(link: State, current: State) -> State:
    """What has to be set, down to single settings of its kind and of the port that it is."""
    found: State = {}
    for word in _SETTABLE:
        value, have = link.get(word), current.get(word)
        if word in ("data", "port"):
            changed = {key: inner for key, inner in (value or {}).items() if (have or {}).get(key) != inner}
            found.update({word: changed} if changed else {})
        elif value != have and not (word == "vlans" and value is None) and not (word == "source_macs" and not value):
            found[word] = value
    if "master" in found:
        found["up"] = link["up"]  # a bond takes down what leaves it
    return found


def _layer3_steps(before: State, current: State, known: set[str], others: set[str]) -> list[Step]:
    def is_ours(entry: State) -> bool:
        names = layer3.names(entry)
        is_detached = entry["what"] == "rule" and not names & current["links"].keys()  # of a bridge that has gone
        return not names & others and (names <= known or is_detached)

    def ours(entries: list[State]) -> list[State]:
        return [entry for entry in entries if is_ours(entry)]

    was, have = ours(before["layer3"]), ours(current["layer3"])
    # what the kernel or a DHCP client has given meanwhile goes when its time has come
    surplus = [entry for entry in layer3.missing(have, was) if layer3.is_own(entry) and not layer3.is_leased(entry)]
    surplus = [entry for entry in surplus if not layer3.is_routed(entry)]
    missing = [entry for entry in layer3.missing(was, have) if not layer3.is_routed(entry)]
    steps = [Step("add", layer3.told(entry), entry) for entry in missing]
    return [*steps, *(Step("remove", layer3.told(entry), entry) for entry in surplus)]


def _forwarding_steps(before: State, current: State) -> list[Step]:
    return [
        Step("forwarding", family, value)
        for family, value in before["forwarding"].items()
        if value is not None and current["forwarding"][family] not in (None, value)
    ]


def functions_changed(before: State, current: State) -> list[str]:
    """The NICs whose count of virtual functions is another one, which nothing puts back by itself."""
    return [
        f"{name} has {now} virtual functions and had {was}"
        for name, was in before["functions"].items()
        if (now := current["functions"].get(name, was)) != was
    ]


# acting


def restore_files(files: State, root: str = "/") -> tuple[list[str], list[str]]:
    """Put files back, and take away those of ours that are new: (which, what could not be)."""
    changed, failures = [], []
    for path in sorted({*files, *_paths([], root)}):
        try:
            if _content(root, path) != files.get(path):
                changed.append(f"/{path}")
                _write(Path(root, path), files.get(path))
        except (HostNetError, OSError) as error:
            failures.append(f"/{path} is not as it was: {error}")
    return changed, failures


def _write(file: Path, before: State | None) -> None:
    if before is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, base64.b64decode(before["content"]), before["mode"])
    os.chown(file, *before["owner"])


class Restorer:
    """Carries out a plan; what fails is told at the end, and keeps nothing else from being put back."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._sysfs = Sysfs()

    def carry_out(self, steps: list[Step]) -> list[str]:
        """What could not be done."""
        failures = []
        try:
            ovs_snapshot.carry_out(self._netlink, steps)
        except HostNetError as error:  # the host's own links come back all the same
            failures.append(str(error))
        for step in steps:
            if step.verb in ("add", "remove") or step.verb.startswith(ovs_snapshot.PREFIX):
                continue
            try:
                self._apply(step)
            except HostNetError as error:
                failures.append(str(error))
        # all at once: an address that is gone takes its routes along, and one that comes needs its link up
        fresh = [step.state for step in steps if step.verb == "add"]
        stale = [step.state for step in steps if step.verb == "remove"]
        for requests in (layer3.deleted(stale), layer3.added(fresh)):
            try:
                failures += self._netlink.batch(requests)
            except HostNetError as error:
                failures.append(str(error))
        return failures

    def _apply(self, step: Step) -> None:
        name, state = step.item, step.state
        if step.verb == "rename":
            self._netlink.set_link(name, up=False)
            self._netlink.set_link(name, **state)
        elif step.verb == "delete":
            self._netlink.delete_links([name])
        elif step.verb == "create":
            born = {word: state[word] for word in ("lower", "mac", "mtu") if state.get(word)}
            # a kernel need not take all that it tells of a bridge, and what matters is set afterwards
            data = {"data": state["data"]} if state["kind"] not in ("bridge", "dummy") else {}
            self._netlink.add_link(name, state["kind"], **born, **data)
        elif step.verb == "forwarding":
            self._sysfs.set_setting("all", name, "forwarding", state)
        else:
            self._set(name, dict(state))

    def _set(self, name: str, state: State) -> None:
        kind, vlans = state.pop("kind"), state.pop("vlans", None)
        state = {word: "" if value is None and word in ("master", "alias") else value for word, value in state.items()}
        # what a bridge does to a link that joins it comes first, and what a port is told comes after it has joined
        for words in (("master",), ("mac",), ("mtu",), ("data", "source_macs"), ("up", "allmulti", "alias"), ("port",)):
            part = {word: state[word] for word in words if word in state}
            if part:
                self._set_part(name, kind if "data" in part or "source_macs" in part else "", part)
        if vlans is not None:
            self._set_vlans(name, vlans, of_bridge=kind == "bridge")

    def _set_part(self, name: str, kind: str, part: State) -> None:
        try:
            self._netlink.set_link(name, kind, **part)
        except LinkError:
            if not {"mac", "master"} & part.keys() or not self._sysfs.is_up(name):
                raise
            self._netlink.set_link(name, up=False)  # some drivers, and bonds, take it only so
            self._netlink.set_link(name, kind, **part)
            self._netlink.set_link(name, up=True)

    def _set_vlans(self, name: str, wanted: list[State], *, of_bridge: bool) -> None:
        have = self._netlink.vlans().get(name, [])
        stale = [vlan for vlan in have if vlan not in wanted]
        fresh = [vlan for vlan in wanted if vlan not in have]
        for verb, vlans in (("delete", stale), ("add", fresh)):
            if vlans:
                self._netlink.set_vlans(name, verb, vlans, of_bridge=of_bridge)
