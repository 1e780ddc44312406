"""What went before a request: kept responses that it continues, and items that it refers to."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.errors import BodyTooLarge, InvalidRequest, PreviousResponseNotFound
from aldgate.core.kept import KeptResponse
from aldgate.dialects.responses.history import Turn, continued, references, resolved
from aldgate.dialects.responses.requests import governed
from aldgate.storage import Store

MOST_KEPT = 4
"""A chain of kept responses may come to so many times the largest body: each repeats what it was asked with."""
MOST_REFERRED = 100
"""Responses that one request may take items from, each of which is looked for in the database."""
Recall = Callable[[str], list[Turn] | None]
"""Turns up to a response that only this connection remembers, or None."""
_ENDED_WELL = frozenset({"completed", "incomplete"})


class History:
    """What went before, for one account at a time.

    Args:
        store: Where responses are kept.
        max_body_bytes: The most that a request may come to with all that went before.
    """

    def __init__(self, store: Store, max_body_bytes: int) -> None:
        self._store = store
        self._max_body_bytes = max_body_bytes

    async def filled(self, account: str, peek: Peek, recall: Recall | None = None) -> bytes:
        """The body of the request with everything it refers to.

        Raises:
            PreviousResponseNotFound: It continues a response that is not there.
            InvalidRequest: It refers to an item that is not there.
            BodyTooLarge: All together is too much.
        """
        names = references(peek)
        if names:
            bodies = await self._referred(account, names)
            peek = msgspec.structs.replace(peek, body=resolved(peek, bodies, self._max_body_bytes))
        previous = governed(peek).previous_response_id if b'"previous_response_id"' in peek.body else None
        if previous is None:
            return peek.body
        turns = (recall(previous) if recall is not None else None) or await self.turns(account, previous)
        body = continued(peek, turns)
        if len(body) > self._max_body_bytes:
            raise BodyTooLarge(f"The conversation has come to {len(body)} bytes; at most {self._max_body_bytes} are taken.")
        return body

    async def _referred(self, account: str, names: Collection[str]) -> dict[str, bytes]:
        if len(names) > MOST_REFERRED:
            raise InvalidRequest(f"The input refers to items of more than {MOST_REFERRED} responses.", param="input")
        now, room = time.time(), MOST_KEPT * self._max_body_bytes
        bodies: dict[str, bytes] = {}
        for name in names:
            kept = await self._store.find_response(account, name, now)
            if kept is None:
                continue
            bodies[name] = kept.body
            room -= len(kept.body)
            if room < 0:
                raise BodyTooLarge("The responses that the input refers to are too much to be read at once.")
        return bodies

    async def chain(self, account: str, response_id: str) -> list[KeptResponse]:
        """A response and all that it continued, oldest first, as far as it is there.

        Raises:
            BodyTooLarge: It is more than one process should hold for one caller.
        """
        return await self._store.response_chain(account, response_id, MOST_KEPT * self._max_body_bytes)

    async def turns(self, account: str, response_id: str) -> list[Turn]:
        """All that was said up to and with a response.

        Raises:
            PreviousResponseNotFound: It, or one that it stands on, is not there.
        """
        chain = await self.chain(account, response_id)
        if not chain or chain[0].previous_id is not None:
            raise PreviousResponseNotFound(
                f"There is no response `{response_id[:100]}` that could be continued.", param="previous_response_id"
            )
        if chain[-1].status not in _ENDED_WELL:
            name = chain[-1].id
            raise InvalidRequest(f"`{name}` cannot be continued: it is not completed.", param="previous_response_id")
        return [(kept.input, kept.body) for kept in chain]
