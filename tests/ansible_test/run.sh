#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test without containers: run.sh sanity|integration [ARGUMENT...].  What runs on hosts is compiled and imported by
# each Python that is found.  integration changes the host it runs on, so that is a lab host: lab.py exec kvm1 run.sh integration
set -eu -o pipefail
cd "$(dirname "$0")/../.."
# ansible-test wants a directory of the collection's name outside of any repository, a home, and a script that brings pip
home=$PWD/.cache/sanity
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
needed="CHANGELOG.md README.md changelogs galaxy.yml meta playbooks plugins roles tests/config.yml"
[ "$1" = sanity ] || needed="$needed tests/integration tests/lab"
tree=$work/ansible_collections/kvm/hostnet
mkdir -p "$tree" "$home/.ansible/test/cache"
git ls-files -z --cached --others --exclude-standard -- $needed | tar --null -T - -cf - | tar -xf - -C "$tree"
for version in 24_2 25_2; do
    cp tests/ansible_test/get_pip.py "$home/.ansible/test/cache/get_pip_$version.py"
done
if [ "$1" = integration ]; then
    for need in ovs-vswitchd:module_ovs_bridges lldpad:module_evb_stations; do
        program=${need%:*} target=${need#*:}
        [ -e "/usr/sbin/$program" ] && continue
        echo "skipped: $target: there is no $program on this host; tests/lab/fetch.sh fetches it"
        set -- "$@" --exclude "$target"
    done
fi
if [ "$1" = sanity ]; then # the pylint of core 2.22 has a part that no index of packages has
    data=$(python3 -c 'import ansible_test; print(ansible_test.__path__[0])')/_data
    url=$(sed -nE 's/^.* @ (https:[^#]*).*/\1/p' "$data/requirements/sanity.pylint.txt")
    fetch='import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)'
    if [ -n "$url" ] && ! python3 -c "$fetch" "$url" 2>/dev/null; then
        echo "skipped: sanity test \"pylint\": it needs $url, which cannot be fetched here"
        set -- "$@" --skip-test pylint
    fi
fi
tests/cores/pythons.py "$work/bin" 3.9 3.10 3.11 3.12 3.13 3.14 3.15
ansible-test --version
cd "$tree"
HOME=$home PATH=$work/bin:$PATH ansible-test "$1" --local --color no "${@:2}" 2>&1 |
    # core 2.19 goes to 3.8 as well, with nothing to do there
    sed -uE 's/^WARNING: Skipping (.* because it could not be found)/skipped: \1/; / on Python 3\.8$/d'
