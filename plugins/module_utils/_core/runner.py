# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge a kind, and be its Ansible module.

Check mode, diff, verification and rollback exist here and nowhere else: stopped after the plan it is check mode and
the diff, planned again after the steps it is verification, planned towards what was read first it is rollback.
This file is private to the collection.
"""

from __future__ import annotations

import gc
import sys
import time
import typing as t
from contextlib import nullcontext

from .errors import HostNetError, MissingLibrary, NotConverged
from .field import argument_spec, clean
from .resource import Procedure, Resource
from .transaction import part

if t.TYPE_CHECKING:
    from .field import State
    from .resource import Kind
    from .state import Step

SYSTEM_PYTHONS = ("/usr/libexec/platform-python", "/usr/bin/python3", "/usr/bin/python")
_SHOWN = 3  # -vvv, with which Ansible shows what a module was given
# by what /etc/os-release calls a distribution or those it is like: what installs, and names that differ from Debian's
INSTALLERS: dict[str, tuple[str, dict[str, str]]] = {
    "debian": ("apt install", {}),
    "fedora": ("dnf install", {}),  # and kin, to whom EPEL brings pyroute2
    "suse": ("zypper install", {"python3-libvirt": "python3-libvirt-python"}),
    "arch": ("pacman -S", {"python3-libvirt": "libvirt-python", "python3-pyroute2": "python-pyroute2"}),
}


def converge(resource: Resource, desired: State, *, check: bool = False) -> State:
    """Read, plan, apply, verify; put everything back when a step fails.  The result is for exit_json."""
    before = resource.read()
    resource.validate(desired, before)
    goal = resource.aim(desired, before)
    steps = resource.plan(goal, before)
    if steps and not check:
        _carry_out(resource, desired, goal, before, steps)
    result = {"changed": bool(steps), "steps": [str(step) for step in steps], "diff": _diff(goal, before)}
    return {**result, **resource.report(goal, before)}


def _carry_out(resource: Resource, desired: State, goal: State, before: State, steps: list[Step]) -> None:
    try:
        resource.carry_out(steps)
        _verify(resource, desired)
    except Exception as error:
        undone = _undo(resource, {name: before.get(name) for name in goal})
        if not isinstance(error, HostNetError):
            raise
        raise HostNetError(f"{error}. {undone}") from error


def _verify(resource: Resource, desired: State) -> None:
    deadline = time.monotonic() + resource.settle
    while True:
        after = resource.read()
        left = resource.plan(resource.aim(desired, after), after)
        if not left:
            return
        if time.monotonic() >= deadline:
            raise NotConverged(f"All steps reported success, yet reading back still asks for: {_listed(left)}")
        time.sleep(0.1)


def _undo(resource: Resource, before: State) -> str:
    """Go back to what was read first; the answer says how that went."""
    try:
        resource.carry_out(resource.plan(before, resource.read()))
        left = resource.plan(before, resource.read())
    except Exception as error:  # whatever it is, the user has to hear of the first error and of this one
        return f"Putting things back failed as well: {error}"
    return f"Could not put back: {_listed(left)}" if left else "Everything was put back as it was."


def _listed(steps: list[Step]) -> str:
    return ", ".join(
        f"{step} ({', '.join(step.state)})" if isinstance(step.state, dict) else str(step) for step in steps
    )


def _diff(goal: State, before: State) -> State:
    """Before and after of the items that differ, in the normalised model."""
    differing = sorted(name for name in goal if goal[name] != before.get(name))
    return {
        "before": {name: before[name] for name in differing if before.get(name) is not None},
        "after": {name: goal[name] for name in differing if goal[name] is not None},
    }


def run(kind: type[Kind]) -> None:
    """Be the Ansible module of a kind."""
    gc.disable()  # the process ends before there is garbage worth a search through thousands of links
    # Imported here so that converge() also runs where there is no Ansible.
    from ansible.module_utils.basic import AnsibleModule

    fields = (kind.items, *kind.options) if issubclass(kind, Resource) else kind.options
    module = AnsibleModule(argument_spec=argument_spec(fields), supports_check_mode=True)
    try:
        with part() if issubclass(kind, Resource) and not module.check_mode else nullcontext():
            result = _result(kind, module.params, check=module.check_mode)
    except MissingLibrary as missing:
        _respawn(kind, missing)
        module.fail_json(msg=_missing(missing))
    except HostNetError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if not issubclass(kind, Resource) and module._verbosity < _SHOWN:  # a thousand items would be sent back for nobody
        result["invocation"] = {"module_args": {}}
    module.exit_json(**result)


def _result(kind: type[Kind], params: State, *, check: bool) -> State:
    options = clean(kind.options, params)
    desired = kind.request(params) if issubclass(kind, Resource) else {}
    items = {kind.items.name: desired} if issubclass(kind, Resource) else {}
    with kind.open({**options, **items}, writable=not check) as opened:
        if isinstance(opened, Resource):
            return converge(opened, desired, check=check)
        if isinstance(opened, Procedure):
            return opened.perform()
        return {"changed": False, **opened.answer()}


def predicted(kind: type[Resource], params: State) -> State:
    """What a task would change."""
    return _result(kind, params, check=True)


def _respawn(kind: type[Kind], missing: MissingLibrary) -> None:
    """Start over under the system's own Python, if that one has the libraries.  Does not return then."""
    from ansible.module_utils.common import respawn

    if respawn.has_respawned():
        return
    # the names are pasted into an import statement, so one probe asks for all of them
    python = respawn.probe_interpreters_for_module(list(SYSTEM_PYTHONS), ", ".join(kind.libraries))
    if python:
        respawn.respawn_module(python)


def _missing(missing: MissingLibrary) -> str:
    return (
        f"The Python library {missing.library} is not installed for {sys.executable} on this host, "
        f"nor for the system's own Python: {_installation(missing.package)}."
    )


def _installation(package: str, os_release: str = "/etc/os-release") -> str:
    """How a package is installed here, by the name that it has in Debian."""
    try:
        with open(os_release, encoding="utf-8") as file:
            told = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    except OSError:
        told = {}
    words = f"{told.get('ID', '')} {told.get('ID_LIKE', '')}".replace('"', "").replace("opensuse", "suse").split()
    command, names = next((INSTALLERS[word] for word in words if word in INSTALLERS), ("", {}))
    name = names.get(package, package)
    epel = ", which EPEL has" if "rhel" in words and "pyroute2" in name else ""
    return f"install the package {name}{epel} ({command} {name})" if command else f"install the package {name}"
