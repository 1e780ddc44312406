"""Log probabilities in Gemini's words (https://ai.google.dev/api/generate-content#LogprobsResult)."""

from __future__ import annotations

from itertools import zip_longest

import msgspec

from aldgate.core.conversation import TokenLogprob
from aldgate.dialects.gemini.keys import Object


class _Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float = 0.0


class _Top(msgspec.Struct):
    candidates: list[_Token] | None = None


class LogprobsResult(msgspec.Struct, rename="camel"):
    """Of a candidate, or of a piece of one: at each step what was chosen, and what was likeliest."""

    chosen_candidates: list[_Token] | None = None
    top_candidates: list[_Top] | None = None

    def tokens(self) -> list[TokenLogprob]:
        """All that were chosen."""
        steps = zip_longest(self.chosen_candidates or (), self.top_candidates or ())
        return [
            TokenLogprob(
                chosen.token,
                chosen.log_probability,
                None,
                [TokenLogprob(each.token, each.log_probability) for each in (top and top.candidates) or ()],
            )
            for chosen, top in steps
            if chosen is not None
        ]


def result_of(tokens: list[TokenLogprob]) -> Object:
    """They as a candidate has them."""
    said: Object = {"chosenCandidates": [_said(each) for each in tokens]}
    if any(each.instead for each in tokens):
        said["topCandidates"] = [{"candidates": [_said(other) for other in each.instead]} for each in tokens]
    return said


def _said(each: TokenLogprob) -> Object:
    return {"token": each.token, "logProbability": each.logprob}
