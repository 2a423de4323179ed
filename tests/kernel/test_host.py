# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is told to have, on the real thing."""

from __future__ import annotations

import time

from ansible_collections.kvm.hostnet.plugins.module_utils._resources.host_info import HostInfo

from .conftest import do, host_state


def test_a_host_in_under_a_second(links, networks, topology):
    topology("add e0 type veth peer name e0p", "set e0 up", "set e0p up", "add br9 type bridge", "set e0p master br9",
             "set e0p type bridge_slave hairpin on")  # fmt: skip
    links({"name": "m0", "lower": "e0"})
    networks({"name": "lan", "state": "active", "forward": {"mode": "bridge", "interfaces": ["e0"]}},
             {"name": "nat", "state": "active", "forward": {"mode": "nat"}, "bridge": {"name": "virbr7"},
              "ips": [{"address": "192.168.177.1", "prefix": 24}]})  # fmt: skip
    do(HostInfo)  # libvirt looks at QEMU once, when somebody first asks
    before, began = host_state(), time.monotonic()
    told = do(HostInfo)
    assert time.monotonic() - began < 1 and host_state() == before
    assert told["links"]["e0"]["used_by"] == ["macvtap m0", "libvirt network lan"]
    assert told["links"]["e0p"]["used_by"] == ["bridge br9"] and told["links"]["m0"]["lower"] == "e0"
    assert told["links"]["e0p"]["flags"]["hairpin"] and not told["links"]["e0p"]["flags"]["isolated"]
    assert told["links"]["m0"]["mode"] == "vepa" and told["links"]["e0"]["flags"] == {}
    assert told["links"]["e0"]["carrier"] is True and told["links"]["br9"]["carrier"] is None
    assert told["links"]["virbr7"]["addresses"] == ["192.168.177.1/24"]
    assert told["bridges"]["br9"]["ports"] == ["e0p"] and told["bridges"]["virbr7"]["libvirt_network"] == "nat"
    assert told["libvirt"]["problem"] is None and told["libvirt"]["libvirt"].count(".") == 2
    assert told["kernel"]["features"]["macvtap"] is True and told["unknown"] == []


def test_a_host_without_libvirt_tells_the_rest():
    told = do(HostInfo, uri="qemu+unix:///system?socket=/nowhere")
    assert told["libvirt"]["libvirt"] is None and "libvirt does not answer" in told["libvirt"]["problem"]
    assert "lo" in told["links"]
