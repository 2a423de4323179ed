#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lab hosts: KVM hosts made of namespaces, each with its own libvirtd and sshd, on one adjacent switch.

    lab.py up [N] [--sriov] [--systemd]  start kvm1..kvmN and what else is asked for; write inventory.yml into the lab
    lab.py down                          remove every trace
    lab.py hairpin HOST on|off           let the switch reflect frames at the host's port, or not
    lab.py cable HOST OTHER              join two hosts by NICs of their own, to-OTHER and to-HOST
    lab.py exec HOST CMD...              run a command on a lab host (or on "switch" or "lan")
    lab.py reboot HOST                   shut down a host, not one of kvm1..kvmN, and boot it with what is on its disk
    lab.py cut HOST                      the same, but end all of its processes at once, as when its power fails
    lab.py status                        what is running

The lab directory is $LAB_DIR, or .lab in the current directory.  Labs of different directories do not meet.
With $LAB_ROOT, a directory that holds a distribution (see debian13.sh), the hosts are of that distribution.
kvmsriov is a virtual machine with two SR-IOV NICs (see sriov.sh), without KVM, and so about twenty times slower.
It has no systemd, but runs at its boot what units kvm-hostnet*.service that are enabled would, before libvirtd.
systemd boots kvmnetworkd and kvmnm (see systemd_host.py), the one's network by systemd-networkd, the other's by
NetworkManager.  Their namespaces, and so all that is not in files, are others after a reboot; their MACs are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from sriov_host import SRIOV, SRIOV_PORTS, SriovHost
from systemd_host import KINDS, SystemdHost, run

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
UPLINK = "up0"
SPARES = ("up1", "up2")  # NICs on the same switch that the host has no address on
LAN = ipaddress.IPv4Interface("10.88.0.254/16")  # the peer on the LAN
FIRST_HOST = ipaddress.IPv4Address("10.88.1.0")  # kvm1 is 10.88.1.1
START_SECONDS = 60
ADDRESSES = {
    SRIOV: ipaddress.IPv4Address("10.88.2.1"),
    "kvmnetworkd": ipaddress.IPv4Address("10.88.3.1"),
    "kvmnm": ipaddress.IPv4Address("10.88.3.2"),
}

INVENTORY = """\
# Written by the lab; an ordinary inventory.  Each host is reached by ssh through its uplink {uplink}.
all:
  vars:
    ansible_user: root
    ansible_python_interpreter: /usr/bin/python3
    ansible_ssh_private_key_file: {dir}/id_ed25519
    ansible_control_path_dir: {sockets}
    ansible_ssh_common_args: >-
      -F /dev/null -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR
      -o ProxyCommand="nsenter --net=/run/netns/{lan} nc %h %p"
    lab_lan_peer: {peer}
    hostnet_lan_peer: "{{{{ lab_lan_peer }}}}"
  children:
    kvm_hosts:
      hosts:
{hosts}
"""


def address(name: str) -> ipaddress.IPv4Address:
    return ADDRESSES.get(name) or FIRST_HOST + int(name.removeprefix("kvm"))


def cables(name: str) -> dict[str, str]:
    """The ports of the switch to a host's NICs, in the NICs' order."""
    return {UPLINK: name, **{spare: f"{name}-{spare}" for spare in SPARES}}


class Lab:
    """One lab: the names of its namespaces follow from its directory."""

    def __init__(self, directory: Path) -> None:
        self.dir = directory.resolve()
        self.id = "hn" + hashlib.sha256(str(self.dir).encode()).hexdigest()[:6]
        self.sockets = Path("/run/hostnet-lab") / self.id  # unix socket paths have to be short

    def namespace(self, name: str) -> str:
        return f"{self.id}-{name}"

    def namespaces(self) -> list[str]:
        listed = run("ip", "netns", "list").splitlines()
        return [line.split()[0] for line in listed if line.startswith(self.id + "-")]

    def hosts(self) -> list[str]:
        return sorted((path.name for path in (self.dir / "hosts").glob("*")), key=lambda name: (len(name), name))

    def running(self) -> list[str]:
        return [*self.hosts(), *([SRIOV] if (self.dir / "sriov").exists() else [])]

    def up(self, count: int, *, sriov: bool, systemd: bool) -> None:
        if self.namespaces() or self.sockets.exists():
            self.down()
        self.sockets.mkdir(parents=True, mode=0o700)
        self.dir.mkdir(parents=True, exist_ok=True)
        names = [f"kvm{number}" for number in range(1, count + 1)]
        booted = list(KINDS) if systemd else []
        for name in (*names, *booted):
            (self.dir / "hosts" / name).mkdir(parents=True)
        for key in ("id_ed25519", "host_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hostnet lab", "-f", str(self.dir / key))
        self._wire([*names, *booted])
        if sriov:
            self._connect_sriov()
            self._sriov_host().install()
            self._sriov_host().boot()
        for name in booted:
            self._systemd_host(name).install(f"{address(name)}/{LAN.network.prefixlen}", str(LAN.ip))
            self._systemd_host(name).boot()
        for name in names:
            self._boot(name)
        for name in names:
            self._wait(self.dir / "hosts" / name, START_SECONDS)
        for name in booted:
            self._wait_for_systemd(name)
        if sriov:
            self._sriov_host().wait()
        self._write_inventory([*names, *booted, *([SRIOV] if sriov else [])])

    def _wire(self, names: list[str]) -> None:
        """The switch (a real bridge), the LAN peer and the cables to each host."""
        run("ip", "netns", "add", self.namespace("switch"))
        self._batch("switch")(
            "link add sw0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set sw0 up"
        )
        self._plug("lan", {"eth0": "lan"}, LAN.ip)
        self._batch("lan")("link set lo up", "link set eth0 up", f"addr add {LAN} dev eth0")
        for name in names:
            self._connect(name)

    def _connect(self, name: str) -> None:
        self._plug(name, cables(name), address(name))
        # or the host would answer there for the address that it has on its uplink
        settings = [f"net.ipv4.conf.{spare}.arp_ignore=1" for spare in SPARES]
        run("ip", "netns", "exec", self.namespace(name), "sysctl", "-qw", *settings)
        if name not in KINDS:  # else the host does it
            up = [f"link set {link} up" for link in ("lo", UPLINK, *SPARES)]
            self._batch(name)(*up, f"addr add {address(name)}/{LAN.network.prefixlen} dev {UPLINK}")

    def _plug(self, name: str, ports: dict[str, str], ip: ipaddress.IPv4Address) -> None:
        """A fresh namespace with NICs, whose MAC addresses are the same each time, and their ports of the switch."""
        namespace = self.namespace(name)
        run("ip", "netns", "add", namespace)
        lines = []
        for number, (link, port) in enumerate(ports.items()):
            mac = f"02:0{number}:{ip.packed.hex(':')}"
            lines.append(f"link add {port} type veth peer name {link} address {mac} netns {namespace}")
            lines.append(f"link set {port} master sw0 up")
        self._batch("switch")(*lines)

    def _batch(self, name: str) -> t.Callable[..., None]:
        def batch(*lines: str) -> None:
            run("ip", "-n", self.namespace(name), "-batch", "-", text="\n".join(lines) + "\n")

        return batch

    def _boot(self, name: str) -> None:
        home = self.dir / "hosts" / name
        command = ["ip", "netns", "exec", self.namespace(name)]
        command += ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--propagation", "private"]
        command += [
            "bash",
            str(HERE / "host-init.sh"),
            name,
            str(self.dir),
            *filter(None, [os.environ.get("LAB_ROOT")]),
        ]
        with open(home / "log", "w") as log:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _connect_sriov(self) -> None:
        for port in (SRIOV + suffix for suffix in SRIOV_PORTS):
            self._batch("switch")(
                f"tuntap add {port} mode tap", f"link set {port} master sw0", f"link set {port} up promisc on"
            )

    def _sriov_host(self) -> SriovHost:
        return SriovHost(self.dir, self.namespace("switch"), f"{address(SRIOV)}/{LAN.network.prefixlen}")

    def _systemd_host(self, name: str) -> SystemdHost:
        return SystemdHost(name, self.namespace(name), self.dir / "hosts" / name, self.sockets / name)

    def _wait_for_systemd(self, name: str) -> None:
        keyscan = ["ssh-keyscan", "-T", "2", "-t", "ed25519", str(address(name))]
        probe = ["ip", "netns", "exec", self.namespace("lan"), *keyscan]
        self._systemd_host(name).wait(lambda: bool(subprocess.run(probe, check=False, capture_output=True).stdout))

    def reboot(self, name: str, *, orderly: bool) -> None:
        if name not in self.running() or name not in (*KINDS, SRIOV):
            raise SystemExit(f"lab: {name} cannot be rebooted; these can, where they run: {', '.join((*KINDS, SRIOV))}")
        if name == SRIOV:
            if orderly:
                run(*self._ssh(SRIOV, "sync"))
            self._end_and_boot(self._sriov_host(), orderly=orderly)
            self._sriov_host().wait()
        else:
            self._end_and_boot(self._systemd_host(name), orderly=orderly)
            self._wait_for_systemd(name)

    def _end_and_boot(self, host: SriovHost | SystemdHost, *, orderly: bool) -> None:
        if orderly:
            host.power_off()
        else:
            host.cut()
        if isinstance(host, SystemdHost):
            self._reconnect(host.name)
        host.boot()

    def _reconnect(self, name: str) -> None:
        """Give a host a fresh namespace; the switch's ports to it keep their hairpin setting."""
        listed = json.loads(run("bridge", "-n", self.namespace("switch"), "-j", "-d", "link"))
        ports = {port["ifname"]: port["hairpin"] for port in listed if port["ifname"] in cables(name).values()}
        self._batch("switch")(*(f"link del {port}" for port in ports))  # a namespace takes its time to let go of them
        if self.namespace(name) in self.namespaces():  # else this was interrupted before
            run("ip", "netns", "del", self.namespace(name))
        self._connect(name)
        for port in (port for port, on in ports.items() if on):
            self._set_hairpin(port, "on")

    def cable(self, host: str, other: str) -> None:
        ends = {self.namespace(host): f"to-{other}", self.namespace(other): f"to-{host}"}
        (first, near), (second, far) = ends.items()
        if far in run("ip", "-n", second, "-br", "link"):  # laid before
            return
        run("ip", "link", "add", near, "netns", first, "type", "veth", "peer", "name", far, "netns", second)
        for namespace, link in ends.items():
            run("ip", "-n", namespace, "link", "set", link, "up")

    def _set_hairpin(self, port: str, state: str) -> None:
        run("bridge", "-n", self.namespace("switch"), "link", "set", "dev", port, "hairpin", state)

    def _wait(self, home: Path, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not (home / "ready").exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"lab: {home.name} did not start:\n{(home / 'log').read_text()}")
            time.sleep(0.02)

    def _write_inventory(self, names: list[str]) -> None:
        # only a host that systemd boots can have anything come back after a reboot
        kept = {name: "" if name in KINDS else ", hostnet_persist: false" for name in names}
        lines = [f"        {name}: {{ansible_host: {address(name)}{kept[name]}}}" for name in names]
        text = INVENTORY.format(
            uplink=UPLINK,
            dir=self.dir,
            sockets=self.sockets,
            lan=self.namespace("lan"),
            peer=LAN.ip,
            hosts="\n".join(lines),
        )
        (self.dir / "inventory.yml").write_text(text)

    def down(self) -> None:
        """End what runs in the lab's namespaces, then the namespaces; their links go with them."""
        for name in KINDS:
            self._systemd_host(name).remove()
        for name in self.hosts():
            self._kill(self._init(name))  # PID 1 of the host: its processes end with it
        namespaces = self.namespaces()
        for namespace in namespaces:
            for pid in run("ip", "netns", "pids", namespace).split():  # ssh sessions into the lab
                self._kill(int(pid))
        for namespace in namespaces:
            run("ip", "netns", "del", namespace)
        for path in (self.dir / "hosts", self.dir / "sriov", self.sockets):
            shutil.rmtree(path, ignore_errors=True)
        for pattern in ("id_ed25519*", "host_key*", "inventory.yml"):
            for file in self.dir.glob(pattern):
                file.unlink()
        if self.dir.is_dir() and not any(self.dir.iterdir()):
            self.dir.rmdir()

    def _init(self, name: str) -> int | None:
        pid = self.dir / "hosts" / name / "pid"
        return int(pid.read_text()) if pid.exists() else None

    @staticmethod
    def _kill(pid: int | None) -> None:
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        for _ in range(250):
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                return
            if state == "Z":  # its parent will reap it in its own time
                return
            time.sleep(0.02)

    def hairpin(self, host: str, state: str) -> None:
        if host not in self.running():
            raise SystemExit(f"lab: there is no host {host}; running: {', '.join(self.running()) or 'none'}")
        for suffix in SRIOV_PORTS if host == SRIOV else ("",):
            self._set_hairpin(host + suffix, state)

    def enter(self, name: str, command: list[str]) -> list[str]:
        """The command line that runs a command on a lab host, on the switch or on the LAN peer."""
        if name in ("switch", "lan"):
            return ["ip", "netns", "exec", self.namespace(name), *command]
        if name == SRIOV:
            return self._ssh(name, f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(command)}")
        pid = self._init(name)
        if pid is None:
            raise SystemExit(f"lab: there is no host {name}; running: {', '.join(self.running()) or 'none'}")
        return ["nsenter", "-t", str(pid), "-a", "-r", "--", "env", "-C", os.getcwd(), *command]

    def _ssh(self, name: str, line: str) -> list[str]:
        proxy = f"ProxyCommand=nsenter --net=/run/netns/{self.namespace('lan')} nc %h %p"
        options = ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR", proxy]
        flags = ["-i", str(self.dir / "id_ed25519"), *(word for option in options for word in ("-o", option))]
        return ["ssh", "-F", "/dev/null", *flags, f"root@{address(name)}", line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up")
    up.add_argument("hosts", type=int, nargs="?", default=3)
    up.add_argument("--sriov", action="store_true")
    up.add_argument("--systemd", action="store_true")
    verbs.add_parser("down")
    for verb in ("reboot", "cut"):
        verbs.add_parser(verb).add_argument("host")
    verbs.add_parser("status")
    hairpin = verbs.add_parser("hairpin")
    hairpin.add_argument("host")
    hairpin.add_argument("state", choices=("on", "off"))
    cable = verbs.add_parser("cable")
    cable.add_argument("host")
    cable.add_argument("other")
    execute = verbs.add_parser("exec")
    execute.add_argument("host")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if os.geteuid():
        raise SystemExit("lab: network namespaces need root: run it with sudo")

    lab = Lab(Path(os.environ.get("LAB_DIR", ".lab")))
    if options.verb == "up":
        lab.up(options.hosts, sriov=options.sriov, systemd=options.systemd)
        print(f"{len(lab.running())} hosts are up; inventory: {lab.dir}/inventory.yml")
    elif options.verb in ("reboot", "cut"):
        lab.reboot(options.host, orderly=options.verb == "reboot")
    elif options.verb == "hairpin":
        lab.hairpin(options.host, options.state)
    elif options.verb == "cable":
        lab.cable(options.host, options.other)
    elif options.verb == "exec":
        command = lab.enter(options.host, options.command)
        sys.stdout.flush()
        os.execvp(command[0], command)
    elif options.verb == "status":
        print("\n".join(lab.running()) or "no lab is running here")
    else:
        lab.down()


if __name__ == "__main__":
    main()
