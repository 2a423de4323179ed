#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Install a browser for the tests of the report.  It is only ever shown files of the tests.
set -eu
[ -x /usr/bin/chromedriver ] && exit 0
command -v apt-get >/dev/null || { echo "chromium and its driver can be installed on Debian only; tests of the page are skipped"; exit 0; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core >/dev/null
