"""What went before, put into a request: kept responses as the items they came to. Pure.

`instructions` are not inherited, and ids are left behind: no provider knows them
(https://platform.openai.com/docs/guides/conversation-state).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.errors import BodyTooLarge, InvalidRequest
from aldgate.dialects.governed import with_members

Object = dict[str, Any]
Turn = tuple[bytes, bytes]
"""The `input` of a kept response and the response itself, both JSON."""

_OUR_ID = re.compile(r"[a-z]+_([0-9a-f]{24})_\d+")
_input = msgspec.json.Decoder(str | list[Any])
_encode = msgspec.json.Encoder().encode


class _Output(msgspec.Struct):
    output: list[Object] = []


class _Input(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw(b"[]")


_output = msgspec.json.Decoder(_Output)
_asked = msgspec.json.Decoder(_Input)


def input_of(peek: Peek) -> bytes:
    """The `input` of a request, as it came."""
    given = bytes(_asked.decode(peek.body).input)
    return b"[]" if given == b"null" else given


def output_of(response: bytes) -> list[Object]:
    """The output items of a response."""
    return _output.decode(response).output


def items_in(given: bytes) -> list[Any]:
    """An `input` as items: a string is a message of the user's."""
    read = _input.decode(given)
    if not isinstance(read, str):
        return read
    return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": read}]}]


def continued(peek: Peek, turns: Iterable[Turn]) -> bytes:
    """The request with all that `turns` said before its own input.

    It still names the response that it continues, so that the answer can; see `requests.outgoing`.
    """
    before = [_sendable(item) for given, response in turns for item in (*items_in(given), *output_of(response))]
    items = [item for item in before if item is not None] + items_in(input_of(peek))
    return with_members(peek.body, {"input": items})


def _sendable(item: Any) -> Any:
    """A kept item without its id; None for a thought that is only a reference to what a provider no longer has."""
    match item:
        case {"type": "reasoning"} if not cast(Object, item).get("encrypted_content"):
            return None
        case dict():
            return {name: value for name, value in cast(Object, item).items() if name != "id"}
        case _:
            return item


def references(peek: Peek) -> set[str]:
    """Ids of the kept responses that the request takes items from by reference."""
    if b'"item_reference"' not in peek.body:
        return set()
    found = (_OUR_ID.fullmatch(name) for name in _referred(items_in(input_of(peek))))
    return {f"resp_{match.group(1)}" for match in found if match}


def _referred(items: Iterable[Any]) -> Iterator[str]:
    for item in items:
        match item:
            case {"type": "item_reference", "id": str(name)}:
                yield name
            case _:
                pass


def resolved(peek: Peek, responses: Mapping[str, bytes], most_bytes: int) -> bytes:
    """The request with the items themselves in place of references to them.

    Raises:
        InvalidRequest: There is no such item.
        BodyTooLarge: It would come to more than `most_bytes`: an item may be referred to many times.
    """
    known = {item.get("id"): item for response in responses.values() for item in output_of(response)}
    items = items_in(input_of(peek))
    times = Counter(_referred(items))
    size = len(peek.body) + sum(len(_encode(known[name])) * count for name, count in times.items() if name in known)
    if size > most_bytes:
        raise BodyTooLarge(f"With all that it refers to the request comes to {size} bytes; at most {most_bytes} are taken.")
    return with_members(peek.body, {"input": list(_replaced(items, known))})


def _replaced(items: Iterable[Any], known: Mapping[Any, Object]) -> Iterator[Any]:
    for item in items:
        match item:
            case {"type": "item_reference", "id": str(name)} if _OUR_ID.fullmatch(name):
                if name not in known:
                    raise InvalidRequest(f"There is no item `{name[:100]}`.", param="input")
                found = _sendable(known[name])
                if found is not None:
                    yield found
            case _:
                yield item


def listed(response_id: str, given: bytes) -> list[Object]:
    """Input items as they are listed: each with an id, by which pages continue."""
    key = response_id.removeprefix("resp_")
    return [_named(item, f"{_KINDS.get(item['type'], 'item')}_{key}_in{index}") for index, item in enumerate(_full(given))]


_KINDS = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}


def _full(given: bytes) -> Iterator[Object]:
    for item in items_in(given):
        said = cast(Object, item)
        if said.get("type", "message") == "message" and isinstance(said.get("content"), str):
            kind = "output_text" if said.get("role") == "assistant" else "input_text"
            said = {**said, "content": [{"type": kind, "text": said["content"]}]}
        yield {"type": "message", **said}


def _named(item: Object, name: str) -> Object:
    return {"id": name, "status": "completed", **item}
