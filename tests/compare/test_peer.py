# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/comparison.md says was tried: the same wish, as a task of the peer and as one of ours.

If one of these fails for a newer release of the peer, the peer has become better, and the page has to say so.
"""

from __future__ import annotations

import sys

import pytest

from .conftest import ROOT

NAT = """<network><name>n1</name><forward mode='nat'/><bridge name='n1br'/>
<ip address='192.168.{}.1' netmask='255.255.255.0'/></network>"""
TAP = "<network><name>n1</name><forward mode='bridge'><interface dev='{}'/></forward></network>"
WRONG = "<network><name>n1</name><bogus/><ip address='010.91.1.1' netmask='255.255.255.0'/></network>"
GUEST = "/usr/bin/python3 -c 'import libvirt; guest = libvirt.open().lookupByName(\"web1\"); {}'"
NIC = '<interface type=\\"network\\"><source network=\\"n1\\"/></interface>'


def peer(**options):
    return {"community.libvirt.virt_net": {"name": "n1", **options}}


def ours(**options):
    return {"kvm.hostnet.libvirt_networks": {"networks": [{"name": "n1", **options}]}}


def made(document=None):
    """As the peer documents it: three tasks."""
    xml = document or NAT.format(150)
    return [peer(command="define", xml=xml), peer(state="active"), peer(autostart=True)]


def test_a_changed_document_is_applied_by_ours_alone(sides):
    changed = NAT.format(151)
    *_, defined, present, modified = sides.tasks(
        *made(),
        *(peer(xml=changed, **how) for how in ({"command": "define"}, {"state": "present"}, {"command": "modify"})),
    )
    assert [result["status"] for result in (defined, present, modified)] == ["ok", "ok", "failed"]
    assert "not supported yet" in modified["msg"] and not defined["changed"] and not present["changed"]
    assert "192.168.150.1" in sides.document("n1") and "diff" not in defined
    [done, again] = sides.tasks(*[ours(xml=changed)] * 2)
    assert (done["changed"], again["changed"]) == (True, False)
    assert "192.168.151.1" in sides.document("n1") and "192.168.151.1" in str(done["diff"])


def test_check_mode_of_the_peer_removes_an_inactive_network(sides):
    tasks = *made(), peer(state="inactive"), {**ours(state="absent"), "check_mode": True}
    assert sides.tasks(*tasks)[-1]["changed"] and sides.names() == ["n1"]
    assert sides.tasks({**peer(state="absent"), "check_mode": True})[-1]["changed"] and sides.names() == []


def test_check_mode_of_the_peer_makes_a_running_network_transient(sides):
    told = sides.tasks(*made(), {**peer(command="undefine"), "check_mode": True})[-1]
    assert not told["changed"] and sides.sh("kvm1", "ls /etc/libvirt/qemu/networks/*.xml || true") == ""


def test_commands_of_the_peer_say_ok_when_they_change(sides):
    words = "create", "destroy", "undefine"
    done = sides.tasks(made()[0], *(peer(command=word) for word in words))
    assert [result["changed"] for result in done] == [True, False, False, False] and sides.names() == []
    done = sides.tasks(*(ours(bridge={"name": "n1br"}, state=state) for state in ("inactive", "active", "absent")))
    assert [result["changed"] for result in done] == [True, True, True], done


def test_the_peer_starts_a_network_or_sets_its_autostart(sides):
    sides.tasks(made()[0], peer(state="active", autostart=True))
    assert sides.sh("kvm1", "ls /etc/libvirt/qemu/networks/autostart") == ""
    sides.tasks(ours(autostart=True, xml=NAT.format(150)))
    assert sides.sh("kvm1", "ls /etc/libvirt/qemu/networks/autostart") == "n1.xml\n"


def test_the_peer_takes_a_wrong_document(sides):
    [refused] = sides.tasks(ours(xml=WRONG))
    assert refused["status"] == "failed" and sides.names() == [], refused
    [taken] = sides.tasks(peer(command="define", xml=WRONG))
    assert taken["changed"] and "8.91.1.1" in sides.document("n1")


def test_the_peer_starts_a_network_on_an_uplink_that_is_not_there(sides):
    [refused] = sides.tasks(ours(xml=TAP.format("eth9")))
    assert "there is no interface eth9 on this host" in refused["msg"] and sides.names() == []
    assert [result["changed"] for result in sides.tasks(*made(TAP.format("eth9")))] == [True, True, True]
    for state in ("on", "off"):
        sides.sh("kvm1", f"{ROOT}/tests/lab/idle_guest.py web1 {state}")
    told = sides.sh("kvm1", GUEST.format(f'guest.attachDeviceFlags("{NIC}", 2); guest.create()') + " 2>&1 || true")
    sides.sh("kvm1", GUEST.format("guest.undefine()"))
    assert "eth9" in told, told


def test_the_peer_cannot_tell_of_a_macvtap_network(sides):
    *_, told, listed = sides.tasks(
        *made(TAP.format("up1")), peer(command="info"), {"kvm.hostnet.libvirt_networks_info": {}}
    )
    assert "does not have a bridge name" in told["msg"] and listed["networks"][0]["name"] == "n1"


@pytest.fixture
def guest(sides):
    sides.tasks(*made())
    for state in ("on", "off"):
        sides.sh("kvm1", f"{ROOT}/tests/lab/idle_guest.py web1 {state}")
    sides.sh("kvm1", GUEST.format(f'guest.attachDeviceFlags("{NIC}", 2); guest.create()'))
    yield lambda: "master n1br" in sides.sh("kvm1", "ip -o link show type tun")
    sides.sh("kvm1", GUEST.format("guest.destroy(); guest.undefine()"))


def test_the_peer_removes_a_network_under_a_guest(sides, guest):
    [refused] = sides.tasks(ours(state="absent"))
    assert refused["status"] == "failed" and "web1" in refused["msg"] and guest()
    [removed] = sides.tasks(peer(state="absent"))
    assert removed["changed"] and not guest()


def test_ours_finds_a_python_that_has_libvirt(sides):
    without = {"ansible_python_interpreter": sys.executable}
    told, found = sides.tasks(peer(command="list_nets"), {"kvm.hostnet.libvirt_networks_info": {}}, **without)
    assert "not importable" in told["msg"] and found["status"] == "ok"
