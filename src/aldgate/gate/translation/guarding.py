"""Guardrails on a call: its texts pass through them before anything is sent, and its answer's before anything is given out.

A guarded call is always translated, even between equal dialects: so there is one place where its texts are seen, whatever was
spoken. Here the request passes; `guarded.py` has the answer's way.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from aldgate.core.calls import Admission, Call
from aldgate.core.conversation import Conversation
from aldgate.core.errors import ContentBlocked, GatewayError, InvalidRequest
from aldgate.core.guardrails.guard import Guarded, Guards, quoted
from aldgate.core.guardrails.kinds import Guardrail, Judged
from aldgate.core.guardrails.requests import rewrite, texts_of
from aldgate.core.guardrails.stages import Stage, blocked
from aldgate.core.guardrails.verdicts import PASSES, Question, Verdict
from aldgate.core.operations import Request
from aldgate.core.rights import Rights
from aldgate.gate.translation.outgoing import not_too_deep, parsed
from aldgate.ports import FaceDialect, Judge

log = logging.getLogger("aldgate.guardrails")

AT_ONCE = 32_768
"""Characters that are looked at before others have their turn."""


class Guarding:
    """Takes calls through the guardrails of their principals' policies.

    Args:
        judges: Who is asked, by the kind of guardrail.
    """

    def __init__(self, judges: Mapping[type[Judged], Judge]) -> None:
        self._judges = judges
        self._guards = Guards()

    async def check(self, admission: Admission, face: FaceDialect, *, asks: bool = True) -> Guarded:
        """Take the request through. `asks`: guardrails that ask somebody else do so; else they let it pass.

        Raises:
            ContentBlocked: It may not pass.
            InvalidRequest: It holds what cannot be read, or asks for what cannot be looked at.
        """
        call = admission.call
        asked, changed = parsed(face, admission), parsed(face, admission)
        _refuse_unseen(asked)
        guard = self._guards.of(call.principal.rights.guardrails)
        with not_too_deep():
            texts = first = texts_of(changed) if guard.input else []
        passage = guard.passage(texts, partial(_called, call.principal.rights))
        for guardrail in guard.input:
            if isinstance(guardrail, Judged):
                texts = await self._judged(call, Question(guardrail, "request", tuple(texts))) if asks else texts
            else:
                begin = passage.request(guardrail)
                texts = [await _through(begin(), text) for text in texts]
        if texts != first:
            ahead = iter(texts)
            with not_too_deep():
                rewrite(changed, lambda _: next(ahead))
        return Guarded(asked, changed, passage)

    def judge(self, admission: Admission) -> Callable[[list[str], str], Awaitable[list[str]]]:
        """Asks about texts of the answer; returns what stands in their place."""
        guarded = admission.guarded
        assert guarded is not None

        async def ask(texts: list[str], before: str) -> list[str]:
            for guardrail in guarded.passage.guard.judges:
                texts = await self._judged(admission.call, Question(guardrail, "answer", tuple(texts), before))
            return texts

        return ask

    async def _judged(self, call: Call, question: Question) -> list[str]:
        guardrail, verdict = question.guardrail, PASSES
        if any(text and not text.isspace() for text in question.texts):
            verdict = await self._verdict(call, question)
        if verdict.found:
            raise blocked(_called(call.principal.rights, guardrail), question.place, verdict.found)
        texts = question.texts if verdict.texts is None else verdict.texts
        return list(texts)

    async def _verdict(self, call: Call, question: Question) -> Verdict:
        guardrail = question.guardrail
        try:
            judge = self._judges.get(type(guardrail))
            if judge is None:
                raise InvalidRequest("nobody judges for guardrails of this kind")
            return await judge(call, question)
        except GatewayError as error:
            log.warning(
                "a guardrail could not be asked", extra={"guardrail": guardrail.title, "call": call.id, "error": error.code}
            )
            if guardrail.on_failure == "closed":
                named = _called(call.principal.rights, guardrail)
                unknown = f"The guardrail {named} could not judge the {question.place}, and so it may not pass."
                raise ContentBlocked(unknown) from error
            return PASSES


def _called(rights: Rights, guardrail: Guardrail) -> str:
    """A guardrail in the words of a refusal: with the level that has it."""
    level = rights.guarding(guardrail)
    return quoted(guardrail) if level is None else f"{quoted(guardrail)} of {level}"


def _refuse_unseen(asked: Request) -> None:
    """What would pass by the guardrails, or be lost where they look."""
    if not isinstance(asked, Conversation):
        return
    if asked.choices > 1:
        raise InvalidRequest("With guardrails there is one answer to a request.", param="n")
    if asked.top_logprobs is not None:
        raise InvalidRequest("With guardrails there are no log probabilities.", param="logprobs")


async def _through(stage: Stage, text: str) -> str:
    if len(text) <= AT_ONCE:
        return stage.feed(text) + stage.end()
    out: list[str] = []
    for at in range(0, len(text), AT_ONCE):
        out.append(stage.feed(text[at : at + AT_ONCE]))
        await asyncio.sleep(0)
    return "".join(out) + stage.end()
