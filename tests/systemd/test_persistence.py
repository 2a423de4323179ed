# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made of a host comes back when it boots, and goes without a trace."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from tests.systemd.conftest import LAB, LAB_PY

KEPT = {
    "bridges": [
        {
            "name": "br-up0",
            "uplink": "up0",
            "group_fwd_mask": 16384,
            "ports": [{"name": "up0", "hairpin": True, "neigh_suppress": True}],
        },
        {"name": "br2", "uplink": "up2", "ageing_time": 60.0, "mcast_snooping": False},
    ],
    "macvtap_links": [
        {
            "name": "h-up1",
            "kind": "macvlan",
            "lower": "up1",
            "mode": "bridge",
            "mac": "52:54:00:88:03:99",
            "addresses": ["192.0.2.9/32"],
            "routes": ["192.0.2.64/26"],
        },
        {"name": "tap7", "lower": "up1", "mode": "vepa", "mac": "52:54:00:88:03:98"},
    ],
}
GONE = {kind: [{"name": item["name"], "state": "absent"} for item in items] for kind, items in KEPT.items()}
BRIDGE = [{"name": "br-up0", "uplink": "up0"}]
NO_BRIDGE = [{"name": "br-up0", "state": "absent"}]


def test_all_of_it_comes_back_and_goes_without_a_trace(host, silence):
    installed = host.state()
    host.sh("ip link set up1 up; ip link set up2 up")  # as the modules leave them
    original = host.state()
    asked = silence("under a bridge, by its network manager")
    done = host.converge(**KEPT)
    assert "adopt br-up0" in done["steps"] and "adopt br2" not in done["steps"]
    before = host.state()
    asked.end()
    host.reboot()
    assert host.state() == before
    assert not host.module("persistence", **KEPT)["changed"]
    assert host.sh("systemctl is-failed kvm-hostnet.service", check=False) == "inactive\n"
    asked = silence("out of the bridge")
    host.converge(**GONE)
    asked.end()
    host.sh("ip link set up2 down; ip link set up2 up")  # the kernel makes up a link-local address only then
    assert host.state() == original and host.traces() == ""
    host.reboot()
    assert host.state() == installed and host.traces() == ""


def test_a_state_that_cannot_be_read_leaves_the_host_as_it_was_installed(host):
    original = host.state()
    host.converge(bridges=BRIDGE)
    host.sh("echo '{' > /etc/kvm.hostnet/state.json")
    host.reboot()
    assert host.state() == original
    failed = host.module("persistence", bridges=BRIDGE, fails=True)
    assert failed["msg"].startswith("/etc/kvm.hostnet/state.json cannot be used: ")


def test_a_power_cut_loses_nothing(host):
    host.converge(bridges=BRIDGE)
    before = host.state()
    host.cut()
    assert host.state() == before


def test_a_profile_that_the_user_edits_counts_at_boot(host):
    host.converge(bridges=BRIDGE)
    new = "address2=10.88.7.7/32" if host.is_nm else "Address=10.88.7.7/32"
    host.sh(rf"sed -i 's,^\(address1\|Address\)=.*,&\n{new},' {host.profile}")
    assert host.module("persistence", bridges=BRIDGE, check=True)["changed"]
    host.reboot()
    try:
        assert "10.88.7.7/32" in host.sh("ip -br addr show br-up0")
    finally:
        host.sh(f"sed -i '/10.88.7.7/d' {host.profile}")


def test_the_move_may_come_first(host, silence):
    if host.is_nm:
        pytest.skip("NetworkManager gives an uplink back at once what another one moves")
    original = host.state()
    asked = silence("moved first, then adopted")
    host.module("bridges", bridges=BRIDGE)
    host.converge(bridges=BRIDGE)
    before = host.state()
    asked.end()
    host.reboot()
    assert host.state() == before
    host.converge(bridges=NO_BRIDGE)
    assert host.state() == original


@pytest.fixture
def leases(host, tmp_path):
    """A DHCP server on the LAN, and a host that asks it, besides the address that it has; yields the server's leases."""
    file = tmp_path / "leases"
    command = [LAB_PY, "exec", "lan", "dnsmasq", "--keep-in-foreground", "--port=0", "--interface=eth0", "--user=root"]
    command += [
        "--dhcp-range=10.88.200.1,10.88.200.99,255.255.0.0,1h",
        f"--dhcp-leasefile={file}",
        "--conf-file=/dev/null",
    ]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = host.sh(f"cat {host.profile}")
    host.sh(f"sed -i 's/^method=manual/method=auto/; s/^Name=up0/&\\n[Network]\\nDHCP=ipv4/' {host.profile}")
    host.reboot()
    yield file
    (LAB / "profile").write_text(before)
    host.sh(f"cat {LAB}/profile > {host.profile}")
    (LAB / "profile").unlink()
    server.terminate()
    server.wait()


def test_a_lease_stays(host, leases):
    def leased(link):
        deadline = time.monotonic() + 20
        while not (found := re.findall(r"10\.88\.200\.\d+", host.sh(f"ip -br addr show {link}"))):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return found

    address = leased("up0")
    host.converge(bridges=BRIDGE)
    assert leased("br-up0") == address
    host.reboot()
    assert leased("br-up0") == address
    host.converge(bridges=NO_BRIDGE)
    assert leased("up0") == address
    assert len(leases.read_text().splitlines()) == 1
