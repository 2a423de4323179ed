#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Run Open vSwitch on a lab host, in user space; inside the host: ovs-start.sh.  It ends with the host.
set -eu
home=/run/openvswitch
[ -S "$home/db.sock" ] && exit 0
mkdir -p "$home"
ovsdb-tool create "$home/conf.db" /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server "$home/conf.db" --remote=punix:"$home/db.sock" --pidfile="$home/ovsdb-server.pid" --unixctl=none \
    --log-file="$home/ovsdb-server.log" --detach --no-chdir >/dev/null 2>&1 </dev/null
ovs-vsctl --no-wait init
ovs-vswitchd unix:"$home/db.sock" --pidfile="$home/ovs-vswitchd.pid" --log-file="$home/ovs-vswitchd.log" \
    --detach --no-chdir >/dev/null 2>&1 </dev/null
