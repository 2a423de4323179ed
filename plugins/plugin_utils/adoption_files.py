# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an inventory that describes hosts: what they have in common stands with groups of them.  Pure.

Runs on the controller.  This file is private to the collection.
"""

from __future__ import annotations

import json
import typing as t

import yaml

from . import adoption

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    State = dict[str, t.Any]
    Documents = dict[str, State]

GROUP = "hostnet"  #: of all hosts that are described
_INDENT = "  "


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # PyYAML comes without types
    """Writes what Ansible would take for a template so that it does not: a guest may be called anything."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_template = any(mark in text for mark in ("{{", "{%", "{#"))
    style = '"' if is_template or not text.isprintable() else None
    return dumper.represent_scalar("!unsafe" if is_template else "tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def files(hosts: Iterable[str], known: Mapping[str, State], groups: Mapping[str, list[str]]) -> list[State]:
    """The name and the content of each file."""
    told = {host: known[host]["hostnet_adopted"] for host in hosts if known[host].get("hostnet_adopted")}
    described = {host: each for host, each in told.items() if not each["trouble"]}
    common, own = lifted(with_host_modes({host: each["variables"] for host, each in described.items()}), groups)
    proofs = {host: adoption.would(known[host].get("hostnet_proof", {})) for host in described}
    return [
        {"name": "hosts.yml", "content": _hosts(list(described), common, groups)},
        *(
            {"name": f"group_vars/{group}.yml", "content": _variables(each["variables"])}
            for group, each in common.items()
        ),
        *(
            {"name": f"host_vars/{host}.yml", "content": _host(described[host], proofs[host], own[host])}
            for host in described
        ),
    ]


def with_host_modes(documents: Documents) -> Documents:
    """Networks that hosts have alike, but for their mode, take that from their host."""
    seen: dict[str, State] = {}  # a network without its mode, by what it says: the mode of each host
    for host, variables in documents.items():
        for network in variables.get("hostnet_networks", ()):
            seen.setdefault(_without_mode(network), {})[host] = network["mode"]
    differing = {network: by_host for network, by_host in seen.items() if len({*by_host.values()}) > 1}
    modes = {host: {by_host[host] for by_host in differing.values() if host in by_host} for host in documents}
    return {
        host: _with_mode(variables, next(iter(modes[host])), differing) if len(modes[host]) == 1 else variables
        for host, variables in documents.items()
    }


def _without_mode(network: State) -> str:
    return json.dumps({word: network[word] for word in network if word != "mode"}, sort_keys=True)


def _with_mode(variables: State, mode: str, differing: Mapping[str, State]) -> State:
    networks = [
        {word: each[word] for word in each if word != "mode"} if _without_mode(each) in differing else each
        for each in variables["hostnet_networks"]
    ]
    return {"hostnet_mode": mode, **variables, "hostnet_networks": networks}


def lifted(documents: Documents, groups: Mapping[str, list[str]]) -> tuple[Documents, Documents]:
    """By group, the hosts and the variables that these have in common; and by host, what is its own.

    A group of the inventory is taken if it has just these hosts, else one is made: nothing is proven of other hosts.
    """
    common: Documents = {}
    own: Documents = {host: {} for host in documents}
    for variable in dict.fromkeys(name for variables in documents.values() for name in variables):
        alike: dict[str, list[str]] = {}
        for host, variables in documents.items():
            if variable in variables:
                alike.setdefault(json.dumps(variables[variable], sort_keys=True), []).append(host)
        for hosts in alike.values():
            value = documents[hosts[0]][variable]
            if len(hosts) == 1:
                own[hosts[0]][variable] = value
            else:
                group = _group(variable, hosts, documents, groups, common)
                common.setdefault(group, {"hosts": hosts, "variables": {}})["variables"][variable] = value
    return common, own


def _group(
    variable: str, hosts: list[str], documents: Documents, groups: Mapping[str, list[str]], common: Documents
) -> str:
    made = next((name for name, group in common.items() if group["hosts"] == hosts), None)
    if made or len(hosts) == len(documents):
        return made or _free(GROUP, hosts, groups, common)
    given = (name for name in sorted(groups) if name not in ("all", "ungrouped") and {*groups[name]} == {*hosts})
    return next(given, None) or _free(f"{variable}_1", hosts, groups, common)


def _free(name: str, hosts: list[str], groups: Mapping[str, list[str]], taken: Iterable[str] = ()) -> str:
    """A group of this name, or of the next number, which gives no host anything but these."""
    stem, number = name.rstrip("0123456789"), 1
    while name in taken or not {*groups.get(name, ())} <= {*hosts}:
        number += 1
        name = f"{stem.rstrip('_')}_{number}"
    return name


def _hosts(described: list[str], common: Documents, groups: Mapping[str, list[str]]) -> str:
    written = {name: group["hosts"] for name, group in common.items()}
    if described not in written.values():
        written = {_free(GROUP, described, groups): described, **written}
    lines = [
        "---",
        "# Groups for what hosts have in common; how they are reached stands in your own inventory.",
        "all:",
    ]
    lines += [f"{_INDENT}children:"]
    for name, hosts in written.items():
        lines += [f"{_INDENT * 2}{_flow(name)}:", f"{_INDENT * 3}hosts: {_flow({host: {} for host in hosts})}"]
    return "\n".join(lines) + "\n"


def _host(told: State, steps: list[str], own: State) -> str:
    if "hostnet_networks" not in told["variables"]:
        lines = ["No network is described; site refuses a host without one."]
    else:
        lines = ["With this inventory, site would change this host still:", *steps]
        lines = lines if steps else ["With this inventory, site would change nothing."]
    lines += [f"{sentence}." for sentence in told["about"]]
    lines += [
        f"Network {name} has besides, and keeps: {', '.join(paths)}. Options of the module libvirt_networks, not of an "
        "inventory."
        for name, paths in told["beside"].items()
    ]
    return _variables(own, lines) + "".join(_left(each) for each in told["left"])


def _variables(variables: State, about: Iterable[str] = ()) -> str:
    text = "---\n" + "".join(_comment(line) for line in about)
    for name, value in variables.items():
        if isinstance(value, list):
            text += f"{name}:\n" + "".join(f"{_INDENT}- {_flow(item)}\n" for item in value)
        else:
            text += f"{name}: {_flow(value)}\n"
    return text if variables or about else text + "{}\n"


def _left(left: State) -> str:
    """What is not described: why, and what would describe it."""
    text = "\n" + _comment(f"Left out: {left['what']}, since {left['why']}.")
    if left["instead"]:
        body = _variables(left["instead"]).removeprefix("---\n").splitlines()
        text += _comment("To have it so, with what site then changes, add:") + "".join(f"#   {line}\n" for line in body)
    return text


def _comment(text: str) -> str:
    """One line: a name that holds the end of one must not end the comment."""
    return f"# {''.join(letter if letter.isprintable() else ' ' for letter in text)}\n"


def _flow(value: t.Any) -> str:
    plain = json.loads(json.dumps(value))  # without what Ansible makes of strings and mappings
    text: str = yaml.dump(
        plain, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...").removesuffix("...").strip()
