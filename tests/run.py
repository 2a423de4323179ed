#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the suites that are named, or those of `make test`, or with --all the nightly ones too; end with how many passed.

Two run at a time.  A suite is a shell command.  What it printed is in tests/output/NAME.log, and is shown if it failed.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import statistics
import subprocess
import sys
import time
import typing as t
from pathlib import Path
from xml.etree import ElementTree

from lab.progress import Progress

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "tests/output"
TYPED = "plugins release tests/lab tests/cores tests/run.py"
LAB = "tests/lab/lab.py"
GUEST = f"tests/lab/guest.sh {ROOT / '.cache/guest'}"
OVS = f"tests/lab/fetch.sh openvswitch-switch ovs-vswitchd {ROOT / '.cache/ovs-vswitchd'}"
LLDPAD = f"tests/lab/fetch.sh lldpad lldpad {ROOT / '.cache/lldpad'}"
DEBIAN13 = f"tests/lab/debian13.sh {ROOT / '.cache/debian13'}"
SRIOV = (DEBIAN13, f"tests/lab/sriov.sh {ROOT / '.cache/sriov'} {ROOT / '.cache/debian13'}")


class Suite(t.NamedTuple):
    """Commands to run in order, and the pattern of a line that tells of a passed test where there is no JUnit file."""

    commands: tuple[str, ...]
    passed: str = ""
    lab: str = ""  #: lab hosts that it needs, as lab.py takes them
    debian13: bool = False  #: whether they are of that distribution, and not of this machine's
    fetched: tuple[str, ...] = ()  #: commands that fetch what the lab is made of


# what of the kernel's tests depends on the version of libvirt, and what of it takes long
LIBVIRT = " ".join(f"tests/kernel/test_{name}.py" for name in ("libvirt_networks", "network_live", "host"))
GUESTS = " ".join(f"tests/kernel/test_{name}.py" for name in ("network_document", "domain_interfaces", "guest"))
# what distributions ship besides the pyroute2 of the two lab hosts: EPEL 9, Ubuntu 26.04, Fedora 45 and Alpine 3.23
PYROUTE2 = ("0.5.14", "0.8.1", "0.9.7")
# the versions of ansible-core that are supported, besides the one that was installed here
CORES = ("2.18", "2.19", "2.20", "2.21", "2.22")
# what takes long, and seldom breaks alone
NIGHTLY = (
    *("nightly", "scale-nightly", "soak", "debian13-links", "pyroute2-0.8.1", "pyroute2-0.9.7", "importer"),
    *("compare", "integration", "integration-elsewhere"),
    *(f"core-{version}" for version in CORES),
)
SANITY_TEST = r"^Running sanity test (.*)"
SKIPPED = re.compile(r"(?m)^skipped: (.*)")  # how a script tells what cannot be tested here, and why
LINKS = " ".join(f"tests/kernel/test_{name}.py" for name in ("links", "bridges", "uplink_move", "snapshot"))


def with_pyroute2(version: str) -> Suite:
    """The tests of all that pyroute2 does, with another version of it than the distribution's."""
    target = ROOT / f".cache/pyroute2/{version}"
    install = f"test -d {target} || pip install --quiet --no-deps --target {target} pyroute2=={version}"
    junit = f"--junitxml tests/output/pyroute2-{version}.xml"
    run = f"{LAB} exec kvm1 env PYTHONPATH={target} /usr/bin/python3 -B -m pytest {LINKS} {junit}"
    return Suite((install, run), lab="1")


def with_core(version: str) -> Suite:
    """Sanity, and the tests that run on the controller, with another version of ansible-core than the one installed."""
    return Suite((f"tests/cores/run.sh {version}",), passed=SANITY_TEST, lab="4", fetched=(OVS,))


SUITES = {
    # what a run that was killed has left would keep the next from starting its lab
    "molecule": Suite(
        ("molecule reset -s default", "molecule test --all"),
        passed=r"^(?!default)(\w+) +: actions=\d+ .* failed=0",
        fetched=(*SRIOV, OVS, LLDPAD),
    ),
    "sriov": Suite(
        (f"{LAB} exec kvmsriov /usr/bin/python3 -B -m pytest tests/sriov --junitxml tests/output/sriov.xml",),
        lab="0 --sriov",
        fetched=SRIOV,
    ),
    "fleet": Suite(
        # of the soak only that it sees leaks
        ("pytest tests/fleet tests/soak/test_leaks_are_seen.py -m 'not nightly' --junitxml tests/output/fleet.xml",),
        lab="4",
        fetched=(OVS,),
    ),
    # with the newest release of the leading peer, which PyPI has
    "compare": Suite(("pytest tests/compare --junitxml tests/output/compare.xml",), lab="1", fetched=(OVS,)),
    "soak": Suite(
        ("SOAK_CYCLES=${SOAK_CYCLES:-200} pytest -s tests/soak/test_soak.py --junitxml tests/output/soak.xml",),
        lab="3",
        fetched=(OVS,),
    ),
    "scale": Suite(("pytest tests/scale -m 'not nightly' --junitxml tests/output/scale.xml",), lab="20"),
    "scale-nightly": Suite(("pytest tests/scale -m nightly --junitxml tests/output/scale-nightly.xml",), lab="20"),
    "faults": Suite(
        ("pytest tests/faults -m 'not nightly' --junitxml tests/output/faults.xml",),
        lab="3 --systemd",
        fetched=(DEBIAN13,),
    ),
    "nightly": Suite(
        (
            "pytest tests/faults tests/fleet tests/sriov_reboot tests/systemd -m nightly --junitxml tests/output/nightly.xml",
        ),
        lab="3 --sriov --systemd",
        fetched=SRIOV,
    ),
    "systemd": Suite(
        ("pytest tests/systemd -m 'not nightly' --junitxml tests/output/systemd.xml",),
        lab="0 --systemd",
        fetched=(DEBIAN13,),
    ),
    "kernel": Suite(
        (f"{LAB} exec kvm1 /usr/bin/python3 -B -m pytest tests/kernel --junitxml tests/output/kernel.xml",),
        lab="1",
        fetched=(GUEST, OVS, LLDPAD),
    ),
    "debian13": Suite(
        (f"{LAB} exec kvm1 /usr/bin/python3 -B -m pytest {LIBVIRT} --junitxml tests/output/debian13.xml",),
        lab="1",
        debian13=True,
        fetched=(DEBIAN13, GUEST),
    ),
    "debian13-links": Suite(
        (f"{LAB} exec kvm1 /usr/bin/python3 -B -m pytest {LINKS} {GUESTS} --junitxml tests/output/debian13-links.xml",),
        lab="1",
        debian13=True,
        fetched=(DEBIAN13, GUEST),
    ),
    "guests": Suite(("pytest tests/guests --junitxml tests/output/guests.xml",), lab="1", fetched=(GUEST,)),
    **{f"pyroute2-{version}": with_pyroute2(version) for version in PYROUTE2},
    **{f"core-{version}": with_core(version) for version in CORES},
    "sanity": Suite(("tests/ansible_test/run.sh sanity",), passed=SANITY_TEST),
    "integration": Suite(
        (f"{LAB} exec kvm1 tests/ansible_test/run.sh integration --continue-on-error",),
        passed=r"^Running (module_\w+) integration test",
        lab="1",
        fetched=(OVS, LLDPAD),
    ),
    "integration-elsewhere": Suite(
        (
            "ANSIBLE_ROLES_PATH=tests/integration/targets ANSIBLE_PIPELINING=true "
            "ansible-playbook -i $LAB_DIR/inventory.yml tests/integration/elsewhere.yml",
        ),
        passed=r"^(kvm\w+) +: ok=.* failed=0",
        lab="2 --sriov --systemd",
        fetched=SRIOV,
    ),
    "lint": Suite(
        (
            "ruff check .",
            "ruff format --check .",
            f"mypy {TYPED}",
            "yamllint --strict .",
            "ansible-lint --offline --strict",
            "reuse lint --quiet",
            "antsibull-changelog lint",
            "antsibull-docs lint-collection-docs --plugin-docs --disallow-unknown-collection-refs "
            "--validate-collection-refs=self .",
        )
    ),
    "demo": Suite(("tests/lab/demo.sh",)),
    "docs": Suite(("docs/site/build.sh tests/output/site",)),
    "browser": Suite(
        ("tests/browser/install.sh", "pytest tests/browser --junitxml tests/output/browser.xml"),
    ),
    "release": Suite(("pytest tests/release -m 'not nightly' --junitxml tests/output/release.xml",)),
    "importer": Suite(("pytest tests/release -m nightly --junitxml tests/output/importer.xml",)),
    "unit": Suite(("pytest tests/unit --junitxml tests/output/unit.xml",)),
}


class Outcome(t.NamedTuple):
    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float


RUNNING: list[str] = []


def going() -> str:
    """What runs, and how far it is."""
    return ", ".join(f"{name} ({how_far(name)})" for name in tuple(RUNNING))


def how_far(name: str) -> str:
    """The share of its tests that pytest tells, or else the command."""
    log = OUTPUT / f"{name}.log"
    text = log.read_text(errors="replace")[-20000:] if log.exists() else ""
    command = re.split(r"(?m)^\$ ", text)[-1]
    shares = re.findall(r"\[ *(\d+)%\]", command)
    return f"{shares[-1]} %" if shares else Path(command.split(maxsplit=1)[0]).name if command.strip() else "begins"


def run(name: str, progress: Progress) -> Outcome:
    suite, began = SUITES[name], time.monotonic()
    log, junit = OUTPUT / f"{name}.log", OUTPUT / f"{name}.xml"
    junit.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "LAB_DIR": str(ROOT / f".lab-{name}"),
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        "PYTHONDONTWRITEBYTECODE": "1",
        **({"LAB_ROOT": str(ROOT / ".cache/debian13")} if suite.debian13 else {}),
    }
    codes = []
    RUNNING.append(name)
    with open(log, "w", encoding="utf-8") as file:
        before = (*suite.fetched, *((f"{LAB} up {suite.lab}",) if suite.lab else ()))
        after = (f"{LAB} down",) if suite.lab else ()
        for command in (*before, *suite.commands, *after):
            file.write(f"$ {command}\n")
            file.flush()
            done = subprocess.run(
                command,
                shell=True,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,  # Ansible refuses one that somebody else has made non-blocking
                stdout=file,
                stderr=file,
                check=False,
            )
            codes.append(done.returncode)
    passed, failed, skipped = counts(suite, codes, log, junit)
    outcome = Outcome(name, passed, failed, skipped, time.monotonic() - began)
    RUNNING.remove(name)
    if failed:
        progress.say(f"---- {name} ----\n{log.read_text(errors='replace')[-20000:]}\n---- end of {name} ----")
    progress.say(f"{name}: {passed} passed, {failed} failed, {skipped} skipped ({outcome.seconds:.0f} s)")
    return outcome


def counts(suite: Suite, codes: list[int], log: Path, junit: Path) -> tuple[int, int, int]:
    """A command that failed counts as one failure even if no test did, and a suite without any test as well."""
    broken = sum(1 for code in codes if code)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text(errors="replace"))
    if junit.exists():
        totals = elements(junit.stem, "testcase")
        failed = sum(1 for case in totals if case.find("failure") is not None or case.find("error") is not None)
        skipped = sum(1 for case in totals if case.find("skipped") is not None)
        passed = len(totals) - failed - skipped
    elif suite.passed:
        passed, failed, skipped = len(set(re.findall(suite.passed, plain, re.MULTILINE))), 0, 0
    else:
        passed, failed, skipped = len(codes) - broken, broken, 0
    told = len(set(SKIPPED.findall(plain)))
    return passed, failed or int(bool(broken) or not (passed or told)), skipped + told


def skips(names: list[str]) -> list[str]:
    """What was not tested here, and why."""
    told = []
    for name in names:
        told += [(name, why) for why in SKIPPED.findall((OUTPUT / f"{name}.log").read_text(errors="replace"))]
        cases = elements(name, "skipped")
        told += [(name, case.get("message", "")) for case in cases]
    return [f"{name}: {why}" for name, why in dict.fromkeys(told)]


def elements(name: str, tag: str) -> list[ElementTree.Element]:
    """Those of a suite's JUnit file, if it wrote one."""
    path = OUTPUT / f"{name}.xml"
    return [*ElementTree.parse(path).getroot().iter(tag)] if path.exists() else []


def slowest(names: list[str]) -> list[tuple[float, str]]:
    cases = [
        (float(case.get("time", 0)), f"{name}: {case.get('name')}")
        for name in names
        for case in elements(name, "testcase")
    ]
    return sorted(cases, reverse=True)[:10]


def measured(names: list[str], what: str = "measured") -> list[tuple[str, str]]:
    """What tests have measured besides passing."""
    found = [(name, element) for name in names for element in elements(name, "property")]
    return [(name, element.get("value", "")) for name, element in found if element.get("name") == what]


def faults(names: list[str]) -> str:
    """What became of the hosts that were hurt."""
    told = [json.loads(value) for _name, value in measured(names, "fault")]
    if not told:
        return ""
    lost, half = (sum(one[word] for one in told) for word in ("lost", "half"))
    seconds = sorted(one["seconds"] for one in told if one["seconds"])
    return (
        f"\nfaults injected: {len(told)}; hosts lost: {lost}; half-applied states: {half}; "
        f"seconds to restore: {statistics.median(seconds):.2f} (median), {seconds[-1]:.2f} (worst)"
    )


def main() -> int:
    names = sys.argv[1:] or [name for name in SUITES if name not in NIGHTLY]
    names = list(SUITES) if names == ["--all"] else names
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        raise SystemExit(f"There is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool, Progress(going) as progress:
        outcomes = list(pool.map(lambda name: run(name, progress), names))
    print("\nslowest tests:")
    for seconds, name in slowest(names):
        print(f"{seconds:7.1f} s  {name}")
    print("\nmeasured:", *(f"{name}: {value}" for name, value in measured(names)), sep="\n    ")
    print("\nnot tested here:", *(skips(names) or ["nothing"]), sep="\n    ")
    print(faults(names))
    total = [sum(getattr(outcome, field) for outcome in outcomes) for field in ("passed", "failed", "skipped")]
    print("\n{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
