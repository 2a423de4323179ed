# SPDX-License-Identifier: GPL-3.0-or-later
"""EVB and VDP (IEEE 802.1Qbg) with a real lldpad at both ends of a cable: a station, and the switch."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import libvirt
import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._drivers import lldpad
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.evb_stations import EvbStations
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.host_info import HostInfo
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.reflective_relay import ReflectiveRelay

from .conftest import do, runner_of, sh

installed = pytest.mark.skipif(
    not shutil.which("lldpad"), reason="there is no lldpad here; tests/lab/fetch.sh fetches it"
)
PROFILE = {"type": "802.1Qbg", "managerid": 11, "typeid": 1193047, "typeidversion": 2}
ASSOCIATIONS = 0x8940  # the EtherType of ECP, which carries VDP
MAC = "52:54:00:00:00:0b"
NIC = f"<interface type='network'><mac address='{MAC}'/><source network='q'/><model type='virtio'/></interface>"
_TUNSETIFF, _TAP = 0x400454CA, 0x1002  # linux/if_tun.h: IFF_TAP | IFF_NO_PI


class Cable:
    """A NIC `nic0` whose other end is the switch's port `port0`, and the frames of one EtherType that went over.

    A tap, since libvirt looks for what is below a veth and finds its other end.
    """

    def __init__(self, ethertype):
        self.seen = []
        self._ethertype = struct.pack("!H", ethertype)
        self._tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._tap, _TUNSETIFF, struct.pack("16sH22x", b"nic0", _TAP))
        sh("ip link set nic0 up && ip link set wire0 up && ip link set port0 up")
        self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._wire.bind(("wire0", 0))
        self._end, self._ended = os.pipe()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self):
        while True:
            ready = select.select([self._tap, self._wire, self._end], [], [])[0]
            if self._end in ready:
                return
            if self._tap in ready:
                frame = os.read(self._tap, 9000)
                self._wire.send(frame)
                self._note("station", frame)
            if self._wire in ready:
                frame, (_link, _protocol, kind, *_rest) = self._wire.recvfrom(9000)
                if kind != socket.PACKET_OUTGOING:
                    os.write(self._tap, frame)
                    self._note("switch", frame)

    def _note(self, sender, frame):
        if frame[12:14] == self._ethertype:
            self.seen.append((sender, frame))

    def unplug(self):
        os.write(self._ended, b"end")
        self._thread.join()
        for descriptor in (self._tap, self._end, self._ended):
            os.close(descriptor)
        self._wire.close()


@pytest.fixture(scope="module")
def cable():
    sh("ip link add wire0 type veth peer name port0")
    plugged = Cable(ASSOCIATIONS)
    yield plugged
    plugged.unplug()
    sh("ip link del wire0")


@pytest.fixture(scope="module")
def agent(cable):
    """lldpad at both ends; port0 is that of a switch which can reflect."""
    daemon = subprocess.Popen(
        ["lldpad", "-f", "/run/lldpad.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: subprocess.run(["lldptool", "ping"], check=False, capture_output=True).returncode == 0)
    until(lambda: lldpad.station("nic0") and lldpad.station("port0"))
    words = {"adminStatus": "rxtx", "enableTx": "yes", "evbmode": "bridge", "evbrrcap": "yes"}
    lldpad.set_station("port0", words)
    yield
    daemon.terminate()
    daemon.wait()
    for left in ("pid", "conf"):
        Path(f"/run/lldpad.{left}").unlink(missing_ok=True)


@pytest.fixture
def stations(agent):
    """Converges EVB stations; nic0 is none in the end."""
    yield runner_of(EvbStations)
    do(EvbStations, [{"name": "nic0", "state": "absent"}])


@pytest.fixture
def station(stations):
    stations({"name": "nic0"})


def until(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def relay():
    return do(ReflectiveRelay, interfaces=["nic0"])["interfaces"]["nic0"]


def network(state="active", **more):
    return {
        "name": "q",
        "state": state,
        "forward": {"mode": "vepa", "interfaces": ["nic0"]},
        "virtualport": {**PROFILE, **more},
    }


def test_without_lldpad_nothing_starts_that_needs_it(cable, networks, running, interfaces, domain):
    installed_or_not = "does not run" if shutil.which("lldpad") else "is not installed"
    sentence = f"lldpad {installed_or_not} on this host; install the package lldpad, and set it up with the role kvm.hostnet.evb"
    with pytest.raises(HostNetError, match=sentence):
        networks(network())
    assert networks(network("inactive"))["changed"]
    with pytest.raises(HostNetError, match=sentence):
        networks(network())
    running()
    nic = {"mac": MAC, "type": "direct", "source": {"dev": "nic0", "mode": "vepa"}, "virtualport": PROFILE}
    with pytest.raises(HostNetError, match=sentence):
        interfaces({"name": "vm1", "interfaces": [nic]})
    domain(name="vm2")
    assert interfaces({"name": "vm2", "interfaces": [nic]})["changed"]  # it is shut off
    with pytest.raises(HostNetError, match=r"Lldpad .* on this host, and EVB is its work; install the package lldpad"):
        do(EvbStations, [{"name": "nic0"}])
    assert do(EvbStations, [{"name": "nic0"}], check=True, pending=True)["steps"] == ["set nic0"]
    assert not do(EvbStations, [{"name": "nic0", "state": "absent"}])["changed"]


@installed
def test_stations(stations):
    done = stations({"name": "nic0"}, {"name": "wire0", "state": "absent"})
    on = {"adminStatus": "rxtx", "enableTx": "yes", "evbmode": "station", "evbrrreq": "yes"}
    assert done["steps"] == ["set nic0"] and done["diff"] == {"before": {}, "after": {"nic0": on}}
    sh("lldptool -T -i nic0 -g ncb -V evb evbrrreq=no")
    assert stations({"name": "nic0"})["diff"]["before"]["nic0"]["evbrrreq"] == "no"
    assert "adminStatus=rxtx" in sh("lldptool -l -i nic0 -g ncb adminStatus")
    # turned off and on at once, an agent stays silent and says that it is on
    sh("lldptool -L -i nic0 -g ncb adminStatus=disabled && lldptool -L -i nic0 -g ncb adminStatus=rxtx")
    assert stations({"name": "nic0"})["diff"]["before"]["nic0"]["adminStatus"] == "stuck"
    assert stations({"name": "nic0", "state": "absent"})["steps"] == ["silence nic0"]
    assert "adminStatus=disabled" in sh("lldptool -l -i nic0 -g ncb adminStatus")


@installed
@pytest.mark.parametrize(
    ("name", "sentence"),
    [("nosuch", "There is no interface nosuch on this host; it has"), ("lo", "Lldpad knows no port lo; it has to be")],
)
def test_ports_that_cannot_be_stations(name, sentence, stations):
    with pytest.raises(HostNetError, match=sentence):
        stations({"name": name})


@installed
def test_the_switch_says_that_it_can_reflect_and_frames_say_that_it_does_not(station):
    until(lambda: (relay()["evb"] or {}).get("reflects"))
    assert relay() == {
        "reflects": False, "reason": "no frame came back in 3 tries", "agree": False,
        "evb": {"agent": "lldpad", "capable": True, "reflects": True},
    }  # fmt: skip
    [heard] = do(HostInfo)["links"]["port0"]["lldp"]
    assert heard["agent"] == "lldpad" and "evb" in heard


@installed
def test_lldpad_has_to_speak_evb_at_the_uplink(stations, networks, running, interfaces):
    sentence = (
        "needs EVB at nic0, and lldpad does not speak it there; name nic0 in evb_ports of the role kvm.hostnet.evb"
    )
    with pytest.raises(HostNetError, match=sentence):
        networks(network())
    running()
    nic = {"mac": MAC, "type": "direct", "source": {"dev": "nic0", "mode": "vepa"}, "virtualport": PROFILE}
    with pytest.raises(HostNetError, match=sentence):
        interfaces({"name": "vm1", "interfaces": [nic]})
    stations({"name": "nic0"})
    assert networks(network())["changed"]


@installed
def test_a_guest_is_associated_with_the_switch(station, cable, networks, domain):
    """With the instance ID that libvirt makes; a libvirtd that has got the wrong address fails as is told before."""
    until(lambda: (relay()["evb"] or {}).get("reflects"))
    done = networks(network())
    guest = domain(NIC)
    if lldpad.deafness():
        assert "takes for an error; restart it" in done["warnings"][0]
        with pytest.raises(libvirt.libvirtError, match="sending of PortProfileRequest failed"):
            guest.create()
        return
    assert done["warnings"] == []
    guest.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    mac = bytes.fromhex(MAC.replace(":", ""))
    told = [(sender, len(frame)) for sender, frame in cable.seen if mac in frame]
    assert {sender for sender, _length in told} == {"station", "switch"}  # asked for, and granted
    cable.seen.clear()
    guest.destroy()
    until(lambda: any(mac in frame for _sender, frame in cable.seen))
