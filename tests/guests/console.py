# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that runs on a lab host, with a shell in it that needs no network: its second serial port."""

from __future__ import annotations

import re
import shlex
import socket
import time

from ..fleet.conftest import LAB, ROOT

IMAGE = ROOT / ".cache/guest"
BOOT_SECONDS = 180
PLUG_SECONDS = 20
HOST = "kvm1"
# busybox is the guest's and the host's; the first try finds the way, and a guest without KVM may be slow to answer
PING = "for try in 1 2 3; do busybox ping -q -c 1 -W 1 {0} && break; done"
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>96</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>{image}/vmlinuz</kernel><initrd>{image}/initrd.gz</initrd>
<cmdline>console=ttyS0 quiet tsc=unstable mitigations=off random.trust_cpu=on net.ifnames=0</cmdline></os>
<features><acpi/></features><cpu mode='custom' match='exact'><model fallback='allow'>Nehalem</model></cpu>
<devices><serial type='file'><source path='/run/{name}.log'/></serial>
<serial type='unix'><source mode='bind' path='/run/{name}.sock'/></serial>
<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>"""


def libvirt(fleet, *lines):
    """Lines of Python, run on the host with its libvirt."""
    script = "\n".join(("import libvirt", "daemon = libvirt.open('qemu:///system')", *lines))
    fleet.sh(HOST, f"/usr/bin/python3 -c {shlex.quote(script)}")


class Guest:
    """A persistent domain that was started without a NIC."""

    def __init__(self, fleet, name):
        self.name = name
        self._fleet = fleet
        self._nic = None
        self._heard = b""
        self._asked = 0
        document = DOMAIN.format(name=name, image=IMAGE)
        libvirt(fleet, f"daemon.defineXML({document!r}).create()")
        # /run is the host's own; this is where it is seen from here
        self._run = f"/proc/{(LAB / 'hosts' / HOST / 'pid').read_text().strip()}/root/run"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"{self._run}/{name}.sock")

    def wait_until_booted(self):
        self._until(rb"READY", BOOT_SECONDS)

    def remove(self):
        self._socket.close()
        libvirt(self._fleet, f"guest = daemon.lookupByName({self.name!r})", "guest.destroy()", "guest.undefine()")

    def sh(self, command, timeout=20.0):
        """Run a command in the guest: its exit code, and what it said."""
        self._asked += 1  # what comes late of an earlier command is not taken for this one's
        self._socket.sendall(f"({command}) 2>&1; echo =$?={self._asked}=\n".encode())
        told = self._until(rb"(?s)(.*)=(\d+)=%d=\n" % self._asked, timeout)
        return int(told[2]), told[1].decode().strip()

    def configure(self, mac, address, gateway=None):
        """Give the NIC with this MAC address an IP address, as soon as the guest has the NIC."""
        self._nic = self._nic_with(mac)
        self._do(
            f"ip addr flush dev {self._nic}",
            f"ip addr add {address} dev {self._nic}",
            f"ip link set {self._nic} up",
            *([f"ip route replace default via {gateway}"] if gateway else []),
        )

    def _nic_with(self, mac):
        deadline = time.monotonic() + PLUG_SECONDS
        while time.monotonic() < deadline:
            code, path = self.sh(f"grep -l {mac} /sys/class/net/*/address")
            if code == 0:
                return path.split("/")[-2]
        raise AssertionError(f"guest {self.name} got no NIC {mac}: {self.sh('ip link')[1]}")

    def pings(self, address):
        return self.sh(PING.format(address))[0] == 0

    def reaches(self, address):
        """Wait for an answer: a bridge that runs STP lets a new port speak only after a while."""
        deadline = time.monotonic() + PLUG_SECONDS
        while not self.pings(address):
            assert time.monotonic() < deadline, f"guest {self.name} does not reach {address}"

    def knows(self, address, mac):
        """Let the guest send to this address without asking all for it."""
        self._do(f"arp -s {address} {mac}")

    def forget(self):
        self._do(f"ip neigh flush dev {self._nic}")

    def _do(self, *commands):
        code, said = self.sh(" && ".join(commands))
        assert code == 0, f"guest {self.name}: {said}"

    def _until(self, pattern, timeout):
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self._heard)):
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                heard = self._socket.recv(4096)
            except TimeoutError:
                heard = b""
            assert heard, f"guest {self.name} said {self._heard!r} in {timeout:.0f} s, and before:\n{self._log()}"
            self._heard += heard
        self._heard = self._heard[found.end() :]
        return found

    def _log(self):
        with open(f"{self._run}/{self.name}.log", errors="replace") as log:
            return log.read()[-2000:]
