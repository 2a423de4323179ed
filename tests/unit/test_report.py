# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: what it tells of a host, what it draws, and that names are only names.  tests/browser looks at the page."""

from __future__ import annotations

import html.parser
import itertools
import random
from xml.etree import ElementTree as ET

import pytest
from ansible_collections.kvm.hostnet.plugins.plugin_utils import drawing, report_model, report_page
from ansible_collections.kvm.hostnet.plugins.plugin_utils.topology import markdown, mermaid, topology

from ..report_cases import ADDRESS, known, link, network, nic


def told(**parts):
    asked = parts.pop("asked", ())
    return report_model.host(known(**parts), "kvm1", asked)


LAN = network("lan", forward={"mode": "bridge", "interfaces": ["eth1"]})
BUILD = network("build", forward={"mode": "nat"}, bridge="virbr7")
ON_BRIDGE = network("lan", forward={"mode": "bridge"}, bridge="br-eth1")
ON_OVS = {**network("lan", forward={"mode": "bridge"}, bridge="ovs-eth1"), "virtualport": {"type": "openvswitch"}}
POOL = network("fast", forward={"mode": "hostdev", "pf": "eth1"})
ETH1 = {"eth1": link(driver="igb", speed=10000)}
VIRBR7 = {"virbr7": link("bridge")}
BROKEN = {"name": "lan", "reflects": False, "broken": ["the switch does not reflect"], "directions": {}}


@pytest.mark.parametrize(
    ("parts", "state"),
    [
        ({"networks": [LAN], "links": ETH1}, "fine"),
        ({"networks": [{**LAN, "details": {"pending": ["vlan"]}}], "links": ETH1}, "waits"),
        ({"networks": [{**LAN, "details": {"ailing": ["the uplink eth1 is gone"]}}], "links": ETH1}, "bad"),
        ({"networks": [{**LAN, "details": {"live": None}}], "links": ETH1}, "fine"),  # nobody asks for it
        ({"networks": [{**LAN, "details": {"live": None}}], "links": ETH1, "asked": [{"name": "lan"}]}, "bad"),
        ({"networks": [LAN], "links": ETH1, "measured": [BROKEN]}, "bad"),
        ({"networks": [LAN], "links": {"eth1": link(up=False)}}, "bad"),
        ({"networks": [LAN], "links": {"eth1": link(carrier=False)}}, "bad"),
        ({"links": {"eth1": link(up=False)}}, "fine"),  # nobody needs it
        ({"asked": [{"name": "lan", "mode": "macvtap_bridge"}]}, "bad"),
        ({"asked": [{"name": "lan", "state": "absent"}]}, "fine"),
        ({"steps": ["define lan"]}, "waits"),
        ({"mistake": "Network lan: its mode is brigde"}, "bad"),
        ({"networks": [LAN], "links": ETH1, "guests": {"web1": [nic(network="lan")]}}, "fine"),
        ({"networks": [LAN], "links": ETH1, "guests": {"web1": [nic(network="lan", ailing="its tap is gone")]}}, "bad"),
        ({"networks": [LAN], "links": ETH1, "guests": {"web1": [nic(network="lan", pending=["vlan"])]}}, "waits"),
    ],
)
def test_what_needs_attention(parts, state):
    assert told(**parts)["state"] == state


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"hostnet_host": {"unreachable": True, "msg": "timed out"}}, "The host was not reached: timed out"),
        ({"hostnet_found_networks": {"msg": "no libvirt"}}, "libvirt's networks could not be read: no libvirt"),
        ({"hostnet_found_guests": {}}, "Guests could not be read: it was not asked"),
        ({"hostnet_host": {"links": {}, "unknown": ["/sys/x"]}}, "Devices did not answer in time: /sys/x"),
    ],
)
def test_a_report_that_is_not_whole_says_so(result, sentence):
    host = report_model.host({**known(), **result}, "kvm1", ())
    assert sentence in host["troubles"] and host["state"] == "bad"
    assert sentence in html_text(
        report_page.page(report_model.fleet(["kvm1"], {"kvm1": {"hostnet_told": host}}, "now"))
    )


def test_a_host_whose_tasks_failed_is_not_told_to_be_fine():
    [host] = report_model.fleet(["kvm1"], {"kvm1": known()}, "now")["hosts"]
    assert host["state"] == "bad" and host["troubles"] == ["A task failed; the output of the report says why"]


def test_a_guest_that_is_shut_off_is_where_it_will_be():
    host = told(networks=[LAN], links=ETH1, guests={"old": [nic(network="lan")]}, off=["old"])
    assert [(guest["state"], guest["nics"][0]["network"]) for guest in host["guests"]] == [("off", "lan")]
    edges = {(edge.left, edge.right, edge.state) for edge in topology(host).edges}
    assert ("network:lan", "guest:old", "off") in edges


BRIDGE = {
    "br-eth1": link("bridge"),
    "eth1": link(driver="igb", master="br-eth1", flags={"hairpin": True, "learning": True}),
}
HEARD = [{"name": "tor1", "port_name": "Eth1/7", "evb": 1}]


@pytest.mark.parametrize(
    ("parts", "edges"),
    [
        ({"networks": [LAN], "links": ETH1}, {"link:eth1 -bridge- network:lan"}),
        ({"networks": [BUILD], "links": VIRBR7}, {"bridge:virbr7 -- network:build"}),
        ({"networks": [BUILD], "links": {"eth0": link(addresses=["192.0.2.1/24"]), **ETH1, **VIRBR7}},
         {"bridge:virbr7 -- network:build", "link:eth0 .nat. bridge:virbr7"}),
        ({"networks": [{**BUILD, "forward": {"mode": "nat", "dev": "eth1"}}], "links": {**ETH1, **VIRBR7}},
         {"bridge:virbr7 -- network:build", "link:eth1 .nat. bridge:virbr7"}),
        ({"networks": [ON_BRIDGE], "links": BRIDGE},
         {"link:eth1 -hairpin- bridge:br-eth1", "bridge:br-eth1 -- network:lan"}),
        ({"networks": [ON_OVS], "links": ETH1, "ovs": {"ovs-eth1": ["eth1", "ovs-eth1", "vnet0"]}},
         {"link:eth1 -- bridge:ovs-eth1", "bridge:ovs-eth1 -- network:lan"}),
        ({"networks": [POOL], "links": {"eth1": link(sriov={"total": 7, "functions": 4})}},
         {"link:eth1 -- vfs:eth1", "vfs:eth1 -hostdev- network:fast"}),
        ({"networks": [LAN], "links": {"eth1": link(lldp=HEARD)}},
         {"switch:tor1 -Eth1/7 · reflects- link:eth1", "link:eth1 -bridge- network:lan"}),
        ({"networks": [LAN], "links": ETH1, "measured": [BROKEN]},
         {"switch:adjacent switch -does not reflect- link:eth1", "link:eth1 -bridge- network:lan"}),
        ({"links": {"eth1": link(), "eth1.7": link("vlan", lower="eth1", vlan=7)}}, {"link:eth1 -VLAN 7- link:eth1.7"}),
        ({"networks": [LAN], "links": {**ETH1, "vnet0": link("tun")}, "guests": {"web1": [nic(network="lan", link="vnet0")]}},
         {"link:eth1 -bridge- network:lan", "network:lan -- guest:web1"}),
        ({"links": BRIDGE, "guests": {"web1": [nic(kind="bridge", on="br-eth1")]}},
         {"link:eth1 -hairpin- bridge:br-eth1", "bridge:br-eth1 -- guest:web1"}),
        ({"links": ETH1, "guests": {"web1": [nic(kind="direct", on="eth1", mode="vepa")]}}, {"link:eth1 -vepa- guest:web1"}),
    ],
)  # fmt: skip
def test_what_is_joined_to_what(parts, edges):
    found = topology(told(**parts)).edges
    assert {f"{e.left} {'-.'[not e.solid]}{e.label}{'-.'[not e.solid]} {e.right}" for e in found} == edges


def test_what_something_needs_and_is_not_there_stands_out():
    nodes = {node.id: node for node in topology(told(networks=[LAN, ON_BRIDGE | {"name": "other"}])).nodes}
    assert {(id_, node.state) for id_, node in nodes.items() if node.subtitle == "missing"} == {
        ("link:eth1", "bad"),
        ("bridge:br-eth1", "bad"),
    }


STRANGE = "<script>alert(1)</script>"


class Reader(html.parser.HTMLParser):
    """Counts what a browser would make of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.handlers, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _value in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.words.append(data)


def html_text(page):
    reader = Reader()
    reader.feed(page)
    return "".join(reader.words)


@pytest.mark.parametrize(
    "name", [STRANGE, '"><img src=x onerror=alert(1)>', "</title></svg><script>", "{{ 7 * 7 }}", "ü & ö"]
)
def test_a_name_is_only_a_name(name):
    host = told(
        networks=[{**LAN, "name": name}], links=ETH1, guests={name: [nic(network=name, ailing=name)]}, mistake=name
    )
    pages = {
        given: report_page.page({"written": "now", "hosts": [{**host, "name": given}]}) for given in ("kvm1", name)
    }
    for page in pages.values():
        reader = Reader()
        reader.feed(page)
        assert reader.tags.count("script") == 1 and "img" not in reader.tags and not reader.handlers
        assert name in "".join(reader.words)
    ET.fromstring(drawing.fleet({"hosts": [host]}))
    text = mermaid(topology(host))
    assert "<" not in text.replace("<br/>", "") and "{{" not in text


def test_the_switch_is_drawn_beside_its_host():
    inside, outside = mermaid(topology(told(links={"eth1": link(lldp=[{"name": "tor1"}])}))).split("    end\n")
    assert "eth1" in inside and "tor1" not in inside and "tor1" in outside


def test_a_neighbour_may_call_itself_anything():
    heard = [{"name": "\x1b[31mtor\x00", "port": "\x01"}]
    host = told(networks=[LAN], links={"eth1": link(lldp=heard)})
    assert "[31mtor" in ET.tostring(ET.fromstring(drawing.fleet({"hosts": [host]})), encoding="unicode")


def test_a_report_has_an_end_for_each_beginning():
    hosts = [told(networks=[LAN, BUILD], links={**ETH1, **VIRBR7}, guests={"web1": [nic(network="lan")], "db1": []})]
    page = report_page.page({"written": "now", "hosts": hosts * 2})
    for tag in ("details", "table", "section", "svg", "g", "tr", "td", "main"):
        assert page.count(f"<{tag}>") + page.count(f"<{tag} ") == page.count(f"</{tag}>"), tag
    assert "src=" not in page and "http" not in page.replace("http-equiv", "")
    assert markdown({"hosts": hosts}).count("```mermaid") == 1


@pytest.mark.parametrize("seed", range(40))
def test_no_box_is_drawn_over_another(seed):
    chance = random.Random(seed)
    count = chance.randrange(1, 6)
    guests = [
        [chance.randrange(count) for _nic in range(chance.randrange(4))] for _guest in range(chance.randrange(20))
    ]
    networks = [
        network(f"n{number}", forward={"mode": "bridge", "interfaces": [f"eth{number}"]}) for number in range(count)
    ]
    on = {
        f"g{number}": [nic(network=f"n{wish}", mac=f"{ADDRESS}{place:02x}") for place, wish in enumerate(wishes)]
        for number, wishes in enumerate(guests)
    }
    drawn = drawing.svg(topology(told(networks=networks, links={f"eth{n}": link() for n in range(count)}, guests=on)))
    boxes = [
        tuple(float(box.get(word)) for word in ("x", "y", "width", "height")) for box in drawn.findall(".//g/rect")
    ]
    assert len(boxes) == 2 * count + len(guests)
    for (x, y, width, height), (x2, y2, *_size) in itertools.combinations(boxes, 2):
        assert abs(x - x2) >= width or abs(y - y2) >= height
    assert all(y >= 0 and y + height <= float(drawn.get("height")) for _x, y, _width, height in boxes)
