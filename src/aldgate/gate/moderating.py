"""Moderation by another model, for guardrails: a call like any other, of the same principal, through the same gate."""

from __future__ import annotations

import msgspec

from aldgate.core.calls import Call, Outcome
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.guardrails.kinds import Moderation
from aldgate.core.guardrails.verdicts import PASSES, Question, Verdict
from aldgate.core.levels import ALL_SCOPES, Level
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.gate.gate import Gate
from aldgate.gate.whole import whole


class _Result(msgspec.Struct):
    flagged: bool = False
    categories: dict[str, bool] = {}
    category_scores: dict[str, float] = {}


class _Reply(msgspec.Struct):
    results: list[_Result]


_reply = msgspec.json.Decoder(_Reply)


class Moderator:
    """Judges for `Moderation`.

    What it costs is held from the principal's budgets and is in the ledger as `moderate`. Its limits do not count such calls, nor
    do its policies choose their model: it is the operator who asks.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def judge(self, call: Call, question: Question) -> Verdict:
        """A `ports.Judge`."""
        guardrail = question.guardrail
        assert isinstance(guardrail, Moderation)
        texts = [text for text in (question.before + question.texts[0], *question.texts[1:]) if text and not text.isspace()]
        gate = self._gate
        body = msgspec.json.encode({"model": guardrail.model, "input": [_clean(text) for text in texts]})
        asked = gate.call(gate.new_id(), "moderate", _judging(call.principal), OPENAI.peek("moderate", body))
        asked.is_inner = True
        admission = gate.admit(asked) or await gate.admit_shared(asked)
        run = await whole(gate, admission, OPENAI, Outcome(), None)
        try:
            results = _reply.decode(run.first).results
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamInvalid("The provider's reply holds no moderations.") from None
        if not results:
            raise UpstreamInvalid("The provider's reply holds no moderations.")
        found = sorted({category for result in results for category in _over(guardrail, result)})
        return Verdict(f"content of the category `{found[0]}`") if found else PASSES


def _over(guardrail: Moderation, result: _Result) -> list[str]:
    """The categories that block."""
    if guardrail.thresholds:
        scores = result.category_scores
        return [category for category, least in guardrail.thresholds.items() if scores.get(category, 0.0) >= least]
    return [category for category, is_found in result.categories.items() if is_found] if result.flagged else []


def _judging(principal: Principal) -> Principal:
    """The principal as the guardrail's own calls have it: with its budgets, and nothing else of its policies."""
    *above, own = (
        Level(level.kind, level.account, level.name, Policy(scopes=ALL_SCOPES, budgets=level.policy.budgets))
        for level in principal.levels
    )
    return msgspec.structs.replace(principal, levels=(*above, own), rights=Principal.of(principal.kind, own, tuple(above)).rights)


def _clean(text: str) -> str:
    """Halves of characters, which no JSON can carry, are replaced."""
    return text.encode("utf-8", "replace").decode()
