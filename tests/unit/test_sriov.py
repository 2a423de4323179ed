# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual functions without any: messages, plans, rules, users, and files that never answer."""

from __future__ import annotations

import errno
import os
import struct
import time

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import clean
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import devlink, guarded, nla, vf_messages
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.memory import Memory
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers.pci import Pci
from ansible_collections.kvm.hostnet.plugins.module_utils._resources import sriov_plan, sriov_rules
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.sriov_fields import ITEM
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.sriov_functions import refusal
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.sriov_use import Signs, Use, use_of
from ansible_collections.kvm.hostnet.plugins.plugin_utils import functions, inventory, uplinks

MAC = "52:54:00:11:22:33"
GUID = "00:11:22:33:44:55:66:77"

# what ip(8) of iproute2 6.1 sends for "ip link set DEV vf 5 ...", after the header
GOLDEN = {
    ("mac", MAC): "300016002c00010028000100050000005254001122330000000000000000000000000000000000000000000000000000",
    ("vlan", (100, 3, "802.1Q")): "180016001400010010000200050000006400000003000000",
    ("vlan", (100, 3, "802.1ad")): "200016001c00010018000c001400010005000000640000000300000088a80000",
    ("spoofchk", False): "14001600100001000c0004000500000000000000",
    ("trust", True): "14001600100001000c0009000500000001000000",
    ("link_state", "disable"): "14001600100001000c0005000500000002000000",
    ("rss_query", True): "14001600100001000c0007000500000001000000",
    ("rates", (10, 100)): "180016001400010010000600050000000a00000064000000",
    ("node_guid", GUID): "1c0016001800010014000a0005000000000000007766554433221100",
    ("port_guid", GUID): "1c0016001800010014000b0005000000000000007766554433221100",
}


@pytest.mark.parametrize(("case", "raw"), GOLDEN.items(), ids=str)
def test_settings_are_said_as_iproute2_says_them(case, raw):
    setting, value = case
    value = dict(zip(("id", "qos", "protocol"), value)) if setting == "vlan" else value
    message = vf_messages.set_request((3, 7, True), 5, setting, value)
    assert message[32:].hex() == raw
    assert struct.unpack_from("=IHHI", message) == (len(message), 19, 5, 7)


def told_of(count):
    """What a kernel tells of a NIC with many functions, each of them another one."""
    told = b""
    for number in range(count):
        switch = struct.pack("=II", number, number % 2)
        unknown = struct.pack("=II", number, 0xFFFFFFFF)
        vlan = struct.pack("=III", number, number % 4095, number % 8) + struct.pack(">H2x", 0x88A8)
        told += nla.attribute(1, b"".join((
            nla.attribute(1, struct.pack("=I6s26x", number, bytes([2, 0, 0, 0, number // 256, number % 256]))),
            nla.attribute(13, bytes(32)), nla.attribute(2, struct.pack("=III", number, number % 4095, number % 8)),
            nla.attribute(6, struct.pack("=III", number, number, 2 * number)), nla.attribute(3, struct.pack("=II", number, 2 * number)),
            nla.attribute(4, switch), nla.attribute(5, struct.pack("=II", number, number % 3)), nla.attribute(7, unknown),
            nla.attribute(9, switch), nla.attribute(12, nla.attribute(1, vlan)),
        )))  # fmt: skip
    attributes = nla.attribute(54, bytes.fromhex("525400000001")) + nla.attribute(22, told)
    return struct.pack("=IHHII", 32 + len(attributes), 16, 0, 0, 0) + bytes(16) + attributes


@pytest.mark.parametrize("count", [0, 1, 7, 128, 256])
def test_many_functions_are_read(count):
    """256 fit into one attribute, whose length has 16 bits, as long as the kernel leaves statistics out."""
    permanent, found = vf_messages.functions_of(told_of(count))
    assert permanent == "52:54:00:00:00:01" and len(found) == count
    for number, settings in found.items():
        assert settings == {
            "mac": f"02:00:00:00:{number // 256:02x}:{number % 256:02x}", "spoofchk": bool(number % 2), "trust": bool(number % 2),
            "vlan": {"id": number % 4095, "qos": number % 8, "protocol": "802.1ad"} if number else {},
            "min_tx_rate": number, "max_tx_rate": 2 * number, "link_state": vf_messages.LINK_STATES[number % 3],
        }  # fmt: skip
    assert struct.unpack_from("=I", vf_messages.get_request(3), 36)[0] == 1 | 8, "functions, and no statistics"


NEW = {
    "mac": "",
    "vlan": {},
    "spoofchk": True,
    "trust": False,
    "link_state": "auto",
    "min_tx_rate": 0,
    "max_tx_rate": 0,
    "driver": "default",
}


def nic(*functions_, **settings):
    """The state of a NIC."""
    listed = [{"index": index, **NEW, "name": f"p0v{index}", **function} for index, function in enumerate(functions_)]
    own = {"drivers_autoprobe": True, "eswitch_mode": None, "up": True, "unmanaged": False, "remembered": False}
    return {**own, "vf_count": len(listed), **settings, "vfs": listed}


def aimed(wish, have, born=None, bound=None):
    item = clean(ITEM, {"name": "p0", **wish})
    return sriov_plan.aim(item, have, bound=bound or ["igbvf"] * len(have["vfs"]), born=born or {})


def steps(wish, have, **options):
    return [(str(step), step.state) for step in sriov_plan.plan({"p0": aimed(wish, have, **options)}, {"p0": have})]


def settings_of(wish, have, **options):
    """What each function is given, where none is made anew."""
    return {state["index"]: state["settings"] for _told, state in steps(wish, have, **options)}


PLANS = {
    "nothing": ({}, [{}], {}),
    "what is there": ({"every_vf": {"trust": False}, "vfs": [{"index": 0, "vlan": {}}]}, [{}], {}),
    "each": ({"every_vf": {"trust": True}}, [{}, {"trust": True}], {0: {"trust": True}}),
    "one before each": ({"every_vf": {"trust": True}, "vfs": [{"index": 0, "trust": False}]}, [{}, {}], {1: {"trust": True}}),
    "a VLAN keeps its priority": (
        {"every_vf": {"vlan": {"id": 5}}}, [{"vlan": {"id": 4, "qos": 3, "protocol": "802.1ad"}}],
        {0: {"vlan": {"id": 5, "qos": 3, "protocol": "802.1ad"}}},
    ),
    "no VLAN": ({"every_vf": {"vlan": {}}}, [{"vlan": {"id": 4, "qos": 3, "protocol": "802.1Q"}}], {0: {"vlan": {}}}),
    "VLAN 0": ({"every_vf": {"vlan": {"id": 0, "qos": 0}}}, [{"vlan": {"id": 4, "qos": 0, "protocol": "802.1Q"}}], {0: {"vlan": {}}}),
    "one rate keeps the other": ({"every_vf": {"max_tx_rate": 9}}, [{"min_tx_rate": 3}], {0: {"rates": (3, 9)}}),
    "the other keeps the one": ({"every_vf": {"min_tx_rate": 2}}, [{"max_tx_rate": 9}], {0: {"rates": (2, 9)}}),
    "a MAC address": ({"vfs": [{"index": 0, "mac": MAC}]}, [{}], {0: {"mac": MAC, "reload": True}}),
    "a MAC address without a driver": ({"vfs": [{"index": 0, "mac": MAC}]}, [{"driver": "vfio-pci"}], {0: {"mac": MAC}}),
    "a MAC address nobody asked about": ({"every_vf": {"trust": False}}, [{"mac": MAC, "stale": True}], {}),
    "a MAC address nobody heard of": ({"vfs": [{"index": 0, "mac": MAC}]}, [{"mac": MAC, "stale": True}], {0: {"reload": True}}),
    "any MAC address": ({"vfs": [{"index": 0, "mac": ""}]}, [{"mac": MAC}], {0: {"mac": "", "reload": True}}),
    "vfio": ({"every_vf": {"driver": "vfio-pci"}}, [{}, {"driver": "vfio-pci"}], {0: {"driver": "vfio-pci"}}),
    "its own driver": ({"every_vf": {"driver": ""}}, [{"driver": "vfio-pci"}, {}], {0: {"driver": "default"}}),
    "its own driver by name": ({"every_vf": {"driver": "igbvf"}}, [{}], {}),
    "a name": ({"vfs": [{"index": 0, "name": "blue"}]}, [{}], {0: {"name": "blue"}}),
    "all back": (
        {"reset": True, "every_vf": {"trust": True}}, [{"vlan": {"id": 4, "qos": 0, "protocol": "802.1Q"}, "trust": True, "max_tx_rate": 9, "driver": "none"}],
        {0: {"vlan": {}, "driver": "default", "rates": (0, 0)}},
    ),
    "all back but addresses": ({"reset": True}, [{"mac": MAC}], {}),
    "a GUID": ({"vfs": [{"index": 0, "node_guid": GUID}]}, [{"node_guid": sriov_plan.ZERO_GUID}], {0: {"node_guid": GUID}}),
    "no GUID": ({"vfs": [{"index": 0, "port_guid": ""}]}, [{"port_guid": GUID}], {0: {"port_guid": sriov_plan.ZERO_GUID}}),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANS)
def test_plans(case):
    wish, have, expected = PLANS[case]
    assert settings_of(wish, nic(*have)) == expected


def test_born_otherwise():
    """Some drivers begin with another default, which is what a reset goes back to."""
    assert settings_of({"reset": True}, nic({"spoofchk": False}), born={"spoofchk": False}) == {}
    assert settings_of({"reset": True}, nic({"spoofchk": False})) == {0: {"spoofchk": True}}


def test_what_a_driver_does_not_tell_is_not_reset():
    have = nic({})
    del have["vfs"][0]["spoofchk"]
    assert settings_of({"reset": True}, have) == {}


@pytest.mark.parametrize("count", [7, 128, 256])
def test_a_count_keeps_those_that_stay(count):
    have = nic(*({"vlan": {"id": n + 1, "qos": 0, "protocol": "802.1Q"}} for n in range(count)))
    (told, state), *more = steps({"vf_count": count - 1, "vfs": [{"index": 0, "mac": MAC}]}, have)
    assert told == "recreate virtual functions of p0" and not more and state["vf_count"] == count - 1
    fresh = nic(*({} for _ in range(count - 1)))["vfs"]
    given = [sriov_plan.changes(wanted, new) for wanted, new in zip(state["vfs"], fresh)]
    assert given[0] == {"mac": MAC, "vlan": have["vfs"][0]["vlan"], "reload": True}
    assert given[1:] == [{"vlan": function["vlan"]} for function in have["vfs"][1 : count - 1]]
    grown = steps({"vf_count": count + 1, "every_vf": {"trust": True}}, have)[0][1]["vfs"]
    assert grown[count] == {"index": count, "trust": True}, "of a new one, only what was asked for"


def test_one_call_takes_256_functions():
    changed = [
        (n, setting, value)
        for n in range(256)
        for setting, value in (("mac", MAC), ("vlan", {"id": 9}), ("rates", (1, 2)))
    ]
    sizes = [len(vf_messages.set_request((3, 0, False), *change)) for change in changed]
    assert max(sizes) < 100 and sum(sizes) < 8 << 20


def test_what_guests_have_is_spared():
    have = nic({"mac": MAC, "driver": "vfio-pci"}, {})
    goal = aimed({"every_vf": {"trust": True, "vlan": {"id": 4}, "driver": ""}}, have)
    spared = sriov_plan.sparing(goal, have, {0})
    assert sriov_plan.changes(spared["vfs"][0], have["vfs"][0]) == {"trust": True}
    assert spared["vfs"][1] == goal["vfs"][1]


def test_order_of_steps():
    assert [told for told, _state in steps({}, nic(remembered=True))] == []
    gone = {**nic({}, remembered=True), "remembered": False, "vf_count": 0, "vfs": []}
    assert [str(step) for step in sriov_plan.plan({"p0": gone}, {"p0": nic({}, remembered=True)})] == [
        "recreate virtual functions of p0", "forget what p0 was",
    ]  # fmt: skip
    wish = {"vf_count": 2, "up": True, "unmanaged": True, "drivers_autoprobe": False}
    assert [told for told, _state in steps(wish, nic(up=False))] == ["set p0", "recreate virtual functions of p0"]
    assert [told for told, _state in steps({"up": False, "vf_count": 0}, nic({}))] == [
        "recreate virtual functions of p0",
        "set p0",
    ]


FACTS = {
    "driver": "none such",
    "total": 256,
    "carrier": True,
    "speed": 1000,
    "names": ["p0", "p0v0", "p0v1"],
    "iommu": True,
    "needs_iommu": False,
    "unknown_drivers": [],
}


def sentences(wish, have, **facts):
    item = clean(ITEM, {"name": "p0", **wish})
    return list(sriov_rules.problems(item, aimed(wish, have), have, {**FACTS, **facts}))


@pytest.mark.parametrize(
    ("wish", "facts", "expected"),
    [
        ({"vf_count": 257}, {}, ["vf_count 257 is more than the 256 virtual functions that it can have"]),
        ({"every_vf": {"link_state": "enable"}}, {}, []),
        ({"every_vf": {"link_state": "enable"}}, {"driver": "igb"}, ["VF 0-127: this driver (igb) does not support link_state"]),
        ({"every_vf": {"rss_query": True}}, {}, ["VF 0-127: this driver (none such) does not support rss_query"]),
        ({"every_vf": {"rss_query": False}}, {}, []),
        ({"vfs": [{"index": n, "max_tx_rate": 2000} for n in (0, 2, 3, 9)]}, {}, ["VF 0, 2-3, 9: max_tx_rate 2000 is more than the 1000 Mbit/s of the link"]),
        ({"every_vf": {"max_tx_rate": 5}}, {"carrier": False}, ["VF 0-127: max_tx_rate needs a carrier, and the physical function has none; connect it, or leave the rate out"]),
        ({"up": True, "vf_count": 3, "every_vf": {"driver": "vfio-pci"}}, {"iommu": False}, [f"VF 0-2: vfio-pci needs an IOMMU, and none is in use; {sriov_rules._IOMMU}"]),
        ({"vf_count": 3}, {"iommu": False, "needs_iommu": True}, [f"guests can have its virtual functions only with an IOMMU, and none is in use; {sriov_rules._IOMMU}"]),
        ({"vf_count": 0}, {"iommu": False, "needs_iommu": True}, []),
        ({"up": False, "vf_count": 3, "vfs": [{"index": 0, "trust": True}]}, {}, ["VF 0: trust can be set only while the physical function is up; set up: true as well"]),
        ({"vf_count": 3, "drivers_autoprobe": False, "vfs": [{"index": 0, "name": "a"}]}, {}, []),
        ({"every_vf": {"driver": "none"}, "vfs": [{"index": 0, "name": "a"}]}, {}, ["VF 0: with the driver none it has no interface that could have the name a"]),
        ({"vfs": [{"index": 0, "name": "p0v1"}]}, {}, ["VF 0: there is an interface p0v1 on this host already"]),
        ({"vfs": [{"index": 0, "name": "p0v1"}, {"index": 1, "name": "p0v0"}]}, {}, []),
        ({"vf_count": 4, "vfs": [{"index": 4, "trust": True}]}, {}, ["VF 4 is not there with vf_count 4: they end with VF 3; raise vf_count"]),
        ({"eswitch_mode": "switchdev"}, {}, ["the driver (none such) has no switch whose eswitch_mode could be set (devlink knows none)"]),
    ],
)  # fmt: skip
def test_rules(wish, facts, expected):
    assert sentences(wish, nic(*({} for _ in range(128))), **facts) == expected


def test_a_count_needs_a_way_for_what_it_gives_again():
    """What a task does not say has to be given again as well."""
    have = nic({"max_tx_rate": 100}, {}, up=False)
    assert sentences({"vf_count": 3}, have) == [
        "VF 0: max_tx_rate can be set only while the physical function is up; set up: true as well"
    ]
    assert "needs a carrier" in sentences({"vf_count": 3}, {**have, "up": True}, carrier=False)[0]
    assert sentences({"vf_count": 0}, have) == sentences({"vf_count": 3}, nic({}, {}, up=False)) == []


def test_names_go_with_those_that_have_them():
    wish = {"vf_count": 1, "vfs": [{"index": 0, "name": "p0v0"}]}
    assert (
        sentences(wish, nic({}, {})) == []
        and sentences({**wish, "vfs": [{"index": 0, "name": "p0v1"}]}, nic({}, {})) == []
    )


def test_names_of_several_nics():
    requested = {name: clean(ITEM, {"name": name, "vfs": [{"index": 0, "name": "a"}]}) for name in ("p0", "p1")}
    assert list(sriov_rules.clashes(requested)) == ["2 virtual functions are to have the name a"]


def test_a_note_comes_back_with_what_it_tells_of():
    have, back = nic({}, remembered=False), nic({}, remembered=True)
    assert [str(step) for step in sriov_plan.plan({"p0": back}, {"p0": have})] == ["remember what p0 was"]


@pytest.mark.parametrize(
    ("use", "wish", "force", "expected"),
    [
        (Use(["guest a has it"], None, True), {"vf_count": 2}, False, "VF 0 would go (a count changes by way of none at all), and guest a has it; free it first"),
        (Use(["guest a has it"], None, True), {"vf_count": 2}, True, None),
        (Use(["guest a has it"], "qemu (process 7)", True), {"vf_count": 0}, True, "VF 0 would go, and guest a has it; the kernel would wait without end for qemu (process 7)"),
        (Use(["p0v0 is a port of br0"], None, False), {"every_vf": {"driver": "vfio-pci"}}, False, "VF 0 would lose its driver, and p0v0 is a port of br0"),
        (Use(["p0v0 has routes"], None, False), {"vfs": [{"index": 0, "mac": MAC}]}, False, "VF 0 would have its driver loaded anew for its MAC address, and p0v0 has routes"),
        (Use(["p0v0 has routes"], None, False), {"vfs": [{"index": 0, "name": "x"}]}, False, "VF 0 would get another name, and p0v0 has routes"),
        (Use(["p0v0 has routes"], None, False), {"every_vf": {"trust": True}}, False, None),
        (Use([], None, False), {"vf_count": 0}, False, None),
    ],
)  # fmt: skip
def test_who_is_protected(use, wish, force, expected):
    have = nic({})
    found = sriov_rules.use_problems(aimed(wish, have), have, [use], force=force)
    assert [expected in text for text in found] == [True] if expected else found == []


def route(destination, link="p0v0"):
    return {"what": "route", "attrs": {"RTA_DST": destination, "RTA_OIF": link}}


FUNCTION = {
    "pci": "0000:01:10.0",
    "driver": "igbvf",
    "override": "",
    "vfio": [],
    "iommu_group": "11",
    "links": ["p0v0"],
    "moved": False,
}
LINKS = {"p0v0": {"kind": None, "master": None}}


@pytest.mark.parametrize(
    ("facts", "signs", "expected"),
    [
        ({}, Signs(LINKS), Use([], None, False)),
        ({}, Signs(LINKS, guests={"p0v0": ["b"], "0000:01:10.0": ["a"]}), Use(["guest a has it", "guest b has it"], None, True)),
        ({"links": []}, Signs({}, handed_out={"p0_vf0"}), Use(["libvirt has given it to a guest"], None, True)),
        ({"links": [], "vfio": ["/dev/vfio/11", "/dev/vfio/devices/vfio0"]}, Signs({}, holders={"/dev/vfio/devices/vfio0": "dpdk (process 3)"}), Use(["dpdk (process 3) has it open"], "dpdk (process 3)", False)),
        ({"links": [], "moved": True}, Signs({}), Use(["its interface is in another network namespace"], None, False)),
        ({}, Signs(LINKS, [route("fe80::"), route("ff00::"), route("192.0.2.0", "p1")]), Use([], None, False)),
        ({}, Signs(LINKS, [route("192.0.2.0")]), Use(["p0v0 has routes"], None, False)),
        ({}, Signs({"p0v0": {"kind": None, "master": "bond0"}}), Use(["p0v0 is a port of bond0"], None, False)),
        ({}, Signs({**LINKS, "mt0": {"kind": "macvtap", "lower": "p0v0"}}), Use(["the macvtap mt0 is on p0v0"], None, False)),
    ],
)  # fmt: skip
def test_who_uses_a_function(facts, signs, expected):
    assert use_of({**FUNCTION, **facts}, "p0_vf0", signs) == expected


@pytest.mark.parametrize(
    ("setting", "value", "code", "text", "expected"),
    [
        ("link_state", "enable", errno.EOPNOTSUPP, "", "this driver (x) does not support link_state"),
        ("vlan", {"id": 5, "protocol": "802.1ad"}, errno.EPROTONOSUPPORT, "", "this driver (x) does not support vlan.protocol 802.1ad"),
        ("rates", (1, 2), errno.EINVAL, "", "min_tx_rate or max_tx_rate (1, 2) was refused: Invalid argument"),
        ("trust", True, errno.EBUSY, "VF is in reset", "trust True was refused: Device or resource busy (VF is in reset)"),
        ("trust", True, errno.EPERM, "", "no permission to set trust True; run the task as root (become: true)"),
    ],
)  # fmt: skip
def test_what_a_refusal_means(setting, value, code, text, expected):
    assert refusal("x", setting, value, code, text) == expected


@pytest.mark.parametrize(
    ("name", "known"), [("vfio-pci", True), ("igbvf", True), ("uio_pci_generic", True), ("vfio", False), ("nix", False)]
)
def test_a_driver_that_is_not_loaded_yet(tmp_path, name, known):
    modules = tmp_path / "lib/modules" / os.uname().release
    modules.mkdir(parents=True)
    (modules / "modules.dep").write_text(
        "kernel/drivers/vfio/pci/vfio_pci.ko.xz: a.ko\nkernel/igbvf.ko:\nkernel/uio_pci_generic.ko.zst:\n"
    )
    assert Pci(str(tmp_path)).knows_driver(name) == known


def test_a_function_that_is_being_reset_is_not_taken_for_another():
    raw = told_of(3)
    first = raw.index(nla.attribute(1, struct.pack("=I6s26x", 0, bytes([2, 0, 0, 0, 0, 0])))) - 4
    size = struct.unpack_from("=H", raw, first)[0]
    listed = nla.attribute(22, raw[first + size :])
    assert list(vf_messages.functions_of(struct.pack("=IHHII", 0, 16, 0, 0, 0) + bytes(16) + listed)[1]) == [1, 2]


def test_a_switch_that_is_told_only_with_functions():
    have = nic({}, eswitch_mode="legacy")
    assert steps({"eswitch_mode": "legacy"}, have) == []
    assert not sriov_plan.plan({"p0": {**have, "eswitch_mode": None}}, {"p0": have})
    assert [told for told, _state in steps({"eswitch_mode": "switchdev"}, have)] == ["recreate virtual functions of p0"]


def test_a_file_that_never_answers(tmp_path):
    """A FIFO that nobody reads stands in for the driver; tests/sriov has the kernel itself wait."""
    fifo, plain = tmp_path / "fifo", tmp_path / "plain"
    os.mkfifo(fifo)
    began = time.monotonic()
    assert guarded.write(fifo, "1", 0.2) is None and time.monotonic() - began < 2
    plain.write_text("")
    assert guarded.write(plain, "3", 5) == 0 and plain.read_text() == "3"
    assert guarded.write(tmp_path / "none" / "file", "1", 5) == errno.ENOENT
    with pytest.raises(HostNetError, match="has not answered for 0 s, and the kernel goes on with it"):
        Pci._write(fifo, "1", 0.1)


def test_one_that_is_left_behind_keeps_nobody_waiting(tmp_path):
    """Whoever reads from this process would otherwise wait for the stuck one as well."""
    os.mkfifo(tmp_path / "fifo")
    heard, told = os.pipe()
    os.set_inheritable(told, True)
    process = os.fork()
    if process == 0:
        guarded._put(tmp_path / "fifo", "1", os.pipe()[1])
    os.close(told)
    try:
        assert os.read(heard, 1) == b""
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)


def test_devlink_is_asked_for_a_pci_device():
    assert (
        devlink._device("0000:01:00.0").hex()
        == "08000100" + b"pci\0".hex() + "11000200" + b"0000:01:00.0\0\0\0\0".hex()
    )
    assert devlink.eswitch_mode("0000:ff:1f.7") is None


def test_notes_are_whole_or_not_there(tmp_path):
    memory = Memory("sriov", str(tmp_path))
    assert memory.recall("a") is None
    memory.keep("a", {"before": {"vf_count": 2}})
    assert memory.recall("a") == {"before": {"vf_count": 2}}
    for garbage in ("[1]", "5", "{", "\\xff"):
        (tmp_path / "run/kvm.hostnet/sriov/a.json").write_text(garbage)
        assert memory.recall("a") is None


# from an inventory

FAST = {"name": "fast", "uplink": "p0", "vf_count": 4}


@pytest.mark.parametrize(
    ("network", "mode", "forward"),
    [
        (FAST, "sriov", {"mode": "hostdev", "managed": True, "pf": "p0", "interfaces": []}),
        ({"name": "fast", "uplink": "p0"}, "sriov", {"mode": "hostdev", "managed": True, "pf": "p0", "interfaces": []}),
        (FAST, "passthrough", {"mode": "passthrough", "pf": "p0", "interfaces": []}),
        ({"name": "fast", "uplink": ["p0", "p1"]}, "passthrough", {"mode": "passthrough", "pf": "", "interfaces": ["p0", "p1"]}),
        (FAST, "macvtap_vepa", {"mode": "vepa", "interfaces": ["p0"]}),
    ],
)  # fmt: skip
def test_where_devices_come_from(network, mode, forward):
    assert inventory.as_libvirt({**network, "mode": mode})["forward"] == forward
    assert inventory.problems([network], mode) == []


def test_a_vlan_goes_to_libvirt():
    assert inventory.as_libvirt({**FAST, "vlan": 7, "mode": "sriov"})["vlan"] == {"tags": [{"id": 7}]}
    assert (
        inventory.as_libvirt({**FAST, "mode": "sriov"})["vlan"]
        == inventory.as_libvirt({**FAST, "vlan": 7, "mode": "macvtap_vepa"})["vlan"]
        == {}
    )


READY = {"state": "present", "up": True, "unmanaged": True, "reset": True}


@pytest.mark.parametrize(
    ("network", "mode", "expected"),
    [
        ({**FAST, "vf": {"trust": True}}, "sriov", [{"name": "p0", **READY, "every_vf": {"trust": True}, "vf_count": 4}]),
        ({"name": "fast", "uplink": "p0"}, "sriov", [{"name": "p0", **READY, "every_vf": {}}]),
        ({"name": "fast", "uplink": "p0"}, "passthrough", []),
        (FAST, "macvtap_vepa", [{"name": "p0", "state": "absent", "only_own": True}]),
        ({**FAST, "state": "absent"}, "sriov", [{"name": "p0", "state": "absent", "only_own": True}]),
        ({"name": "fast", "uplink": "p0", "state": "absent"}, "sriov", [{"name": "p0", "state": "absent", "only_own": True}]),
        ({"name": "lan", "uplink": "p0"}, "macvtap_vepa", []),
    ],
)  # fmt: skip
def test_what_uplinks_get(network, mode, expected):
    assert functions.functions([network], mode) == expected
    assert functions.pending([network], mode) == [item["name"] for item in expected if "vf_count" in item]
    assert functions.for_guests_whole([network], mode) == (mode == "sriov" and network.get("state") != "absent")


@pytest.mark.parametrize(
    ("networks", "mode", "expected"),
    [
        ([{**FAST, "vf_count": 0}], "sriov", "vf_count is 0; write how many virtual functions the uplink is to have"),
        ([{**FAST, "vf_count": "four"}], "sriov", "vf_count is four; write how many virtual functions the uplink is to have"),
        ([{**FAST, "uplink": "0000:01:00.0"}], "sriov", '"0000:01:00.0" is no interface name'),
        ([{"name": "fast", "uplink": "p0", "vf": {"trust": True}}], "passthrough", "vf needs virtual functions, which vf_count makes"),
        ([{**FAST, "uplink": ["p0", "p1"]}], "sriov", "virtual functions come from one uplink; make a network for each"),
        ([{"name": "fast", "vf_count": 4}], "sriov", "mode sriov needs an uplink"),
        ([{**FAST, "vlan": 4095}], "sriov", "vlan is 4095; write one number from 1 to 4094"),
        ([{"name": "fast", "uplink": "p0", "vlan": 5}], "passthrough", "vlan needs virtual functions, which vf_count makes"),
        ([{**FAST, "vf": [1]}], "sriov", "vf is [1]; write a mapping of what each virtual function is given"),
        ([{**FAST, "vf": {"mac": MAC}}], "sriov", "vf.mac: libvirt gives each virtual function the MAC address of its guest"),
        ([{**FAST, "vf": {"vlan": {"id": 4}}}], "sriov", "vf.vlan: write vlan at the network"),
        ([{**FAST, "vf": {"trsut": True}}], "sriov", "trsut"),
        ([{**FAST, "vf": {"trust": 1}}], "sriov", "vf.trust is 1; write true or false"),
        ([{**FAST, "vf": {"max_tx_rate": True}}], "sriov", "vf.max_tx_rate is True; write a number"),
        ([{**FAST, "vf": {"max_tx_rate": -4}}], "sriov", "vf: max_tx_rate -4 has to be in Mbit/s"),
        ([{**FAST, "vf": {"link_state": "up"}}], "sriov", "vf.link_state is up; write one of auto, enable, disable"),
        ([FAST, {**FAST, "name": "more", "mode": "passthrough"}], "sriov", "Network more: network fast already hands out the virtual functions of p0"),
    ],
)  # fmt: skip
def test_mistakes_in_an_inventory(networks, mode, expected):
    found = inventory.problems(networks, mode)
    assert len(found) == 1 and expected in found[0]


def test_an_uplink_under_a_bridge_still_has_its_functions():
    assert list(uplinks.shared([{"name": "lan", "mode": "bridge", "uplink": "p0"}, {**FAST, "mode": "sriov"}])) == []
