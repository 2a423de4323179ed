# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host has above its links, as entries that move from one link to another."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import layer3

ADDRESS = {
    "what": "address",
    "family": 2,
    "prefixlen": 24,
    "scope": 0,
    "link": "e",
    "attrs": {"IFA_LOCAL": "192.0.2.1", "IFA_LABEL": "e:1"},
}
LINK_LOCAL = {
    "what": "address",
    "family": 10,
    "prefixlen": 64,
    "scope": 253,
    "link": "e",
    "attrs": {"IFA_ADDRESS": "fe80::1"},
}
ROUTE = {
    "what": "route",
    "scope": 0,
    "table": 254,
    "dst_len": 0,
    "attrs": {"RTA_GATEWAY": "192.0.2.254", "RTA_OIF": "e"},
}
ONLINK = {
    "what": "route",
    "scope": 253,
    "table": 77,
    "dst_len": 24,
    "attrs": {"RTA_DST": "203.0.113.0", "RTA_OIF": "e"},
}
HOPS = {"what": "route", "scope": 0, "table": 254, "dst_len": 8, "attrs": {
    "RTA_DST": "10.0.0.0", "RTA_MULTIPATH": [{"oif": "e", "attrs": {}}, {"oif": "other", "attrs": {}}]}}  # fmt: skip
RULE = {"what": "rule", "attrs": {"FRA_IIFNAME": "e", "FRA_PRIORITY": 9}}
STATIC = {"what": "neighbour", "link": "e", "state": 0x80, "attrs": {"NDA_DST": "192.0.2.7", "NDA_LLADDR": "m"}}
LEARNED = {**STATIC, "state": 0x04}
ALL = [RULE, ROUTE, HOPS, ONLINK, STATIC, LEARNED, LINK_LOCAL, ADDRESS]


@pytest.mark.parametrize("entry", ALL, ids=layer3.told)
def test_an_entry_goes_over_and_comes_back(entry):
    [there] = layer3.moved([entry], "e", "br0")
    assert layer3.on_link([entry], "e") and not layer3.on_link([there], "e") and layer3.on_link([there], "br0")
    assert layer3.moved([there], "br0", "e") == [entry]


def test_other_links_are_left_alone():
    assert layer3.moved([HOPS], "e", "br0")[0]["attrs"]["RTA_MULTIPATH"][1]["oif"] == "other"
    assert layer3.moved([ROUTE], "x", "br0") == [ROUTE]


def test_a_label_that_would_be_too_long_is_the_name():
    [there] = layer3.moved([{**ADDRESS, "attrs": {"IFA_LABEL": "e:123456"}}], "e", "br-enp1s0f0")
    assert there["attrs"]["IFA_LABEL"] == "br-enp1s0f0"


def test_each_is_added_after_what_it_rests_on_and_deleted_before():
    order = [request.message["what"] for request in layer3.added(ALL)]
    assert order == ["address", "address", "neighbour", "neighbour", "route", "route", "route", "rule"]
    assert next(request.message for request in layer3.added(ALL) if request.what == "route") == ONLINK
    assert [request.message for request in layer3.deleted(ALL)] == [request.message for request in layer3.added(ALL)][
        ::-1
    ]


def test_what_the_kernel_knows_by_itself_does_not_count():
    assert [layer3.is_own(entry) for entry in (ADDRESS, LINK_LOCAL, STATIC, LEARNED)] == [True, False, True, False]
    leased = {**ADDRESS, "attrs": {**ADDRESS["attrs"], "IFA_CACHEINFO": {"ifa_valid": 7}}}
    assert layer3.missing([ADDRESS, LEARNED], [leased]) == [LEARNED]


@pytest.mark.parametrize("attribute", ["RTA_NH_ID", "UNKNOWN"])
def test_what_cannot_be_said_again_is_named(attribute):
    assert layer3.unknown([ROUTE]) == []
    assert layer3.unknown([{**ONLINK, "attrs": {**ONLINK["attrs"], attribute: 5}}]) == ["route 203.0.113.0/24 table 77"]


@pytest.mark.parametrize("text", ["192.0.2.9/32", "2001:db8::9/128"])
def test_an_address_by_its_text(text):
    assert layer3.addresses_of([layer3.address("e", text)]) == [text]


@pytest.mark.parametrize("text", ["192.0.2.64/26", "2001:db8:1::/64"])
def test_a_route_by_its_text(text):
    assert layer3.subnets_of([layer3.route("e", text), ROUTE]) == [text]
