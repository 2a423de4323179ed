#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Hold the collection to a version of ansible-core: run.sh VERSION.  It is installed once, with the oldest Python it runs on
# that is found here.  Wants a lab of four hosts.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
core=$1
case $core in # the Pythons that the controller may have
2.18 | 2.19) pythons="3.11 3.12 3.13" ;;
2.20 | 2.21) pythons="3.12 3.13 3.14" ;;
2.22) pythons="3.13 3.14 3.15" ;;
esac
home=$PWD/.cache/cores/$core
if ! [ -e "$home/installed" ]; then
    found=$(mktemp -d)
    trap 'rm -rf "$found"' EXIT
    tests/cores/pythons.py "$found" $pythons
    python=$(find "$found" -name 'python*' | sort -V | head -1)
    if [ -z "$python" ]; then
        echo "skipped: ansible-core $core: none of Python $pythons is on PATH or in pyenv"
        exit 0
    fi
    "$(readlink "$python")" -m venv --clear "$home"
    # 0rc1: with a pre-release, as long as there is no release
    "$home/bin/pip" install --quiet "ansible-core~=$core.0rc1" pytest
    touch "$home/installed"
fi
export PATH=$home/bin:$PATH
ansible --version | sed -n '1p; /python version/p'
code=0
tests/ansible_test/run.sh sanity || code=1
pytest tests/unit tests/fleet -m 'not nightly' --junitxml "tests/output/core-$core.xml" || code=1
exit $code
