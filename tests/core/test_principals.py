from typing import get_args

from aldgate.core.calls import Outcome
from aldgate.core.errors import RateLimited, UpstreamTimeout
from aldgate.core.guardrails.kinds import Pii, Size, Words
from aldgate.core.policies import Policy
from aldgate.core.principals import ALL_SCOPES, CALLER_SCOPES, Level, Operation, Principal
from aldgate.core.usage import NOTHING, Usage


def test_every_operation_has_a_scope_and_nobody_administers_by_default() -> None:
    assert set(get_args(Operation)) < CALLER_SCOPES < ALL_SCOPES
    assert ALL_SCOPES - CALLER_SCOPES == {"admin"}
    assert Principal.of("key", Level("key", "key-1", "shop")).rights.scopes == CALLER_SCOPES


def test_guardrails_of_all_levels_hold_and_the_outermost_act_first() -> None:
    redacts, words, size = Pii(), Words(words=("x",)), Size(most_tokens=5)
    above = (
        Level("organisation", "o", "o", Policy(guardrails=(redacts,))),
        Level("team", "t", "t"),
        Level("user", "u", "u", Policy(guardrails=(words, redacts))),
    )
    own = Level("key", "k", "k", Policy(guardrails=(size,)))
    assert Principal.of("key", own, above).rights.guardrails == (redacts, words, size)


def test_an_outcome_begins_as_nothing_and_keeps_what_was_used_when_it_fails() -> None:
    outcome = Outcome()
    assert (outcome.status, outcome.usage, outcome.usage_source, outcome.error) == (500, NOTHING, "none", None)
    outcome.usage, outcome.usage_source = Usage(3, 4), "reported"
    error = UpstreamTimeout("slow")
    outcome.fail(error)
    assert (outcome.status, outcome.error, outcome.usage.total_tokens) == (504, error, 7)
    outcome.fail(RateLimited("no"))
    assert outcome.status == 429
