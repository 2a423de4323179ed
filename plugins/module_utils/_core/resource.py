# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kind of thing has to bring so that the runner can converge it.

A kind manages all the items that its task lists, in one process.  Its state is a mapping from an item's name to that
item's state, or to None where the item does not exist.  This file is private to the collection.
"""

from __future__ import annotations

import abc
import typing as t

from .errors import HostNetError
from .field import Field, clean

if t.TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from .field import State
    from .state import Step


class Kind(abc.ABC):
    """What all modules share."""

    libraries: t.ClassVar[tuple[str, ...]] = ()  #: Python libraries that the node has to have
    options: t.ClassVar[tuple[Field, ...]] = ()

    @classmethod
    @abc.abstractmethod
    def open(cls, params: State, *, writable: bool) -> AbstractContextManager[t.Any]:
        """Reach the host; `params` are the options, and the items of a resource by their option's name.

        Where the host knows a way in for reading only, that is the one without `writable`.
        """


class Query(Kind):
    """A kind that only tells."""

    @abc.abstractmethod
    def answer(self) -> State:
        """The result of the task."""


class Procedure(Kind):
    """A kind that does one thing; one that was opened for reading only tells what it would do."""

    @abc.abstractmethod
    def perform(self) -> State:
        """The result of the task, with what it `changed`."""


class Resource(Kind):
    """A kind that can be changed."""

    items: t.ClassVar[Field]  #: the option that lists the items; its key is an item's name
    settle: t.ClassVar[float] = 0.0  #: seconds the host may take to show a change

    @classmethod
    def request(cls, params: State) -> State:
        """The items of a task in canonical form, by name."""
        option = cls.items
        requested: State = {}
        for item in params[option.name]:
            name = item[t.cast("str", option.key)]
            if name in requested:
                raise HostNetError(f"{option.name}: {name} is listed twice; keep one of them")
            requested[name] = clean(option.fields, item, f"{option.name}[{name}]")
        return requested

    @abc.abstractmethod
    def read(self) -> State:
        """All items of this kind that the host has."""

    @abc.abstractmethod
    def validate(self, desired: State, current: State) -> None:
        """Raise, with the reasons, if this cannot be done.  Nothing has been changed yet."""

    @abc.abstractmethod
    def aim(self, desired: State, current: State) -> State:
        """The state that a run is to reach, complete for each item that the task is about.  Pure."""

    @staticmethod
    @abc.abstractmethod
    def plan(goal: State, current: State) -> list[Step]:
        """The steps from one state to the other.  Pure; an empty plan means converged."""

    @abc.abstractmethod
    def apply(self, step: Step) -> None:
        """Carry out one step."""

    def carry_out(self, steps: list[Step]) -> None:
        """Carry out a plan.  A kind that can do many things at once does so here."""
        for step in steps:
            self.apply(step)

    def report(self, goal: State, before: State) -> State:
        """What else the result should tell; `warnings` become warnings of the task."""
        return {}
