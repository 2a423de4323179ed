# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.kvm.hostnet.plugins.module_utils._core.errors import HostNetError
from ansible_collections.kvm.hostnet.plugins.module_utils._core.field import Field, argument_spec, clean
from ansible_collections.kvm.hostnet.plugins.module_utils._core.state import differences, overlay


def lower(value):
    if not value.isalpha():
        raise ValueError(f'"{value}" is not a word')
    return value.lower()


FIELDS = (
    Field("word", canonical=lower),
    Field("flag", type="bool", implied=False),
    Field("tags", type="list"),
    Field("inner", type="dict", fields=(Field("a"), Field("b", type="int"))),
    Field("rows", type="list", key="id", fields=(Field("id", required=True), Field("text"), Field("more"))),
)


@pytest.mark.parametrize(
    ("current", "desired", "after"),
    [
        (None, {"word": "a"}, {"word": "a"}),
        ({"word": "a"}, {}, {"word": "a"}),
        ({"word": "a"}, {"word": ""}, {}),
        ({"flag": True}, {"flag": False}, {}),
        ({}, {"flag": False}, {}),
        ({"tags": ["a"]}, {"tags": ["b"]}, {"tags": ["b"]}),
        ({"tags": ["a"]}, {"tags": []}, {}),
        ({"inner": {"a": "1", "b": 2}}, {"inner": {"b": 3}}, {"inner": {"a": "1", "b": 3}}),
        ({"inner": {"a": "1"}}, {"inner": {"a": ""}}, {}),
        ({"inner": {"a": "1"}}, {"inner": {}}, {}),
        (
            {"rows": [{"id": "1", "text": "x", "more": "y"}, {"id": "2"}]},
            {"rows": [{"id": "3"}, {"id": "1", "text": "z"}]},
            {"rows": [{"id": "3"}, {"id": "1", "text": "z", "more": "y"}]},
        ),
        ({"rows": [{"id": "1"}]}, {"rows": []}, {}),
    ],
)
def test_overlay(current, desired, after):
    assert overlay(FIELDS, current, desired) == after
    assert overlay(FIELDS, after, desired) == after


def test_clean_keeps_what_is_set_in_canonical_form():
    assert clean(FIELDS, {"word": "ABC", "flag": None, "rows": [{"id": "1", "text": None}]}) == {
        "word": "abc",
        "rows": [{"id": "1"}],
    }


def test_an_error_names_the_path():
    fields = (Field("outer", type="list", fields=FIELDS),)
    with pytest.raises(HostNetError, match=r'^outer\[0\]\.word: "1" is not a word$'):
        clean(fields, {"outer": [{"word": "1"}]})


def test_argument_spec():
    spec = argument_spec(FIELDS)
    assert spec["tags"] == {"type": "list", "elements": "str"}
    assert spec["rows"]["elements"] == "dict"
    assert spec["rows"]["options"]["id"] == {"type": "str", "required": True}


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}, ["a.c", "d"]),
        ({"a": [1]}, {}, ["a"]),
    ],
)
def test_differences(before, after, paths):
    assert differences(before, after) == paths
