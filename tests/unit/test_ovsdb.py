# SPDX-License-Identifier: GPL-3.0-or-later
"""What the database of Open vSwitch answers, as it answered, and what it answers at other times."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import ovsdb

A, B, C = ("uuid", "5e1f4c4e-0000-4000-8000-00000000000a"), ("uuid", "b"), ("uuid", "c")
ANSWER = '{"error":null,"id":"kvm.hostnet","result":[{"count":1}]}'
ECHO = '{"id":"echo","method":"echo","params":[]}'
NOTHING = ["set", []]


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("a", "a"),
        (10, 10),
        (True, True),
        (["uuid", "1234"], "1234"),
        (["set", []], []),
        (["set", [1, 2]], [1, 2]),
        (["set", [["uuid", "1"], ["uuid", "2"]]], ["1", "2"]),
        (["map", []], {}),
        (["map", [["iface-id", "1"], ["vm-id", "2"]]], {"iface-id": "1", "vm-id": "2"}),
        (["map", [[10, ["uuid", "1"]]]], {10: "1"}),
    ],
    ids=json.dumps,
)
def test_values(wire, value):
    assert ovsdb.read_value(wire) == value


@pytest.mark.parametrize(
    ("wire", "value"),
    [("a", ["a"]), (0, [0]), (["uuid", "1"], ["1"]), (["set", []], []), (["set", [1, 2]], [1, 2])],
    ids=json.dumps,
)
def test_a_set_of_one_may_come_as_its_atom(wire, value):
    assert ovsdb.read_set(wire) == value


@pytest.mark.parametrize(
    ("value", "wire"), [(None, NOTHING), (0, ["set", [0]]), ("access", ["set", ["access"]]), ([1, 2], ["set", [1, 2]])]
)
def test_sets_are_written(value, wire):
    assert ovsdb.write_set(value) == wire
    assert ovsdb.read_set(wire) == ([] if value is None else value if isinstance(value, list) else [value])


def port(uuid, name, tag=NOTHING, trunks=NOTHING, vlan_mode=NOTHING):
    return {"_uuid": list(uuid), "name": name, "tag": tag, "trunks": trunks, "vlan_mode": vlan_mode}


BRIDGES = [{"name": "ovs0", "ports": ["set", [list(A), list(B)]]}, {"name": "ovs1", "ports": list(C)}]
PORTS = [
    port(A, "vnet0", 10),
    port(B, "vnet1", trunks=["set", [30, 20]], vlan_mode="trunk"),
    port(C, "bond0"),
]
INTERFACES = [
    {"name": "vnet0", "external_ids": ["map", [["iface-id", "1-2"], ["port-profile", "gold"], ["vm-id", "3"]]]},
    {"name": "vnet1", "external_ids": ["map", []]},
    {"name": "e1", "external_ids": ["map", []]},  # a port that is a bond has interfaces of other names
]
PLAIN = {"tag": None, "trunks": [], "vlan_mode": None, "interfaceid": None, "profileid": None}
KNOWN = {
    "vnet0": {**PLAIN, "bridge": "ovs0", "tag": 10, "interfaceid": "1-2", "profileid": "gold"},
    "vnet1": {**PLAIN, "bridge": "ovs0", "trunks": [20, 30], "vlan_mode": "trunk"},
    "bond0": {**PLAIN, "bridge": "ovs1"},
}


@pytest.mark.parametrize("names", [[], ["vnet0"], ["vnet1", "bond0"], ["vnet0", "vnet9"], ["e1"]], ids=str)
def test_ports(names):
    expected = {name: KNOWN[name] for name in names if name in KNOWN}
    assert ovsdb.read_ports(set(names), BRIDGES, PORTS, INTERFACES) == expected


@pytest.mark.parametrize("text", ["", ANSWER[:-1], ECHO, ECHO + ANSWER[:5], ECHO + "\n", '{"id":"kvm.hostn'])
def test_no_whole_answer(text):
    assert ovsdb.answer_in(text) is None


@pytest.mark.parametrize("text", [ANSWER, ANSWER + ECHO, ECHO + ANSWER, ECHO + "\n " + ANSWER, ECHO + ECHO + ANSWER])
def test_an_answer_among_other_messages(text):
    assert ovsdb.answer_in(text) == json.loads(ANSWER)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A database that answers a request with some pieces of text, and then hangs up or says nothing more."""
    monkeypatch.setattr(ovsdb, "_SECONDS", 0.3)
    path, threads, sockets = str(tmp_path / "s"), [], []

    def start(*pieces, hang_up=False):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()

        def serve():
            client = listener.accept()[0]
            sockets.append(client)
            client.recv(1 << 16)
            for piece in pieces:
                client.sendall(piece.encode())
            if hang_up:
                client.close()

        sockets.append(listener)
        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return path

    yield start
    for thread in threads:
        thread.join()
    for one in sockets:
        one.close()


def test_an_answer_in_pieces(server):
    assert ovsdb.transact(server(ECHO[:9], ECHO[9:] + ANSWER[:20], ANSWER[20:]), "try") == [{"count": 1}]


@pytest.mark.parametrize(
    ("pieces", "hang_up", "reason"),
    [
        ([], False, "timed out"),
        ([ECHO], False, "timed out"),
        ([], True, "it hung up"),
        ([ANSWER[:9]], True, "it hung up"),
    ],
)
def test_no_answer(pieces, hang_up, reason, server):
    path = server(*pieces, hang_up=hang_up)
    with pytest.raises(ovsdb.OvsdbError, match=rf"Open vSwitch does not answer at {path} \({reason}\): start it"):
        ovsdb.transact(path, "try")


def test_nobody_is_there(tmp_path):
    with pytest.raises(ovsdb.OvsdbError, match=r"does not answer at .*/s \(No such file or directory\): start it"):
        ovsdb.ports(["vnet0"], str(tmp_path / "s"))
    assert ovsdb.ports([], str(tmp_path / "s")) == {}, "asked for nothing, it asks nobody"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"error": None, "result": [{}, {"error": "constraint violation", "details": "too much"}, None]}, "too much"),
        ({"error": None, "result": [{"error": "timed out"}]}, "timed out"),
        ({"error": {"error": "unknown database"}, "result": None}, "unknown database"),
    ],
    ids=["an operation", "without details", "the request"],
)
def test_a_refusal(answer, reason, server):
    with pytest.raises(ovsdb.OvsdbError, match=f"^Cannot try: .*{reason}"):
        ovsdb.transact(server(json.dumps({**answer, "id": "kvm.hostnet"})), "try")
