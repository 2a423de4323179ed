# SPDX-License-Identifier: GPL-3.0-or-later
"""Each mistake gets one clear sentence, fails its host alone, and changes nothing."""

from __future__ import annotations

import pytest

LAN = {"name": "lan", "mode": "macvtap_bridge", "uplink": "up0"}
BUILD = {"name": "build", "mode": "nat", "address": "192.168.150.1/24"}
HOSTS = [{"mac": "52:54:00:00:00:01", "ip": "192.168.150.9"}, {"mac": "52:54:00:00:00:01", "ip": "192.168.150.8"}]
# what is wrong: the variables of a host, and what the sentence has to say
MISTAKES = {
    "unknown mode": ({"hostnet_mode": "vepaa", "hostnet_networks": [{"name": "lan", "uplink": "up0"}]},
                     'Network lan: there is no mode "vepaa"'),
    "no mode": ({"hostnet_networks": [{"name": "lan", "uplink": "up0"}]}, "Network lan: it has no mode; give it one"),
    "no networks": ({"hostnet_mode": "nat"}, "hostnet_networks lists no network"),
    "no uplink": ({"hostnet_networks": [{"name": "lan", "mode": "macvtap_bridge"}]},
                  "Network lan: mode macvtap_bridge needs an uplink"),
    "uplink missing": ({"hostnet_networks": [{**LAN, "uplink": "eth9"}]},
                       "Network lan: there is no interface eth9 on this host; it has"),
    "uplink is a bridge port": ({"hostnet_networks": [{**LAN, "uplink": "port0"}]},
                                "Network lan: port0 is a port of bridge br9"),
    "no address": ({"hostnet_networks": [{"name": "build", "mode": "nat"}]}, "Network build: mode nat needs an address"),
    "address without prefix": ({"hostnet_networks": [{**BUILD, "address": "192.168.150.1"}]},
                               "Network build: address 192.168.150.1 lacks its prefix"),
    "the network's own address": ({"hostnet_networks": [{**BUILD, "address": "192.168.150.0/24"}]},
                                  "Network build: 192.168.150.0 is the network's own address"),
    "overlap with the host": ({"hostnet_networks": [{**BUILD, "address": "10.88.7.1/24"}]},
                              "Network build: 10.88.7.0/24 overlaps 10.88.0.0/16, which this host reaches through up0"),
    "overlap of networks": ({"hostnet_networks": [BUILD, {**BUILD, "name": "b2", "address": "192.168.150.129/25"}]},
                            "Network b2: 192.168.150.128/25 overlaps 192.168.150.0/24 of network build"),
    "range outside": ({"hostnet_networks": [{**BUILD, "dhcp": {"start": "192.168.151.2", "end": "192.168.151.9"}}]},
                      "192.168.151.2 and 192.168.151.9 are outside of 192.168.150.0/24"),
    "range reversed": ({"hostnet_networks": [{**BUILD, "dhcp": {"start": "192.168.150.9", "end": "192.168.150.2"}}]},
                       "Network build: DHCP range 192.168.150.9 to 192.168.150.2 is reversed"),
    "duplicate host": ({"hostnet_networks": [{**BUILD, "dhcp": {"hosts": HOSTS}}]},
                       "Network build: 2 DHCP hosts have the same mac 52:54:00:00:00:01"),
    "bridge name too long": ({"hostnet_networks": [{**BUILD, "bridge": "much-too-long-name"}]},
                             '"much-too-long-name" is too long for an interface name; the kernel takes 15 bytes'),
    "bad character": ({"hostnet_networks": [{**BUILD, "name": "a/b"}]}, 'Network a/b: "a/b" is no network name'),
    "listed twice": ({"hostnet_networks": [BUILD, BUILD]}, "Network build is listed twice; keep one of them"),
    "misspelt option": ({"hostnet_networks": [{**BUILD, "adress": "10.0.0.1/8"}]},
                        'Network build: there is no option "adress"; did you mean address?'),
    "misspelt state": ({"hostnet_networks": [{**BUILD, "state": "activ"}]},
                       'Network build: there is no state "activ"; did you mean active?'),
}  # fmt: skip


@pytest.fixture(scope="module")
def mistakes(lab):
    """One run in which each inventory host, an alias of one lab host, has one mistake; and one has none."""
    lab.sh(
        "kvm1", "ip link add br9 type bridge; ip link add port0 type veth peer name port1; ip link set port0 master br9"
    )
    before = lab.state("kvm1")
    # one host has one transaction at a time, and here it is many hosts
    alias = {"ansible_host": "10.88.1.1", "hostnet_verify": False, "hostnet_confirm": "off"}
    hosts = {
        name.replace(" ", "-").replace("'", ""): {**alias, **variables} for name, (variables, _) in MISTAKES.items()
    }
    run = lab.play("site", {**hosts, "kvm2": {"hostnet_networks": [BUILD], "hostnet_verify": False}})
    yield run, before, lab.state("kvm1")
    lab.sh("kvm1", "ip link del port0; ip link del br9")
    lab.play("remove", {"kvm2": {"hostnet_networks": [BUILD]}})


@pytest.mark.parametrize("name", MISTAKES)
def test_one_sentence(name, mistakes):
    run = mistakes[0]
    message = run.failure(name.replace(" ", "-").replace("'", ""))
    assert message and MISTAKES[name][1] in message
    assert "Traceback" not in message and "\n" not in message


def test_nothing_was_changed(mistakes):
    _run, before, after = mistakes
    assert before == after


def test_a_host_without_mistake_is_set_up(mistakes):
    assert mistakes[0].changed("kvm2") and mistakes[0].code != 0


def test_a_missing_library_is_named_with_its_package(fleet):
    extension = fleet.sh("kvm1", "ls /usr/lib/python3/dist-packages/libvirtmod.*.so").strip()
    fleet.sh("kvm1", f"mount --bind /dev/null {extension}")
    try:
        message = fleet.play("site", {"kvm1": {"hostnet_networks": [BUILD]}}).failure("kvm1")
    finally:
        fleet.sh("kvm1", f"umount {extension}")
    assert message.startswith("The Python library libvirt is not installed for /usr/bin/python3")
    assert message.endswith("install the package python3-libvirt (apt install python3-libvirt).")


def test_a_daemon_that_does_not_run(fleet):
    fleet.sh("kvm4", "kill $(cat /run/libvirtd.pid); while [ -e /run/libvirtd.pid ]; do sleep 0.1; done")
    message = fleet.play("site", {"kvm4": {"hostnet_networks": [BUILD]}}).failure("kvm4")
    assert message.startswith(
        "libvirt does not answer at qemu:///system: start it on this host (systemctl start libvirtd"
    )


@pytest.fixture
def guest(fleet):
    """Starts a guest, paused, on network build of kvm3."""

    def start():
        fleet.sh("kvm3", f'/usr/bin/python3 -c "{GUEST}"')

    yield start
    fleet.sh("kvm3", "/usr/bin/python3 -c \"import libvirt; libvirt.open().lookupByName('vm1').destroy()\"")


def test_guests_are_not_cut_off(fleet, guest):
    """What waits is told, and done when it is allowed."""
    host = {"hostnet_networks": [BUILD], "hostnet_verify": False}
    fleet.play("site", {"kvm3": host})
    guest()
    edited = {**host, "hostnet_networks": [{**BUILD, "domain": "build.example"}]}
    bridge = fleet.sh("kvm3", "ls /sys/class/net/virbr0/brif")
    for _again in range(2):
        run = fleet.play("site", {"kvm3": edited})
        assert run.code == 0 and "Network build: domain will change when the network restarts" in " ".join(
            run.output.split()
        )
        assert "vm1 is attached" in run.output
        assert fleet.sh("kvm3", "ls /sys/class/net/virbr0/brif") == bridge
    assert not run.changed("kvm3")
    refused = fleet.play("remove", {"kvm3": edited})
    assert "Network build: stopping it would cut off vm1" in refused.failure("kvm3")
    allowed = fleet.play("site", {"kvm3": {**edited, "hostnet_allow_restart": True}})
    assert allowed.code == 0 and allowed.of("kvm3", "each in its mode")[0]["steps"] == [
        "stop build",
        "start build",
    ]


GUEST = """
import libvirt
libvirt.open('qemu:///system').createXML('''<domain type='qemu'><name>vm1</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices><memballoon model='none'/>
<interface type='network'><source network='build'/><model type='virtio'/></interface></devices></domain>''', 1)
"""
