"""Parameters as a principal's policies will have them: defaults, forced values, greatest values, and which tools may come along.

Applied to the caller's own bytes before anything is worked out from them, so that what was authorised is what is sent, whoever
answers and in whichever dialect. Parameters go by OpenAI's names; `gate.parameters` says where each dialect keeps them.

Whoever has such a policy has their body written anew, each key once: of a name that stands twice, parsers may believe either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.errors import InvalidRequest, PolicyDenied
from aldgate.core.policies import matches
from aldgate.core.principals import Operation, Principal
from aldgate.core.rights import Rights
from aldgate.gate.policies.parameters import Place, place_of, section_of
from aldgate.gate.policies.tools import tools_in
from aldgate.ports import FaceDialect

Members = dict[str, Any]

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def shaped(face: FaceDialect, principal: Principal, operation: Operation, peek: Peek, named: Named | None) -> Peek:
    """What is asked, once the parameters are as the principal's policies want them.

    Raises:
        InvalidRequest: A parameter stands in a spelling that some parsers take for it and others do not.
        PolicyDenied: The request brings a tool that a level does not allow.
    """
    try:
        members: Members = dict(_members.decode(peek.body))
        _check_tools(principal, face.name, members)
        _Shape(face.name, operation, members).apply(principal.rights)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The body is not one of this API: {error}.") from None
    return face.peek(operation, _encode(members), named)


def _check_tools(principal: Principal, dialect: str, members: Members) -> None:
    rules = [level for level in principal.levels if level.policy.tools is not None]
    if not rules:
        return
    for name in tools_in(dialect, members):
        for level in rules:
            if not matches(name, level.policy.tools or ()):
                raise PolicyDenied(f"The policy of {level} does not allow the tool `{name[:100]}`.", param="tools")


class _Shape:
    """One body, member by member; those that nobody has a word on stay to the byte."""

    def __init__(self, dialect: str, operation: Operation, members: Members) -> None:
        self._dialect = dialect
        self._operation: Operation = operation
        self._members = members
        self._sections: dict[str, Members] = {}

    def apply(self, rights: Rights) -> None:
        """Defaults first and greatest values last: a level cannot raise by its default what another one lowers."""
        for name, place in self._places(rights.parameter_defaults):
            if self._value(place) is None:
                self._put(place, rights.parameter_defaults[name])
        for name, place in self._places(rights.forced_parameters):
            self._put(place, rights.forced_parameters[name])
        for name, cap in rights.parameter_caps.items():
            for place in place_of(self._dialect, self._operation, name, is_cap=True):
                if _exceeds(self._value(place), cap):
                    self._put(place, _number(cap))
        for key, section in self._sections.items():
            self._members[key] = section

    def _places(self, named: Mapping[str, Any]) -> Iterator[tuple[str, Place]]:
        for name in named:
            for place in place_of(self._dialect, self._operation, name, is_cap=False):
                yield name, place

    def _value(self, place: Place) -> object:
        holder = self._holder(place, makes=False)
        key = place.key_in(holder)
        if key is None:
            return None
        value = holder[key]
        return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value

    def _put(self, place: Place, value: object) -> None:
        holder = self._holder(place, makes=True)
        holder[place.key_in(holder) or place.name] = value

    def _holder(self, place: Place, *, makes: bool) -> Members:
        """The object that the parameter stands in: the body, or a section of it."""
        if place.section is None:
            return self._members
        key = section_of(place, self._members)
        if key in self._sections:
            return self._sections[key]
        raw = self._members.get(key)
        found: Members = {}
        if raw is not None and bytes(raw) != b"null":
            found = dict(_members.decode(bytes(raw)))
        if makes or raw is not None and bytes(raw) != b"null":
            self._sections[key] = found
        return found


def _exceeds(value: object, cap: float) -> bool:
    """Whether a value is over `cap`, also as the text that lenient parsers take for a number."""
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
        return not value <= cap  # not a number is over everything
    return isinstance(value, int | float) and value > cap


def _number(cap: float) -> int | float:
    return int(cap) if math.isfinite(cap) and cap == int(cap) else cap
