# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is told to have, and what its switch says of itself, on the real thing."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.host_info import HostInfo
from ansible_collections.kvm.hostnet.plugins.module_utils._resources.reflective_relay import ReflectiveRelay

from .conftest import do, host_state, sh


def test_a_host_in_under_a_second(links, networks, topology):
    topology("add e0 type veth peer name e0p", "set e0 up", "set e0p up", "add br9 type bridge", "set e0p master br9")
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
    assert told["links"]["virbr7"]["addresses"] == ["192.168.177.1/24"]
    assert told["bridges"]["br9"]["ports"] == ["e0p"] and told["bridges"]["virbr7"]["libvirt_network"] == "nat"
    assert told["libvirt"]["problem"] is None and told["libvirt"]["libvirt"].count(".") == 2
    assert told["kernel"]["features"]["macvtap"] is True and told["unknown"] == []


def test_a_host_without_libvirt_tells_the_rest():
    told = do(HostInfo, uri="qemu+unix:///system?socket=/nowhere")
    assert told["libvirt"]["libvirt"] is None and "libvirt does not answer" in told["libvirt"]["problem"]
    assert "lo" in told["links"]


@pytest.fixture
def agents(topology):
    """lldpad at e0 and at its far end, which is the switch; its state is on a file system of the test's own."""
    if not shutil.which("lldpad"):
        pytest.skip("lldpad is not installed on this lab host; the one of Debian 13 has it")
    topology("add e0 type veth peer name e0p", "set e0 up", "set e0p up")
    Path("/var/lib/lldpad").mkdir(exist_ok=True)
    sh("mount -t tmpfs lab /var/lib/lldpad")
    daemon = subprocess.Popen(["lldpad"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: subprocess.run(["lldptool", "ping"], check=False, capture_output=True).returncode == 0)
    for link, mode in (("e0", "station"), ("e0p", "bridge")):
        sh(
            f"lldptool set-lldp -i {link} -g ncb adminStatus=rxtx && lldptool -T -i {link} -g ncb -V evb enableTx=yes evbmode={mode}"
        )
    yield
    daemon.terminate()
    daemon.wait()
    sh("umount /var/lib/lldpad")


def until(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def relay():
    return do(ReflectiveRelay, interfaces=["e0"])["interfaces"]["e0"]


def test_the_switch_says_that_it_can_reflect_and_frames_say_that_it_does_not(agents):
    assert relay()["agree"] is None or relay()["evb"]["capable"] is False
    sh("lldptool -T -i e0p -g ncb -V evb evbrrcap=yes && lldptool -T -i e0 -g ncb -V evb evbrrreq=yes")
    until(lambda: (relay()["evb"] or {}).get("capable"))
    until(lambda: relay()["evb"]["reflects"])
    assert relay() == {
        "reflects": False, "reason": "no frame came back in 3 tries", "agree": False,
        "evb": {"agent": "lldpad", "capable": True, "reflects": True},
    }  # fmt: skip
    assert do(HostInfo)["links"]["e0"]["lldp"][0]["evb"] == 3
