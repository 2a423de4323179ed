#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The main job, in a lab: three hosts, three modes, one playbook, proven by frames; then a switch that stops reflecting.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
export LAB_DIR=$PWD/.lab-demo ANSIBLE_CALLBACK_RESULT_FORMAT=yaml ANSIBLE_DISPLAY_SKIPPED_HOSTS=false
export ANSIBLE_PIPELINING=true ANSIBLE_DISPLAY_OK_HOSTS=${DEMO_VERBOSE:-true}
PATH=$PWD/.venv/bin:$PATH
lab=tests/lab/lab.py
inventory=(-i "$LAB_DIR/inventory.yml" -i tests/lab/demo.yml)
trap '$lab down' EXIT
SECONDS=0

say() { printf '\n\033[1m== %s\033[0m  (%s s)\n' "$*" "$SECONDS"; }
# all hosts at once; left to itself, site sends one host ahead
play() { ansible-playbook "${inventory[@]}" "kvm.hostnet.$1" -e hostnet_serial=100% "${@:2}"; }
expect() { # expect WHAT FILE PATTERN: the demo proves what it says
    grep -qE "$3" "$2" || { echo "demo: expected $1" >&2; exit 1; }
}
guests() { # guests on|off: they never boot, and so cannot let go of a NIC while they run
    local guest
    for guest in kvm1/web1 kvm1/web2 kvm2/db1 kvm3/ci1 kvm3/ci2; do
        $lab exec "${guest%/*}" tests/lab/idle_guest.py "${guest#*/}" "$1"
    done
}
log=$(mktemp)

say "Three KVM hosts and the switch between them; only kvm1's port reflects frames"
$lab up 3
$lab hairpin kvm1 on
guests on
sed -n '/^all:/,$p' tests/lab/demo.yml

say "site: each host in the mode that its inventory says, measured"
play site | tee "$log"
expect "changes on each host" "$log" 'kvm3 .*changed=2'

say "site again: nothing left to change"
play site >"$log" || { cat "$log"; exit 1; }
tail -4 "$log"
[ "$(grep -c 'changed=0' "$log")" = 3 ] || { echo "demo: expected changed=0 on each host" >&2; exit 1; }

say "site --check --diff: no difference"
play site --check --diff >"$log" || { cat "$log"; exit 1; }
tail -4 "$log"
if grep -E '^(---|\+\+\+)' "$log"; then
    echo "demo: expected no difference" >&2
    exit 1
fi

say "kvm1's switch port stops reflecting: verify names what no longer holds"
$lab hairpin kvm1 off
if play verify >"$log"; then
    echo "demo: expected verify to fail" >&2
    exit 1
fi
grep -vE '^(PLAY|$)' "$log" | sed -n '/Show what/,$p'
expect "the reason" "$log" 'does not reflect'

say "report: the same to look at"
play report -e hostnet_report_measure=true -e hostnet_report_directory="$PWD/tests/output/demo" >"$log" || { cat "$log"; exit 1; }
expect "a page" "$log" 'tests/output/demo: report.html'
expect "a broken network" tests/output/demo/report.svg 'node bad'
echo "tests/output/demo/report.html"

say "remove: back to where it was"
guests off
play remove >"$log" || { cat "$log"; exit 1; }
tail -4 "$log"
rm -f "$log"
say "Done. README.md tells the rest; make lab starts such a lab for you to try things in"
