# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual functions of a real driver come back when their host boots, and go without a trace.

Runs on the controller; the lab is in $LAB_DIR, and up.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly
ROOT = Path(__file__).parents[2]
LAB = str(ROOT / "tests/lab/lab.py")
HOST, PF, MAC = "kvmsriov", "enp1s0", "52:54:00:88:02:99"
PYTHON = ("/usr/bin/python3", "-B", "-c")
CALL = """
import sys
sys.path[:0] = [{root!r}]
import tests.conftest
from tests.sriov_reboot.on_the_host import both
both({item!r}, check={check!r})
"""
WISH = {
    "name": PF,
    "vf_count": 3,
    "up": True,
    "unmanaged": True,
    "vfs": [
        {
            "index": 0,
            "mac": MAC,
            "vlan": {"id": 100, "qos": 3},
            "spoofchk": False,
            "trust": True,
            "max_tx_rate": 100,
        },
        {"index": 1, "driver": "vfio-pci"},
    ],
}
GONE = {"name": PF, "state": "absent"}
NOTHING = {"kept": [], "now": [], "boot_drift": []}
# each line is a fact; a MAC address that a driver makes up is another one each time
STATE = f"""
cd /sys/class/net/{PF}/device
echo count $(cat sriov_numvfs), autoprobe $(cat sriov_drivers_autoprobe)
ip link show {PF} | grep -o '[<,]UP[,>]'
ip link show {PF} | grep ' vf ' | sed '/{MAC}/! s/link.ether [^ ]*//'
for path in virtfn*; do
    echo $path $(basename -a $(readlink $path) $(readlink $path/driver)) $(cat $path/driver_override) $(ls $path/net)
done
cat $(find /run/udev/rules.d /run/systemd/network -name '*kvm.hostnet*' | sort) /dev/null
"""
# but for the note of what the NIC was, which the next boot takes away
TRACES = "find /run /etc /var/lib -name '*kvm*hostnet*' -not -path /run/kvm.hostnet; cat /run/units.log || true"
UNITS = "ls /etc/systemd/system/*.wants/ | grep kvm-hostnet"


def sh(command):
    """The output of a shell's command on the host."""
    words = [LAB, "exec", HOST, "sh", "-c", f"{{ {command}\n}} 2>/dev/null"]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60).stdout


def both(item, *, check=False):
    code = CALL.format(root=str(ROOT), item=item, check=check)
    done = subprocess.run([LAB, "exec", HOST, *PYTHON, code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def reboot():
    subprocess.run([LAB, "reboot", HOST], check=True, capture_output=True, timeout=300)


def settles_to(wanted, seconds=60):
    deadline = time.monotonic() + seconds
    while (state := sh(STATE)) != wanted and time.monotonic() < deadline:
        time.sleep(1)
    return state


@pytest.fixture(autouse=True)
def _environment():
    os.environ.setdefault("LAB_DIR", str(ROOT / ".lab"))
    yield
    if sh(UNITS):
        both(GONE)


def test_functions_come_back_and_go_without_a_trace():
    sh(f"ip link set {PF} down")  # as it boots
    original = sh(STATE)
    done = both(WISH)
    assert "keep /etc/kvm.hostnet/state.json" in done["kept"] and f"recreate virtual functions of {PF}" in done["now"]
    before = sh(STATE)
    assert "count 3" in before and "virtfn1" in before and "vfio-pci" in before and f"{MAC}" in before
    reboot()
    assert settles_to(before) == before, sh("cat /run/units.log")
    assert both(WISH, check=True) == NOTHING
    assert sh("cat /run/units.log") == ""
    both(GONE)
    assert settles_to(original, 5) == original and sh(TRACES) == ""
    reboot()
    assert sh(STATE) == original and sh(TRACES) == ""
