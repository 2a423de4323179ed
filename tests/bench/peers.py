# SPDX-License-Identifier: GPL-3.0-or-later
"""The variants: our modules, the leading peer's as documented, and the raw process; each does the same phases."""

from __future__ import annotations

import typing as t

from . import cases

if t.TYPE_CHECKING:
    from .accounting import Done
    from .bench import Bench, Tasks

FIRST, AGAIN, ENTRY, MEND, REMOVE = "first run", "re-check", "one entry changed", "four drifts mended", "removal"
PHASES = (FIRST, AGAIN, ENTRY, MEND, REMOVE)


def begin(bench: Bench) -> None:
    """One lab host that has what networks and links sit on, and in memory what all variants read."""
    bench.up(1)
    bench.on("kvm1", "ip", "link", "add", cases.HOST_BRIDGE, "type", "bridge")
    bench.play([])


class Wanted(t.NamedTuple):
    """What a phase is to leave behind."""

    networks: list[cases.Network]
    links: list[str]


class Variant:
    """A way to do the phases."""

    name: str

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def run(self, phase: str, wanted: Wanted) -> Done:
        raise NotImplementedError


class Ours(Variant):
    """As the role does it: all is compared in one task, and one for networks and one for links follow where those differ."""

    name = "ours"

    def run(self, phase: str, wanted: Wanted) -> Done:
        done = self._play(wishes(phase, wanted))
        if phase == AGAIN and " changed=0 " not in done.output:
            raise SystemExit(f"bench: a re-check has changed something:\n{done.output[-8000:]}")
        return done

    def _play(self, wished: dict[str, t.Any]) -> Done:
        planned = {module: {"module": module, "options": f"{{{{ wished_{module} }}}}"} for module in wished}
        tasks: Tasks = [
            {"kvm.hostnet.changes_info": {"tasks": planned}, "register": "planned"},
            {"ansible.builtin.meta": "end_host", "when": "planned.differs | length == 0"},
        ]
        tasks += [{**task, "when": f"'{module}' in planned.differs"} for module, task in _tasks(wished).items()]
        return self.bench.play(tasks, said(wished))


class Modules(Ours):
    """A task for each kind, as a play of the user's own would have them, and as the peer's has."""

    name = "modules"

    def _play(self, wished: dict[str, t.Any]) -> Done:
        return self.bench.play([*_tasks(wished).values()], said(wished))


def wishes(phase: str, wanted: Wanted) -> dict[str, t.Any]:
    """By its module, what is wished for."""
    if phase == REMOVE:
        networks: list[dict] = [{"name": network.name, "state": "absent"} for network in wanted.networks]
        links: list[dict] = [{"name": name, "state": "absent"} for name in wanted.links]
    else:
        networks = [cases.options(network) for network in wanted.networks]
        links = [{"name": name, "lower": cases.LINK_LOWER, "mode": "bridge"} for name in wanted.links]
    options = {"libvirt_networks": {"networks": networks}, "macvtap_links": {"links": links}}
    return {module: given for module, given in options.items() if all(given.values())}


def said(wished: dict[str, t.Any]) -> dict[str, t.Any]:
    """What is wished for as variables: said once, as in an inventory."""
    return {f"wished_{module}": options for module, options in wished.items()}


def _tasks(wished: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {
        module: {f"kvm.hostnet.{module}": {option: f"{{{{ wished_{module}.{option} }}}}" for option in options}}
        for module, options in wished.items()
    }


class Peer(Variant):
    """community.libvirt.virt_net looped as it documents, and ansible.builtin.command for each link."""

    name = "peer"
    _module = "community.libvirt.virt_net"

    def run(self, phase: str, wanted: Wanted) -> Done:
        loop = [
            {"name": each.name, "xml": cases.document(each), "entry": cases.entry(each), "served": each.served}
            for each in wanted.networks
        ]
        if phase == REMOVE:
            tasks = self._task(loop, state="absent") + self._links("del {{ item }}", wanted, gone=True)
        elif phase == ENTRY:  # all that it can change in a network that exists
            tasks = self._task([item for item in loop if item["served"]], command="modify", xml="{{ item.entry }}")
        else:
            tasks = self._task(loop, command="define", xml="{{ item.xml }}")
            tasks += self._task(loop, state="active") + self._task(loop, autostart=True)
            line = f"add {{{{ item }}}} link {cases.LINK_LOWER} up type macvtap mode bridge"
            tasks += self._links(line, wanted, gone=False)
        return self.bench.play(tasks)

    def _task(self, loop: list[dict], **options: t.Any) -> Tasks:
        return [{self._module: {"name": "{{ item.name }}", **options}, "loop": loop}]

    @staticmethod
    def _links(line: str, wanted: Wanted, *, gone: bool) -> Tasks:
        guard = {"removes" if gone else "creates": "/sys/class/net/{{ item }}"}
        return [{"ansible.builtin.command": {"cmd": f"ip link {line}", **guard}, "loop": wanted.links}]


class Raw(Variant):
    """One process over libvirt-python and `ip -batch`, without Ansible."""

    name = "raw"

    def run(self, phase: str, wanted: Wanted) -> Done:
        return self.bench.raw("raw.py", "remove" if phase == REMOVE else "apply", told(wanted))


def told(wanted: Wanted) -> dict[str, t.Any]:
    """What the raw process is told."""
    networks = [
        {
            "name": each.name,
            "document": cases.document(each),
            "entry": each.entry if each.served else None,
            "change": cases.entry(each),
            "active": each.active,
        }
        for each in wanted.networks
    ]
    return {"networks": networks, "links": wanted.links, "lower": cases.LINK_LOWER, "group": cases.GROUP}
