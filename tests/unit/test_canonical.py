# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible_collections.kvm.hostnet.plugins.module_utils._core import canonical


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        (canonical.address, "192.0.2.1", "192.0.2.1"),
        (canonical.address, "2001:DB8:0::1", "2001:db8::1"),
        (canonical.mac, "52-54-00-AA-BB-CC", "52:54:00:aa:bb:cc"),
        (canonical.link_name, "enp1s0f0v15np1.4", ValueError),
        (canonical.link_name, "enp1s0f0v1", "enp1s0f0v1"),
        (canonical.network_name, "lan-1.example_2", "lan-1.example_2"),
        (canonical.domain_name, "lab.example", "lab.example"),
        (canonical.address, "010.1.1.1", ValueError),  # libvirt would read 8.1.1.1
        (canonical.address, "192.0.2.256", ValueError),
        (canonical.mac, "52:54:00:aa:bb", ValueError),
        (canonical.mac, "53:54:00:aa:bb:cc", ValueError),  # multicast
        (canonical.link_name, "eth0:1", ValueError),
        (canonical.link_name, "a b", ValueError),
        (canonical.link_name, "..", ValueError),
        (canonical.network_name, "../etc", ValueError),
        (canonical.network_name, "a b", "a b"),
        (canonical.network_name, "", ValueError),
        (canonical.network_name, "a" * 241, ValueError),
        (canonical.network_name, "a\n", ValueError),
        (canonical.domain_name, "a..b", ValueError),
        (canonical.domain_name, "-a.example", ValueError),
    ],
)
def test_forms(form, value, expected):
    if expected is ValueError:
        with pytest.raises(ValueError, match=r'^"'):
            form(value)
    else:
        assert form(value) == expected
        assert form(form(value)) == expected


def test_what_yaml_makes_of_a_mac_address():
    with pytest.raises(
        ValueError, match=r'what YAML makes of a MAC address without quotes; write "52:54:00:12:34:56" in'
    ):
        canonical.mac(str(yaml.safe_load("52:54:00:12:34:56")))
