#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test sanity without containers, on the Python of the virtual environment.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
# ansible-test wants a directory of the collection's name outside of any repository, a home, and a script that brings pip
home=$PWD/.cache/sanity
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shipped="CHANGELOG.md README.md changelogs galaxy.yml meta playbooks plugins roles"
tree=$work/ansible_collections/kvm/hostnet
mkdir -p "$tree" "$home/.ansible/test/cache"
git ls-files -z --cached --others --exclude-standard -- $shipped | tar --null -T - -cf - | tar -xf - -C "$tree"
for version in 24_2 25_2; do
    cp tests/sanity/get_pip.py "$home/.ansible/test/cache/get_pip_$version.py"
done
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
cd "$tree"
HOME=$home ansible-test sanity --local --color no --python "$python" "$@"
