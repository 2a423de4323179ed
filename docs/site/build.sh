#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Make the documentation site: docs/site/build.sh DIRECTORY.  What is on it is in the Markdown and in the code; nothing is written twice.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
site=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/docs" "$work/reference" "$work/_static"
cp README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md LICENSE docs/site/conf.py docs/site/*.md "$work"
cp docs/site/style.css "$work/_static"
cp -r docs/*.md docs/*.svg docs/examples docs/fleet docs/guides "$work/docs"
cp --parents roles/*/README.md "$work"
antsibull-docs collection --use-current --squash-hierarchy --no-indexes --fail-on-error --dest-dir "$work/reference" kvm.hostnet
sphinx-build --quiet --fail-on-warning --keep-going "$work" "$site"
echo "$site/index.html"
