# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core import packets

ME, YOU = "02:00:00:00:00:01", "02:00:00:00:00:02"
MY_IP, YOUR_IP = "10.0.0.1", "10.0.0.2"


def test_an_arp_request_is_answered_by_its_target_only():
    request = packets.arp_request(YOU, MY_IP)
    answer = packets.read(packets.answer(ME, MY_IP, request))
    assert (answer.what, answer.source, answer.destination, answer.sender_ip) == ("arp reply", ME, YOU, MY_IP)
    assert packets.answer(ME, "10.0.0.9", request) is None


def test_an_arp_request_can_have_its_answer_sent_elsewhere():
    third = "02:00:00:00:00:03"
    request = packets.arp_request(YOU, MY_IP, sender=third)
    assert packets.read(request).source == YOU
    assert packets.read(packets.answer(ME, MY_IP, request)).destination == third


def test_an_echo_comes_back_with_its_payload():
    request = packets.echo_request(YOU, ME, YOUR_IP, MY_IP, b"idsqpayload")
    reply = packets.read(packets.answer(ME, MY_IP, request))
    assert (reply.what, reply.destination, reply.target_ip, reply.payload) == (
        "echo reply",
        YOU,
        YOUR_IP,
        b"idsqpayload",
    )


@pytest.mark.parametrize("payload", [b"12345678", b"123456789"])
def test_checksums_verify(payload):
    raw = packets.echo_request(YOU, ME, YOUR_IP, MY_IP, payload)
    assert packets._checksum(raw[14:34]) == 0
    assert packets._checksum(raw[34 : 34 + 4 + len(payload)]) == 0


@pytest.mark.parametrize("raw", [b"", b"\0" * 14, b"\0" * 60, packets.frame(ME, YOU, packets.IPV4, b"\x45")])
def test_anything_else_is_other_and_unanswered(raw):
    assert packets.read(raw).what == "other" and packets.answer(ME, MY_IP, raw) is None


def test_frames_are_at_least_60_bytes():
    assert len(packets.frame(ME, YOU, packets.LOCAL, b"x")) == 60
