# SPDX-License-Identifier: GPL-3.0-or-later
"""Which calls turn one running network into another."""

from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.network_updates import partly, updates


def host(ip, mac, name=None):
    return {"ip": f"10.0.0.{ip}", "mac": f"52:54:00:00:00:0{mac}", **({"name": name} if name else {})}


def net(*hosts, **options):
    ip = {"address": "10.0.0.1", "prefix": 24, **({"dhcp": {"hosts": list(hosts)}} if hosts else {})}
    return {"forward": {"mode": "nat"}, "bridge": {"name": "b"}, "ips": [ip], **options}


@pytest.mark.parametrize(
    ("have", "want", "commands"),
    [
        (net(), net(), []),
        (net(), net(host(2, 2)), ["ADD_LAST"]),
        (net(host(2, 2)), net(), ["DELETE"]),
        (net(host(2, 2)), net(host(2, 2, "a")), ["MODIFY"]),
        (net(host(2, 2)), net(host(3, 2)), ["MODIFY"]),
        (net(host(2, 2)), net(host(3, 3)), ["DELETE", "ADD_LAST"]),
        # the new entry could be meant for either of the old ones
        (net(host(2, 2), host(3, 3)), net(host(2, 3)), ["DELETE", "DELETE", "ADD_LAST"]),
        # either of the new ones could be meant for the old one
        (net(host(2, 2)), net(host(2, 3), host(3, 2)), ["DELETE", "ADD_LAST", "ADD_LAST"]),
        (net(host(2, 2, "a"), host(3, 3, "b")), net(host(2, 2, "b"), host(3, 3, "a")),
         ["DELETE", "DELETE", "ADD_LAST", "ADD_LAST"]),
        (net(host(2, 2, "a"), host(3, 3)), net(host(2, 2), host(3, 3, "c")), ["MODIFY", "MODIFY"]),
        (net(dns={"txt": [{"name": "a", "value": "b"}]}), net(dns={"txt": [{"name": "a", "value": "c"}]}),
         ["DELETE", "ADD_LAST"]),
        (net(portgroups=[{"name": "a"}]), net(portgroups=[{"name": "a", "default": True}]), ["MODIFY"]),
        (net(), net(mtu=1400), None),
        (net(), net(domain={"name": "a"}), None),
        (net(), {**net(), "forward": {"mode": "nat", "interfaces": ["e"]}}, None),
    ],
)  # fmt: skip
def test_calls(have, want, commands):
    calls = updates(have, want)
    assert (None if calls is None else [call.command for call in calls]) == commands


def test_what_can_change_does_while_the_rest_waits():
    have, want = net(host(2, 2)), net(host(3, 3), mtu=1400)
    reached = partly(have, want)
    assert reached == net(host(3, 3)) and updates(have, reached) and not updates(reached, reached)
