# SPDX-License-Identifier: GPL-3.0-or-later
"""Lab hosts that systemd boots, as PID 1, from a Debian 13 (see debian13.sh) in a network namespace.

What such a host writes is in a tmpfs that stays mounted until the lab goes: the host may be booted again from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
import typing as t
from pathlib import Path

from progress import Progress

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
ROOT = PROJECT / ".cache/debian13"
BOOT_SECONDS = 120
POWEROFF_SECONDS = 180  # guests may want time to shut down

NETWORKD = {
    "etc/systemd/network/10-up0.network": """\
[Match]
Name=up0

[Network]
Address={address}
Gateway={gateway}
""",
}
NETWORK_MANAGER = {
    "etc/NetworkManager/conf.d/lab.conf": """\
[main]
no-auto-default=*

[device-nics]
match-device=interface-name:up*
managed=1
""",
    "etc/NetworkManager/system-connections/up0.nmconnection": """\
[connection]
id=up0
uuid=0a580302-0000-4000-8000-000000000000
type=ethernet
interface-name=up0

[ipv4]
method=manual
address1={address}
gateway={gateway}

[ipv6]
method=link-local
""",
}
FILES = {
    "etc/hostname": "{name}\n",
    "etc/machine-id": "{machine_id}\n",
    "etc/ssh/sshd_config.d/lab.conf": """\
HostKey {lab}/host_key
AuthorizedKeysFile {lab}/id_ed25519.pub
StrictModes no
UsePAM no
PermitRootLogin yes
""",
    "etc/libvirt/qemu.conf": """\
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
remember_owner = 0
""",
    "etc/libvirt/libvirtd.conf": 'auth_unix_rw = "none"\nlog_outputs = "3:file:/run/libvirtd.log"\n',
    # /sys itself stays read-only, or udev would start, and trigger the devices of the whole machine
    "etc/systemd/system/lab-devices.service": """\
[Unit]
Description=Let /sys/class/net be written, and keep the nodes of macvtap links in /dev
DefaultDependencies=no
Before=sysinit.target systemd-networkd.service NetworkManager.service

[Service]
ExecStartPre=mount -o remount,rw /sys/devices
ExecStart=/usr/bin/python3 {project}/tests/lab/tapwatch.py

[Install]
WantedBy=sysinit.target
""",
}
# libvirt's QEMU driver will not start without its user, which comes with the service package
ACCOUNT = {
    "etc/passwd": "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n",
    "etc/group": "libvirt-qemu:x:64055:\n",
}
# what would wait at a console that is not there, or show what belongs to the whole machine
MASKED = ("console-getty.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount")
# what runs on none of the lab's hosts until a test starts it
IDLE = ("lldpad.service", "lldpad.socket", "lldpd.service", "openvswitch-switch.service")


class Kind(t.NamedTuple):
    """What configures a host's network: its files, its unit, and the unit that may not."""

    files: dict[str, str]
    unit: str
    other: str


KINDS = {
    "kvmnetworkd": Kind(NETWORKD, "systemd-networkd.service", "NetworkManager.service"),
    "kvmnm": Kind(NETWORK_MANAGER, "NetworkManager.service", "systemd-networkd.service"),
}


def until(condition: t.Callable[[], t.Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, check=False, input=text, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"lab: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class SystemdHost:
    """A host; its files in `home` are seen by the lab's user, those below `state` are its disk."""

    def __init__(self, name: str, namespace: str, home: Path, state: Path) -> None:
        self.name, self.namespace, self.home, self.state = name, namespace, home, state
        self.kind = KINDS[name]
        self.root = state / "root"
        top = Path("/sys/fs/cgroup")
        self.cgroup = (top / "unified" if (top / "unified").is_dir() else top) / namespace
        self.cgroups = (self.cgroup, top / "systemd" / namespace)  # the other is a copy, where there is version 1 too

    def install(self, address: str, gateway: str) -> None:
        """Mount the host's disk, and write there what makes a host of the distribution."""
        if not (ROOT / "packages").exists():
            raise SystemExit(f"lab: {self.name} needs a Debian 13: run tests/lab/debian13.sh {ROOT}")
        self.state.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", "mode=755", "lab", str(self.state))
        for path in ("upper", "work", "root"):
            (self.state / path).mkdir()
        layers = f"lowerdir={ROOT},upperdir={self.state}/upper,workdir={self.state}/work"
        run("mount", "-t", "overlay", "lab", "-o", layers, str(self.root))
        known = {"name": self.name, "lab": self.home.parents[1], "project": PROJECT}
        known["machine_id"] = hashlib.md5(self.namespace.encode(), usedforsecurity=False).hexdigest()
        for path, text in {**FILES, **self.kind.files}.items():
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.format(**known, address=address, gateway=gateway))
            file.chmod(0o600 if file.suffix == ".nmconnection" else 0o644)
        for database, line in ACCOUNT.items():
            with open(self.root / database, "a") as accounts:
                accounts.write(line)
        systemctl = ("chroot", str(self.root), "systemctl", "--quiet")
        run(*systemctl, "disable", *IDLE)
        run(*systemctl, "mask", self.kind.other, *MASKED)
        run(*systemctl, "enable", self.kind.unit, "lab-devices.service", "ssh.service", "libvirtd.service")

    def boot(self) -> None:
        """Start PID 1 in the host's namespace, which has to be there, and in a cgroup that only this host has."""
        (self.home / "pid").unlink(missing_ok=True)
        self.cgroup.mkdir(exist_ok=True)
        command = ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(self.cgroup), "systemd-nspawn", "--quiet"]
        command += ["--boot", "--directory", str(self.root), "--machine", self.namespace, "--hostname", self.name]
        command += ["--register=no", "--keep-unit", f"--network-namespace-path=/run/netns/{self.namespace}"]
        command += ["--capability=all", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"]
        command += [f"--bind={path}" for path in (PROJECT, self.home.parents[1])]
        settings = {"UNIFIED_HIERARCHY": "1", "API_VFS_WRITABLE": "network"}
        environment = {f"SYSTEMD_NSPAWN_{name}": value for name, value in settings.items()}
        with open(self.home / "log", "a") as log:
            subprocess.Popen(
                command,
                env={**os.environ, **environment, "SYSTEMD_SECCOMP": "0"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, answers: t.Callable[[], bool]) -> None:
        """Wait until the host has booted, listens for libvirt's clients, and answers on the LAN."""
        steps = {
            "PID 1": self._note_leader,
            "systemd": lambda: self._systemctl("is-system-running", "--wait") in ("running", "degraded"),
            "libvirtd": lambda: self._systemctl("is-active", "libvirtd.socket") == "active",
            "sshd": answers,
        }
        deadline = time.monotonic() + BOOT_SECONDS
        for what, step in steps.items():
            with Progress(f"{self.name} boots, and waits for {what}"):
                started = until(step, deadline - time.monotonic())
            if not started:
                raise SystemExit(f"lab: {self.name}: {what} did not start:\n{(self.home / 'log').read_text()[-4000:]}")

    def power_off(self) -> None:
        if self._note_leader():
            self._systemctl("poweroff", "--no-wall")
        deadline = time.monotonic() + POWEROFF_SECONDS
        while not until(lambda: not self._processes(), 3):
            # a libvirtd that is stopped soon after its start waits for 30 s now and then, and has systemd wait
            if self._systemctl("is-active", "libvirtd.service") == "deactivating":
                self._systemctl("kill", "--kill-whom=main", "--signal=KILL", "libvirtd.service")
            if time.monotonic() > deadline:
                raise SystemExit(f"lab: {self.name} did not shut down:\n{(self.home / 'log').read_text()[-4000:]}")
        self.cut()

    def cut(self) -> None:
        """End all processes of the host at once, which those of a PID namespace do with their PID 1."""
        leader = self._leader()
        if leader:
            _kill(leader)
            until(lambda: not self._processes(), 10)  # else what has started it leaves files in /run
        while processes := self._processes():
            for pid in processes:
                _kill(pid)
            time.sleep(0.02)
        for file in sorted(self._rosters(), key=lambda path: -len(path.parts)):
            file.parent.rmdir()
        (self.home / "pid").unlink(missing_ok=True)

    def remove(self) -> None:
        self.cut()
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            mounted = Path(line.split()[1])
            if mounted.is_relative_to(self.state):
                run("umount", str(mounted))

    def _note_leader(self) -> bool:
        """Keep the number of PID 1 in a file, for those who want to enter the host."""
        leader = self._leader()
        if leader:
            (self.home / "pid").write_text(str(leader))
        return bool(leader)

    def _processes(self) -> list[int]:
        return [int(pid) for file in self._rosters() for pid in _read(file).split()]

    def _rosters(self) -> list[Path]:
        # not rglob(), which fails where a directory goes meanwhile
        return [Path(path, "cgroup.procs") for cgroup in self.cgroups for path, _dirs, _files in os.walk(cgroup)]

    def _leader(self) -> int | None:
        """PID 1 of the host, as seen from here."""
        own = len(_namespaced("self"))
        found = [pid for pid in self._processes() if len(ids := _namespaced(str(pid))) == own + 1 and ids[-1] == "1"]
        return found[0] if found else None

    def _systemctl(self, *arguments: str) -> str:
        command = ["nsenter", "-t", (self.home / "pid").read_text(), "-a", "-r", "systemctl", *arguments]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout.strip()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # it went away meanwhile
        return ""


def _namespaced(pid: str) -> list[str]:
    """The ids of a process in its PID namespaces, from the outermost."""
    lines = [line for line in _read(Path("/proc") / pid / "status").splitlines() if line.startswith("NSpid:")]
    return lines[0].split()[1:] if lines else []
