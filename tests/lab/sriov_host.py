# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab host that is a virtual machine with two SR-IOV NICs (see sriov.sh), whose NICs are ports of the lab's switch."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from progress import Progress
from systemd_host import PROJECT, ROOT, run, until

SRIOV = "kvmsriov"
SRIOV_PORTS = {"": "52:54:00:88:02:01", "-pf0": "52:54:00:88:02:10", "-pf1": "52:54:00:88:02:11"}  # MAC addresses
MADE = PROJECT / ".cache/sriov"
BOOT_SECONDS = 600
STOP_SECONDS = 30
KERNEL = "console=ttyS0 quiet intel_iommu=on iommu=pt tsc=unstable mitigations=off"


def qemu() -> list[str]:
    """The command line of the QEMU of the Debian 13, by its own loader and with its own libraries."""
    libraries = ROOT / "usr/lib/x86_64-linux-gnu"
    loader = [str(ROOT / "lib64/ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    firmware = ["-L", str(ROOT / "usr/share/qemu"), "-L", str(ROOT / "usr/share/seabios")]
    modules = f"QEMU_MODULE_DIR={libraries / 'qemu'}"
    return ["env", modules, *loader, str(ROOT / "usr/bin/qemu-system-x86_64"), *firmware]


class SriovHost:
    """The machine, whose ports are taps in the switch's namespace that stay there while it is off."""

    def __init__(self, lab: Path, switch: str, address: str) -> None:
        self.lab, self.switch, self.address = lab, switch, address
        self.home = lab / "sriov"

    def install(self) -> None:
        self.home.mkdir(parents=True)
        # a copy and not an overlay with a format, whose own tables would be torn when the power is cut
        run("cp", "--sparse=always", str(MADE / "disk"), str(self.home / "disk"))

    def boot(self) -> None:
        (self.home / "ready").unlink(missing_ok=True)
        command = ["ip", "netns", "exec", self.switch, *qemu()]
        command += ["-nodefaults", "-display", "none", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512"]
        command += ["-cpu", "Westmere", "-smp", "1", "-m", "2048", "-device", "intel-iommu,intremap=on"]
        command += ["-kernel", str(MADE / "vmlinuz"), "-initrd", str(MADE / "initrd.gz")]
        settings = f"sriov_lab={self.lab} sriov_project={PROJECT} sriov_address={self.address}"
        command += ["-append", f"{KERNEL} {settings}", "-device", "virtio-rng-pci"]
        command += ["-drive", f"if=virtio,file={self.home / 'disk'},format=raw,cache=unsafe"]
        command += ["-chardev", f"file,id=log,path={self.home / 'log'},append=on", "-serial", "chardev:log"]
        for tag, path in (("lab", self.lab), ("project", PROJECT)):
            command += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap"]
        for number, (suffix, mac) in enumerate(SRIOV_PORTS.items()):
            command += ["-netdev", f"tap,id=port{number},ifname={SRIOV}{suffix},script=no,downscript=no"]
            if number:
                command += ["-device", f"pcie-root-port,id=slot{number},chassis={number},addr={0x10 + number:x}"]
            device = f"igb,bus=slot{number}" if number else "virtio-net-pci"
            command += ["-device", f"{device},netdev=port{number},mac={mac},romfile="]
        with open(self.home / "qemu.log", "a") as log:
            qemu_process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (self.home / "pid").write_text(str(qemu_process.pid))

    def wait(self) -> None:
        with Progress(f"{SRIOV} boots, in a virtual machine without KVM"):
            booted = until((self.home / "ready").exists, BOOT_SECONDS)
        if not booted:
            raise SystemExit(f"lab: {SRIOV} did not start:\n{(self.home / 'log').read_text()}")

    def power_off(self) -> None:
        """End the machine after what it is told to write has been written."""
        self._end(signal.SIGTERM)

    def cut(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        pid = (self.home / "pid").read_text()
        if self._runs(pid):
            os.kill(int(pid), number)
        if not until(lambda: not self._runs(pid), STOP_SECONDS):
            raise SystemExit(f"lab: {SRIOV} did not end:\n{(self.home / 'qemu.log').read_text()}")

    def _runs(self, pid: str) -> bool:
        """Whether the process is this machine: the number may be another's, if a reboot was interrupted before."""
        try:
            return str(self.home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
