#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lab hosts: KVM hosts made of namespaces, each with its own libvirtd and sshd, on one adjacent switch.

    lab.py up [N] [--sriov]    start kvm1..kvmN, and kvmsriov, and write inventory.yml into the lab directory
    lab.py down                remove every trace
    lab.py hairpin HOST on|off let the switch reflect frames at the host's port, or not
    lab.py exec HOST CMD...    run a command on a lab host (or on "switch" or "lan")
    lab.py status              what is running

The lab directory is $LAB_DIR, or .lab in the current directory.  Labs of different directories do not meet.
With $LAB_ROOT, a directory that holds a distribution (see debian13.sh), the hosts are of that distribution.
kvmsriov is a virtual machine with two SR-IOV NICs (see sriov.sh), without KVM, and so about twenty times slower.
"""

from __future__ import annotations

import argparse
import hashlib
import ipaddress
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
UPLINK = "up0"
SPARES = ("up1", "up2")  # NICs on the same switch that the host has no address on
LAN = ipaddress.ip_interface("10.88.0.254/16")  # the peer on the LAN
FIRST_HOST = ipaddress.ip_address("10.88.1.0")  # kvm1 is 10.88.1.1
START_SECONDS = 60
SRIOV = "kvmsriov"
SRIOV_ADDRESS = ipaddress.ip_address("10.88.2.1")
SRIOV_PORTS = {"": "52:54:00:88:02:01", "-pf0": "52:54:00:88:02:10", "-pf1": "52:54:00:88:02:11"}  # MAC addresses
SRIOV_START_SECONDS = 600

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


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, check=False, input=text, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"lab: {' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _qemu(root: Path) -> list[str]:
    """The command line of the QEMU of another distribution, by its own loader and with its own libraries."""
    libraries = root / "usr/lib/x86_64-linux-gnu"
    loader = [str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    firmware = ["-L", str(root / "usr/share/qemu"), "-L", str(root / "usr/share/seabios")]
    modules = f"QEMU_MODULE_DIR={libraries / 'qemu'}"
    return ["env", modules, *loader, str(root / "usr/bin/qemu-system-x86_64"), *firmware]


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
        return sorted((path.name for path in (self.dir / "hosts").glob("*")), key=lambda name: int(name[3:]))

    def running(self) -> list[str]:
        return [*self.hosts(), *([SRIOV] if (self.dir / "sriov").exists() else [])]

    def up(self, count: int, *, sriov: bool) -> None:
        if self.namespaces() or self.sockets.exists():
            self.down()
        self.sockets.mkdir(parents=True, mode=0o700)
        self.dir.mkdir(parents=True, exist_ok=True)
        names = [f"kvm{number}" for number in range(1, count + 1)]
        for name in names:
            (self.dir / "hosts" / name).mkdir(parents=True)
        for key in ("id_ed25519", "host_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "hostnet lab", "-f", str(self.dir / key))
        self._wire(names)
        if sriov:
            self._boot_sriov()
        for name in names:
            self._boot(name)
        for name in names:
            self._wait(self.dir / "hosts" / name, START_SECONDS)
        if sriov:
            self._wait(self.dir / "sriov", SRIOV_START_SECONDS)
        self._write_inventory(names, sriov=sriov)

    def _wire(self, names: list[str]) -> None:
        """The switch (a real bridge), the LAN peer and a cable to each host."""
        for name in ["switch", "lan", *names]:
            run("ip", "netns", "add", self.namespace(name))
        switch = self._batch("switch")
        switch("link add sw0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set sw0 up")
        for number, name in enumerate(["lan", *names]):
            address = LAN.ip if name == "lan" else FIRST_HOST + number
            link = "eth0" if name == "lan" else UPLINK
            switch(
                f"link add {name} type veth peer name {link} netns {self.namespace(name)}",
                f"link set {name} master sw0 up",
            )
            self._batch(name)(
                "link set lo up", f"link set {link} up", f"addr add {address}/{LAN.network.prefixlen} dev {link}"
            )

        for name in names:
            for spare in SPARES:
                switch(
                    f"link add {name}-{spare} type veth peer name {spare} netns {self.namespace(name)}",
                    f"link set {name}-{spare} master sw0 up",
                )
                self._batch(name)(f"link set {spare} up")
                # or the host would answer there for the address that it has on its uplink
                setting = f"net.ipv4.conf.{spare}.arp_ignore=1"
                run("ip", "netns", "exec", self.namespace(name), "sysctl", "-qw", setting)

    def _batch(self, name: str):
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

    def _boot_sriov(self) -> None:
        """A machine whose NICs are three more ports of the switch."""
        home, made = self.dir / "sriov", PROJECT / ".cache/sriov"
        home.mkdir(parents=True)
        for suffix in SRIOV_PORTS:
            port = SRIOV + suffix
            self._batch("switch")(
                f"tuntap add {port} mode tap", f"link set {port} master sw0", f"link set {port} up promisc on"
            )
        nics = [
            (f"tap,id=port{number},ifname={SRIOV}{suffix},script=no,downscript=no", mac)
            for number, (suffix, mac) in enumerate(SRIOV_PORTS.items())
        ]
        kernel = f"console=ttyS0 quiet intel_iommu=on iommu=pt tsc=unstable mitigations=off sriov_lab={self.dir} sriov_project={PROJECT}"
        command = ["ip", "netns", "exec", self.namespace("switch"), *_qemu(PROJECT / ".cache/debian13")]
        command += ["-nodefaults", "-display", "none", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512"]
        command += ["-cpu", "Westmere", "-smp", "1", "-m", "2048", "-device", "intel-iommu,intremap=on"]
        command += ["-kernel", str(made / "vmlinuz"), "-initrd", str(made / "initrd.gz")]
        command += ["-append", f"{kernel} sriov_address={SRIOV_ADDRESS}/{LAN.network.prefixlen}"]
        command += ["-drive", f"if=virtio,file={made / 'disk'},format=raw,snapshot=on,cache=unsafe"]
        command += [
            "-device",
            "virtio-rng-pci",
            "-chardev",
            f"file,id=log,path={home / 'log'}",
            "-serial",
            "chardev:log",
        ]
        for tag, path in (("lab", self.dir), ("project", PROJECT)):
            command += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap"]
        for number, (netdev, mac) in enumerate(nics):
            command += ["-netdev", netdev]
            if number:
                command += ["-device", f"pcie-root-port,id=slot{number},chassis={number},addr={0x10 + number:x}"]
            device = f"igb,bus=slot{number}" if number else "virtio-net-pci"
            command += ["-device", f"{device},netdev=port{number},mac={mac},romfile="]
        with open(home / "qemu.log", "w") as log:
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _wait(self, home: Path, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not (home / "ready").exists():
            if time.monotonic() > deadline:
                raise SystemExit(f"lab: {home.name} did not start:\n{(home / 'log').read_text()}")
            time.sleep(0.02)

    def _write_inventory(self, names: list[str], *, sriov: bool) -> None:
        addresses = {name: FIRST_HOST + number for number, name in enumerate(names, start=1)}
        addresses.update({SRIOV: SRIOV_ADDRESS} if sriov else {})
        lines = [f"        {name}: {{ansible_host: {address}}}" for name, address in addresses.items()]
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
        namespaces = self.namespaces()
        for name in self.hosts():
            self._kill(self._init(name))  # PID 1 of the host: its processes end with it
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
        switch = ("ip", "netns", "exec", self.namespace("switch"))
        for suffix in SRIOV_PORTS if host == SRIOV else ("",):
            run(*switch, "bridge", "link", "set", "dev", host + suffix, "hairpin", state)

    def enter(self, name: str, command: list[str]) -> list[str]:
        """The command line that runs a command on a lab host, on the switch or on the LAN peer."""
        if name in ("switch", "lan"):
            return ["ip", "netns", "exec", self.namespace(name), *command]
        if name == SRIOV:
            line = f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(command)}"
            proxy = f"ProxyCommand=nsenter --net=/run/netns/{self.namespace('lan')} nc %h %p"
            options = ["UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR", proxy]
            flags = [word for option in options for word in ("-o", option)]
            return ["ssh", "-F", "/dev/null", "-i", str(self.dir / "id_ed25519"), *flags, f"root@{SRIOV_ADDRESS}", line]
        pid = self._init(name)
        if pid is None:
            raise SystemExit(f"lab: there is no host {name}; running: {', '.join(self.running()) or 'none'}")
        return ["nsenter", "-t", str(pid), "-m", "-n", "-p", "-u", "-r", "--", "env", "-C", os.getcwd(), *command]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up")
    up.add_argument("hosts", type=int, nargs="?", default=3)
    up.add_argument("--sriov", action="store_true")
    verbs.add_parser("down")
    verbs.add_parser("status")
    hairpin = verbs.add_parser("hairpin")
    hairpin.add_argument("host")
    hairpin.add_argument("state", choices=("on", "off"))
    execute = verbs.add_parser("exec")
    execute.add_argument("host")
    execute.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if os.geteuid():
        raise SystemExit("lab: network namespaces need root: run it with sudo")

    lab = Lab(Path(os.environ.get("LAB_DIR", ".lab")))
    if options.verb == "up":
        lab.up(options.hosts, sriov=options.sriov)
        print(f"{options.hosts + options.sriov} hosts are up; inventory: {lab.dir}/inventory.yml")
    elif options.verb == "hairpin":
        lab.hairpin(options.host, options.state)
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
