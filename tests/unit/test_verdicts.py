# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify has found, for programs and for CI."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from ansible_collections.kvm.hostnet.plugins.plugin_utils.verdicts import junit, verdicts

WHY = "lan (macvtap_vepa) does not keep its promise for guest to guest: the switch behind eth1 does not reflect"
GONE = "the interface eth1 of network lan is gone"
SAID = ("The host is what the inventory says", "held", "")


def direction(promised, measured, holds):
    return {"promised": promised, "measured": measured, "holds": holds}


def lan(broken=(), **directions):
    return {"name": "lan", "mode": "macvtap_vepa", "directions": directions, "broken": list(broken)}


def known(*networks, steps=(), **more):
    planned = {"differs": [], "tasks": {"networks": {"steps": list(steps)}}}
    return {"hostnet_planned": planned, "hostnet_reachability": {"networks": networks}, **more}


FINE = lan(guest_to_guest=direction("yes", True, True))
BROKEN = lan([WHY], guest_to_guest=direction("yes", False, False), guest_to_lan=direction("yes", True, True))
UNSEEN = lan(guest_to_lan=direction("yes", None, None))
EITHER = lan(guest_to_host=direction("if reflected", False, True))
STUCK = lan([GONE], guest_to_lan=direction("yes", None, None))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (known(FINE), [("guest to guest", "held", ""), SAID]),
        (known(BROKEN, hostnet_failed=WHY), [("guest to guest", "broken", WHY), ("guest to LAN", "held", ""), SAID]),
        (known(UNSEEN), [("guest to LAN", "not measured", ""), SAID]),
        (known(EITHER), [("guest to host", "held", ""), SAID]),
        (known(STUCK, hostnet_failed=GONE),
         [("guest to LAN", "not measured", ""), ("guests can be plugged in", "broken", GONE), SAID]),
        (known(FINE, steps=["start lan"], hostnet_failed="drift"),
         [("guest to guest", "held", ""),
          (SAID[0], "broken", "The host is not what the inventory says; site would: start lan")]),
        ({"hostnet_failed": "not reached"}, [("The host can be verified", "broken", "not reached")]),
        ({}, []),
    ],
)  # fmt: skip
def test_each_promise_has_a_verdict(host, expected):
    found = verdicts(["kvm1"], {"kvm1": host})
    assert [(each["what"], each["verdict"], each["why"]) for each in found] == expected


def test_ci_counts_what_failed():
    hosts = {"kvm1": known(BROKEN, hostnet_failed=WHY), "<kvm2>": known(UNSEEN)}
    root = ET.fromstring(junit(verdicts(hosts, hosts)))
    suites = [(suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) for suite in root]
    assert suites == [("kvm1", "3", "1", "0"), ("<kvm2>", "2", "0", "1")]
    assert [case.get("classname") for case in root.iter("testcase")] == ["kvm1.lan"] * 2 + [
        "kvm1",
        "<kvm2>.lan",
        "<kvm2>",
    ]
    assert [failure.get("message") for failure in root.iter("failure")] == [WHY]
