#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ansible-test sanity without containers, on the Python of the virtual environment.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
work=$PWD/.cache/sanity
tree=$work/ansible_collections/kvm/hostnet
# ansible-test wants a real directory of that name, a home of its own, and a script that brings pip
rm -rf "$tree"
mkdir -p "$tree" "$work/home/.ansible/test/cache"
git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xf - -C "$tree"
for version in 24_2 25_2; do
    cp tests/sanity/get_pip.py "$work/home/.ansible/test/cache/get_pip_$version.py"
done
python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
cd "$tree"
HOME=$work/home ansible-test sanity --local --color no --python "$python" "$@"
