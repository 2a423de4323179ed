# SPDX-License-Identifier: GPL-3.0-or-later
"""What LLDP agents answer, as they answered."""

from __future__ import annotations

import json

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.lldp import read_lldpcli, read_lldptool

LLDPTOOL = """Chassis ID TLV
	MAC: 56:5e:1a:b1:50:1f
Port ID TLV
	MAC: 56:5e:1a:b1:50:1f
Time to Live TLV
	120
EVB Configuration TLV
	bridge:{bridge}
	station:(00)
	retries:3 rte:8
	mode:bridge r/l:0 rwd:20
	r/l:0 rka:20
End of LLDPDU TLV
"""


@pytest.mark.parametrize(("bridge", "status"), [("rrcap(0x2)", 2), ("rrcap,rrctr(0x3)", 3), ("(00)", 0)])
def test_lldptool(bridge, status):
    mac = "56:5e:1a:b1:50:1f"
    assert read_lldptool(LLDPTOOL.format(bridge=bridge)) == {"chassis": mac, "port": mac, "evb": status}


def test_lldptool_without_a_neighbour():
    assert read_lldptool("") == {}


def lldpcli(**more):
    chassis = {"id": [{"type": "mac", "value": "8a:da:60:7f:83:e5"}], "name": [{"value": "switch1"}]}
    interface = {
        "name": "s0",
        "via": "LLDP",
        "chassis": [chassis],
        "port": [{"id": [{"type": "mac", "value": "p7"}]}],
        **more,
    }
    return json.dumps({"lldp": [{"interface": [interface]}]})


def test_lldpcli():
    neighbour = {"chassis": "8a:da:60:7f:83:e5", "name": "switch1", "port": "p7"}
    assert read_lldpcli(lldpcli()) == [neighbour]
    tlv = {"oui": "00,80,C2", "subtype": "13", "len": "5", "value": "03,00,68,54,14"}
    assert read_lldpcli(lldpcli(**{"unknown-tlvs": [{"unknown-tlv": [tlv]}]})) == [{**neighbour, "evb": 3}]
    other = {**tlv, "subtype": "12"}
    assert read_lldpcli(lldpcli(**{"unknown-tlvs": [{"unknown-tlv": [other]}]})) == [neighbour]


@pytest.mark.parametrize("text", ["", "{}", '{"lldp": [{}]}', "no JSON"])
def test_lldpcli_without_a_neighbour(text):
    assert read_lldpcli(text) == []
