# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes between two network namespaces, measured by iperf3 and sockperf.

nsenter takes each program into its namespace; timeout ends it there, and so does the end of this process.
This file is private to the collection.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
import typing as t
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .._core.errors import HostNetError
from . import frames

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from .._core.field import State

TOOLS = ("iperf3", "sockperf")
_PORTS = {"iperf3": 5201, "sockperf": 11111}  # their own; nobody else is in these namespaces
_SERVERS = {"iperf3": ("-s",), "sockperf": ("sr", "--tcp", "-p", str(_PORTS["sockperf"]))}
_MESSAGE = 64  # bytes of a request, and of its answer
_GRACE = 10.0  # seconds beyond its own time that a program may take
_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h
_BUSY = (0, 1, 2, 5, 6)  # user, nice, system, irq and softirq: proc(5)


def missing() -> list[str]:
    """The programs that this host does not have."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


@contextmanager
def serving(namespace: int, seconds: float) -> Iterator[None]:
    """Both servers in a namespace, for at most so many seconds."""
    with ExitStack() as stack:
        for tool in TOOLS:
            words = _entered(namespace, seconds, tool, *_SERVERS[tool])
            server = subprocess.Popen(  # noqa: S603 # pylint: disable=ansible-bad-function
                words,
                pass_fds=[namespace],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(_end, server)
            _await_listening(namespace, tool)
        yield


def answers(namespace: int, address: str, seconds: float) -> bool:
    """Whether the servers behind an address are reached from a namespace, which may take a moment."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if frames.inside(namespace, lambda: _connects(address)):
            return True
        time.sleep(0.1)
    return False


def transfer(namespace: int, address: str, seconds: int, megabits: int) -> State:
    """A TCP transfer to an address, of at most so many Mbit/s if that is not 0: Gbit/s, and Gbit."""
    bound = ("-b", f"{megabits}M") if megabits else ()
    told = _run(namespace, seconds, "iperf3", "-J", "-c", address, "-t", str(seconds), *bound)
    try:
        end = json.loads(told)["end"]["sum_received"]
    except (ValueError, KeyError) as error:
        raise HostNetError(f"iperf3 to {address} came to no result: {told[-300:].strip()}") from error
    if not end["bytes"]:
        raise HostNetError(f"nothing arrived within {seconds} s")
    return {"gbits": end["bits_per_second"] / 1e9, "gbit": end["bytes"] * 8 / 1e9}


def round_trips(namespace: int, address: str, seconds: int) -> State:
    """Requests and answers over TCP, one after the other: how many a second, and microseconds of half and of 99 %."""
    given = ("--tcp", "-i", address, "-p", str(_PORTS["sockperf"]), "-t", str(seconds), "-m", str(_MESSAGE))
    told = _run(namespace, seconds, "sockperf", "pp", *given, "--full-rtt")
    found = {
        "mean": re.search(r"Round trip is ([\d.]+) usec", told),
        "p50": re.search(r"percentile 50\.000 = +([\d.]+)", told),
        "p99": re.search(r"percentile 99\.000 = +([\d.]+)", told),
    }
    times = {word: float(match[1]) for word, match in found.items() if match}
    if len(times) < len(found) or not times["mean"]:
        raise HostNetError(f"sockperf to {address} came to no result: {told[-300:].strip()}")
    return {"transactions": 1e6 / times["mean"], "p50": times["p50"], "p99": times["p99"]}


def can_masquerade() -> bool:
    """Whether this host has what NAT is told to."""
    return bool(shutil.which("nft") or shutil.which("iptables"))


def masquerade(namespace: int, link: str) -> None:
    """Let what leaves a namespace by a link have that link's address, as libvirt does for mode nat."""
    rules = f"type nat hook postrouting priority 100; oifname {link} masquerade;"
    nft = ("nft", f"table ip kvm_hostnet {{\nchain postrouting {{ {rules}\n}}\n}}")
    iptables = ("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", link, "-j", "MASQUERADE")
    _run(namespace, 0, *(nft if shutil.which("nft") else iptables))


def busy() -> float:
    """Seconds for which this host's processors have worked since it booted."""
    words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    return sum(int(words[number]) for number in _BUSY) / os.sysconf("SC_CLK_TCK")


def _entered(namespace: int, seconds: float, *words: str) -> list[str]:
    with_us = ("setpriv", "--pdeathsig", "TERM")  # timeout hands it on
    limit = ("timeout", "--kill-after=1", f"{seconds + _GRACE:.0f}")
    return [*with_us, *limit, "nsenter", f"--net=/proc/self/fd/{namespace}", *words]


def _run(namespace: int, seconds: float, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 # pylint: disable=ansible-bad-function
            _entered(namespace, seconds, *words),
            pass_fds=[namespace],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise HostNetError(f"{words[0]} cannot be run: {error.strerror}") from error
    if done.returncode and not done.stdout.strip():  # iperf3 tells of its failures there
        raise HostNetError(f"{words[0]} failed: {done.stderr.strip() or f'it took more than {seconds + _GRACE:.0f} s'}")
    return done.stdout


def _await_listening(namespace: int, tool: str) -> None:
    deadline = time.monotonic() + _GRACE
    while not frames.inside(namespace, lambda: _listens(_PORTS[tool])):
        if time.monotonic() > deadline:
            raise HostNetError(f"{tool} does not listen; try `{tool} {' '.join(_SERVERS[tool])}` by hand")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    """Of the network namespace of the calling thread."""
    for family in ("tcp", "tcp6"):
        table = Path("/proc/thread-self/net", family)
        for line in table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else ():
            _number, local, _remote, state = line.split()[:4]
            if (state, int(local.rpartition(":")[2], 16)) == (_LISTEN, port):
                return True
    return False


def _connects(address: str) -> bool:
    try:
        with socket.create_connection((address, _PORTS["sockperf"]), 0.5):
            return True
    except OSError:
        return False


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_GRACE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
