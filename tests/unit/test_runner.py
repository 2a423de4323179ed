# SPDX-License-Identifier: GPL-3.0-or-later
"""converge() over a resource that is a dict in memory."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core import runner
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError, NotConverged
from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import Field
from ansible_collections.kvm.hostnet.plugins.module_utils._core.resource import Resource
from ansible_collections.kvm.hostnet.plugins.module_utils._core.runner import converge
from ansible_collections.kvm.hostnet.plugins.module_utils._core.state import Step


class Lamps(Resource):
    items = Field("lamps", type="list", key="name", fields=(Field("name"), Field("colour")))

    def __init__(self, lamps, broken=(), deaf=()):
        self.lamps, self.broken, self.deaf = dict(lamps), broken, deaf
        self.writes = 0

    @classmethod
    @contextmanager
    def open(cls, params, *, writable):
        yield cls({})

    def read(self):
        return dict(self.lamps)

    def validate(self, desired, current):
        if "no" in desired:
            raise HostNetError("no is not a lamp")

    def aim(self, desired, current):
        return {name: item["colour"] for name, item in desired.items()}

    @staticmethod
    def plan(goal, current):
        return [Step("paint", name, colour) for name, colour in goal.items() if current.get(name) != colour]

    def apply(self, step):
        self.writes += 1
        if step.item in self.broken:
            raise HostNetError(f"{step.item} is broken")
        if step.item not in self.deaf:
            self.lamps[step.item] = step.state


RED = {"a": {"colour": "red"}, "b": {"colour": "red"}}
BLUE = {"a": "blue", "b": "blue", "c": "blue"}


def test_second_run_does_nothing():
    lamps = Lamps(BLUE)
    first, second = converge(lamps, RED), converge(lamps, RED)
    assert first["changed"] and first["steps"] == ["paint a", "paint b"]
    assert first["diff"] == {"before": {"a": "blue", "b": "blue"}, "after": {"a": "red", "b": "red"}}
    assert second == {"changed": False, "steps": [], "diff": {"before": {}, "after": {}}}
    assert lamps.lamps == {"a": "red", "b": "red", "c": "blue"} and lamps.writes == 2


def test_check_predicts_and_writes_nothing():
    lamps = Lamps(BLUE)
    predicted = converge(lamps, RED, check=True)
    assert lamps.lamps == BLUE and lamps.writes == 0
    assert predicted == converge(lamps, RED)


def test_a_refusal_comes_before_any_write():
    lamps = Lamps(BLUE)
    with pytest.raises(HostNetError, match="no is not a lamp"):
        converge(lamps, {**RED, "no": {"colour": "red"}})
    assert lamps.writes == 0


def test_a_failing_step_puts_everything_back():
    lamps = Lamps(BLUE, broken=("b",))
    with pytest.raises(HostNetError, match=r"^b is broken\. Everything was put back as it was\.$"):
        converge(lamps, RED)
    assert lamps.lamps == BLUE


def test_a_success_that_was_none_is_found_and_put_back():
    lamps = Lamps(BLUE, deaf=("b",))
    with pytest.raises(HostNetError, match="still asks for: paint b") as error:
        converge(lamps, RED)
    assert isinstance(error.value.__cause__, NotConverged) and lamps.lamps == BLUE


def test_a_failing_way_back_is_told():
    lamps = Lamps(BLUE, broken=("b",))
    paint = lamps.apply

    def apply(step):
        if step.state == "blue":
            raise HostNetError("no blue left")
        paint(step)

    lamps.apply = apply
    with pytest.raises(HostNetError, match=r"b is broken\. Putting things back failed as well: no blue left"):
        converge(lamps, RED)


def test_an_item_listed_twice_is_refused():
    with pytest.raises(HostNetError, match="lamps: a is listed twice"):
        Lamps.request({"lamps": [{"name": "a"}, {"name": "a"}]})


@pytest.mark.parametrize(
    ("os_release", "package", "told"),
    [
        ("ID=debian\n", "python3-libvirt", "install the package python3-libvirt (apt install python3-libvirt)"),
        ("ID=ubuntu\nID_LIKE=debian\n", "python3-pyroute2", "(apt install python3-pyroute2)"),
        ('ID="rhel"\nID_LIKE="fedora"\n', "python3-libvirt", "(dnf install python3-libvirt)"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "python3-pyroute2", "python3-pyroute2, which EPEL has (dnf install"),
        ("ID=fedora\n", "python3-pyroute2", "install the package python3-pyroute2 (dnf install python3-pyroute2)"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "python3-libvirt", "(zypper install python3-libvirt-python)"),
        ("ID=arch\n", "python3-pyroute2", "install the package python-pyroute2 (pacman -S python-pyroute2)"),
        ("ID=other\nHOME_URL=https://debian.example\n", "python3-libvirt", "install the package python3-libvirt"),
        (None, "python3-libvirt", "install the package python3-libvirt"),
    ],
)  # fmt: skip
def test_a_missing_library_is_named_as_its_distribution_does(tmp_path, os_release, package, told):
    path = tmp_path / "os-release"
    if os_release:
        path.write_text(os_release)
    sentence = runner._installation(package, str(path))
    assert sentence.endswith(told) if "(" not in told else told in sentence
