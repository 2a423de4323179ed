# SPDX-License-Identifier: GPL-3.0-or-later
"""Of the state of a host, what is the same after its links and networks were made anew."""

from __future__ import annotations

import re

_OF_A_LINK = (
    "gc_timer|minmtu|bridge_id|root_id|designated|promiscuity|allmulti|addrgenmode|group_address|link-netns|numtx"
)


def lasting(state):
    """The lines of host_state() without numbers, timers and times of files."""
    state = re.sub(r"^\d+: |(?<=\.xml) \d+", "", state, flags=re.MULTILINE)
    return sorted(re.sub(rf"({_OF_A_LINK}).*", "", line) for line in state.splitlines())
