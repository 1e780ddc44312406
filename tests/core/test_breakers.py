"""A breaker under any order of events, with time that only goes on; and the rest of a credential."""

from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.breakers import FAILURES, FIRST_REST_S, LONGEST_COOLDOWN_S, LONGEST_REST_S, Breaker, Cooldown

steps = st.lists(st.tuples(st.sampled_from(["began", "failed", "cool", "gave up"]), st.floats(0, 40)), max_size=40)


@given(steps)
def test_it_rests_only_after_failures_and_never_for_ever(events: list[tuple[str, float]]) -> None:
    breaker, now, in_a_row, cooled = Breaker(), 0.0, 0, False
    for event, seconds in events:
        now += seconds
        if breaker.rest_s(now) == 0:
            assert breaker.begin() is (breaker.open_until > 0)
            assert not breaker.begin(), "one probe at a time"
        match event:
            case "began":
                breaker.succeeded()
                in_a_row, cooled = 0, False
            case "failed":
                breaker.failed(now)
                in_a_row += 1
            case "cool":
                breaker.cool(now, seconds * 100)
                cooled = True
            case _:
                breaker.gave_up()
        assert breaker.rest_s(now) <= max(LONGEST_REST_S, LONGEST_COOLDOWN_S) + 1e-6  # a difference of two floats
        if in_a_row < FAILURES and not cooled:
            assert breaker.state(now) == "closed" and breaker.rest_s(now) == 0
        if event == "failed" and in_a_row == FAILURES:
            assert breaker.state(now) == "open"


def test_who_only_begins_to_answer_is_not_trusted_yet() -> None:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.began()
        breaker.failed(0.0)
    assert breaker.state(0.0) == "open"
    breaker.began()
    assert breaker.state(0.0) == "closed"
    breaker.failed(0.0)
    assert breaker.rest_s(0.0) == 2 * FIRST_REST_S


def test_each_failed_probe_doubles_the_rest() -> None:
    breaker, now, rests = Breaker(), 0.0, []
    for _ in range(FAILURES - 1):
        breaker.failed(now)
    for _ in range(7):
        breaker.failed(now)
        rests.append(breaker.rest_s(now))
        now += rests[-1]
        assert breaker.state(now) == "half-open" and breaker.begin()
        assert breaker.state(now) == "open"
    assert rests == [min(LONGEST_REST_S, FIRST_REST_S * 2**opening) for opening in range(7)]
    breaker.succeeded()
    assert breaker == Breaker()


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1_000), st.booleans()), min_size=1, max_size=20))
def test_a_credential_rests_as_long_as_was_said_last_or_longest_and_not_for_ever(said: list[tuple[float, float, bool]]) -> None:
    now = 0.0
    cooldown = Cooldown(now, now, is_refused=False)
    for passed, seconds, is_refused in said:
        asked_before = now - 1
        now += passed
        left = cooldown.rest_s(now)
        cooldown.extend(now, seconds, is_refused=is_refused)
        assert cooldown.rest_s(now) >= max(left, min(seconds, LONGEST_COOLDOWN_S)) - 1e-6
        assert cooldown.rest_s(now) <= LONGEST_COOLDOWN_S + 1e-6 and cooldown.is_refused is is_refused
        assert cooldown.is_disproved_by(now) and not cooldown.is_disproved_by(asked_before)
    assert cooldown.rest_s(now + LONGEST_COOLDOWN_S) == 0
