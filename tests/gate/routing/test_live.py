"""What is known of deployments, kept beside the catalogue."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.breakers import CREDENTIAL_REST_S, FAILURES, FIRST_REST_S, LONGEST_COOLDOWN_S
from aldgate.core.errors import (
    GatewayError,
    InvalidRequest,
    UpstreamAuth,
    UpstreamBroken,
    UpstreamLimited,
    UpstreamOverloaded,
    UpstreamRejected,
)
from aldgate.core.limits import UNLIMITED, Limits
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.gate.routing import live as module
from aldgate.gate.routing.live import Live
from tests.gate.fleet import Hands

SMALL = Deployment("lab/small", "lab", "small", FREE, "file")
LARGE = Deployment("lab/large", "lab", "large", FREE, "file")
OTHER = Deployment("other/small", "other", "small", FREE, "file")
ECHO = Deployment("builtin/echo", "builtin", "echo", FREE, "builtin")


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def live(hands: Hands) -> Live:
    return Live(lambda: hands.at, lambda: hands.drawn, hands.pause)


def rests(live: Live, *deployments: Deployment) -> list[float]:
    return [live.standing(each, UNLIMITED, 0).rest_s for each in deployments]


@pytest.mark.parametrize(
    ("error", "small", "large"),
    [
        (UpstreamAuth("no", upstream_status=401), CREDENTIAL_REST_S, CREDENTIAL_REST_S),
        (UpstreamAuth("no", upstream_status=403), CREDENTIAL_REST_S, CREDENTIAL_REST_S),
        (UpstreamLimited("no", upstream_status=402), CREDENTIAL_REST_S, CREDENTIAL_REST_S),
        (UpstreamLimited("no", upstream_status=429, retry_after_s=7), 7, 7),
        (UpstreamLimited("no", upstream_status=429), CREDENTIAL_REST_S, CREDENTIAL_REST_S),
        (UpstreamOverloaded("no", retry_after_s=9), 9, 0),
        (UpstreamBroken("no"), 0, 0),
        (UpstreamRejected("no"), 0, 0),
        (InvalidRequest("no"), 0, 0),
    ],
)
def test_who_rests_after_what(live: Live, error: GatewayError, small: float, large: float) -> None:
    live.failed(SMALL, error)
    assert rests(live, SMALL, LARGE, OTHER) == [small, large, 0]


def test_an_answer_ends_all_rest_and_a_refusal_of_the_request_is_one(live: Live, hands: Hands) -> None:
    for _ in range(FAILURES):
        live.failed(SMALL, UpstreamBroken("no"))
    assert rests(live, SMALL) == [FIRST_REST_S] and live.troubled == {"lab/small"}
    assert live.standing(SMALL, UNLIMITED, 0).why == "it failed 5 times in a row"
    live.failed(SMALL, UpstreamRejected("no"))
    assert rests(live, SMALL) == [0]
    live.failed(SMALL, UpstreamAuth("no", upstream_status=401))
    assert list(live.cooldowns()) == [("lab", CREDENTIAL_REST_S)]
    hands.at += 1
    live.began(LARGE, 0.5)
    live.served(LARGE)
    assert rests(live, SMALL) == [0] and list(live.cooldowns()) == []


def test_another_model_that_answers_shows_that_the_limit_was_the_models_own(live: Live, hands: Hands) -> None:
    live.failed(SMALL, UpstreamLimited("no", upstream_status=429, retry_after_s=30))
    assert live.standing(LARGE, UNLIMITED, 0).may_answer and not live.standing(SMALL, UNLIMITED, 0).may_answer
    assert live.standing(LARGE, UNLIMITED, 0).why == "`lab` limits our credential"
    hands.at += 1
    live.began(LARGE, 2.0)  # asked before the limit was met: that shows nothing
    assert rests(live, SMALL, LARGE) == [29, 29]
    live.began(LARGE, 0.5)
    assert rests(live, SMALL, LARGE) == [29, 0]


def test_a_refused_credential_is_refused_for_every_model(live: Live) -> None:
    live.failed(SMALL, UpstreamAuth("no", upstream_status=401))
    assert not live.standing(LARGE, UNLIMITED, 0).may_answer
    assert live.standing(LARGE, UNLIMITED, 0).why == "`lab` refused our credential, or our account there is empty"


any_error = st.builds(
    lambda kind, status, after: kind("no", upstream_status=status, retry_after_s=after),
    st.sampled_from([UpstreamAuth, UpstreamLimited, UpstreamOverloaded, UpstreamBroken, UpstreamRejected]),
    st.sampled_from([None, 401, 402, 403, 429]),
    st.none() | st.integers(1, 60),
)
events = st.lists(st.tuples(st.sampled_from([SMALL, LARGE, OTHER]), any_error | st.none(), st.floats(0, 90)), max_size=30)


@given(events)
def test_only_who_shares_a_credential_rests_with_it_and_never_for_ever(events: list[tuple[Deployment, Any, float]]) -> None:
    hands = Hands()
    live = Live(lambda: hands.at, lambda: hands.drawn, hands.pause)
    for deployment, error, seconds in events:
        hands.at += seconds
        others = [each for each in (SMALL, LARGE, OTHER) if each.backend != deployment.backend]
        before = rests(live, *others)
        if error is None:
            live.began(deployment, 0.0)
            assert rests(live, deployment) == [0]
        else:
            live.failed(deployment, error)
            mates = [each for each in (SMALL, LARGE) if deployment.backend == "lab"]
            if isinstance(error, UpstreamAuth | UpstreamLimited):
                least = error.retry_after_s or CREDENTIAL_REST_S
                assert all(rest >= least - 1e-6 for rest in rests(live, deployment, *mates))
        assert rests(live, *others) == before
    hands.at += LONGEST_COOLDOWN_S
    assert rests(live, SMALL, LARGE, OTHER) == [0, 0, 0]


def test_the_builtin_engines_never_rest(live: Live) -> None:
    for _ in range(2 * FAILURES):
        live.failed(ECHO, UpstreamBroken("no"))
    assert rests(live, ECHO) == [0] and not live.troubled


def test_the_time_to_begin_is_smoothed(live: Live) -> None:
    assert live.standing(SMALL, UNLIMITED, 0).begins_in_s is None
    live.began(SMALL, 1.0)
    live.began(SMALL, 2.0)
    assert live.standing(SMALL, UNLIMITED, 0).begins_in_s == pytest.approx(1.2)


def test_a_stay_counts_once_and_gives_back_what_it_did_not_use(live: Live, hands: Hands) -> None:
    limits = Limits(tpm=100, concurrency=1)
    stay = live.enter(SMALL, limits, 80)
    assert live.standing(SMALL, limits, 80).busy == 1 and live.standing(SMALL, limits, 80).wait_s > 0
    stay.leave(10)
    stay.leave(10)
    standing = live.standing(SMALL, limits, 80)
    assert (standing.busy, standing.wait_s, live.limiter.in_flight()) == (0, 0, 0)


def test_a_probe_that_says_nothing_makes_way_for_the_next(live: Live, hands: Hands) -> None:
    for _ in range(FAILURES):
        live.failed(SMALL, UpstreamBroken("no"))
    hands.at += FIRST_REST_S
    probe = live.enter(SMALL)
    assert rests(live, SMALL) == [1.0] and live.standing(SMALL, UNLIMITED, 0).why == "it is being probed"
    probe.leave(0)
    assert rests(live, SMALL) == [0]


def test_made_up_names_push_out_only_the_idle(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STATES", 3)
    live.enter(SMALL)
    live.failed(LARGE, UpstreamBroken("no"))
    for number in range(10):
        live.state(Deployment(f"lab/{number}", "lab", str(number), FREE, "file"))
    assert len(live._states) == 3 and live.state(SMALL).busy == 1 and not live.troubled
