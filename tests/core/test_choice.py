"""The order of candidates: a property for every strategy, and reasons for it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.choice import Choice, Needs, Standing, choose, lacking
from aldgate.core.defaults import cost_of
from aldgate.core.prices import Price
from aldgate.core.routes import Deployment, Facts, Seat, Stage, Strategy

STRATEGIES: list[Strategy] = ["priority", "weighted", "lowest-latency", "lowest-cost", "least-busy"]
strategies = st.sampled_from(STRATEGIES)
draws = st.floats(0, 1, exclude_max=True)
waits = st.sampled_from([0.0, 0.0, 1.0, 30.0])
standings = st.builds(
    Standing,
    begins_in_s=st.none() | st.floats(0, 10),
    busy=st.integers(0, 9),
    rest_s=waits,
    why=st.just("it failed"),
    wait_s=waits,
)
prices = st.none() | st.builds(Price, input=st.integers(0, 10**7), output=st.integers(0, 10**7))
facts = st.builds(
    Facts, cannot=st.frozensets(st.sampled_from(["tools", "vision"])), context_window=st.none() | st.sampled_from([100, 10_000])
)
needs = st.builds(
    Needs,
    capabilities=st.frozensets(st.sampled_from(["tools", "vision"])),
    tokens=st.sampled_from([0, 50, 5_000]),
    favourite=st.sampled_from(["", "p/0", "p/1", "elsewhere"]),
)
RANK = {"ready": 0, "unfit": 1, "resting": 2, "limited": 3}


def deployment(name: str, price: Price | None = None, known: Facts = Facts()) -> Deployment:
    return Deployment(f"p/{name}", "p", name, price, "file", facts=known)


@st.composite
def stages(draw: st.DrawFn) -> tuple[Stage, dict[str, Standing]]:
    seats = tuple(
        Seat(deployment(str(number), draw(prices), draw(facts)), draw(st.integers(1, 5)), draw(st.integers(0, 2)))
        for number in range(draw(st.integers(1, 5)))
    )
    known = {seat.deployment.id: draw(standings) for seat in seats if draw(st.booleans())}
    return Stage(seats, draw(strategies)), known


@given(stages(), needs, draws)
def test_everybody_is_there_once_and_the_ready_come_first(
    given_stage: tuple[Stage, dict[str, Standing]], wanted: Needs, draw: float
) -> None:
    stage, known = given_stage
    choices = choose(stage, known, wanted, draw)
    assert Counter(choice.deployment.id for choice in choices) == Counter(seat.deployment.id for seat in stage.seats)
    assert [RANK[choice.verdict] for choice in choices] == sorted(RANK[choice.verdict] for choice in choices)
    for choice in choices:
        standing = known.get(choice.deployment.id, Standing())
        assert (choice.verdict == "limited") == (standing.wait_s > 0)
        assert choice.verdict != "ready" or not lacking(choice.deployment, wanted) and not standing.rest_s
    waits_s = [choice.wait_s for choice in choices if choice.verdict == "resting"]
    assert waits_s == sorted(waits_s)


@given(stages(), needs, draws)
def test_among_the_ready_the_favourite_then_priority_then_the_strategy_decides(
    given_stage: tuple[Stage, dict[str, Standing]], wanted: Needs, draw: float
) -> None:
    stage, known = given_stage
    seats = {seat.deployment.id: seat for seat in stage.seats}
    ready = [choice.deployment for choice in choose(stage, known, wanted, draw) if choice.verdict == "ready"]
    if wanted.favourite in {each.id for each in ready}:
        assert ready[0].id == wanted.favourite
    others = [each for each in ready if each.id != wanted.favourite]
    for first, second in zip(others, others[1:], strict=False):
        one, other = seats[first.id], seats[second.id]
        assert one.priority <= other.priority
        if one.priority < other.priority:
            continue
        here, there = known.get(first.id, Standing()), known.get(second.id, Standing())
        match stage.strategy:
            case "priority":
                assert stage.seats.index(one) < stage.seats.index(other)
            case "lowest-latency":
                assert (here.begins_in_s or 0) <= (there.begins_in_s or 0)
            case "least-busy":
                assert here.busy / one.weight <= there.busy / other.weight
            case "lowest-cost":
                assert cost_of(first, wanted.usage) <= cost_of(second, wanted.usage)
            case "weighted":
                pass


@given(stages(), needs, draws)
def test_reasons_change_no_order(given_stage: tuple[Stage, dict[str, Standing]], wanted: Needs, draw: float) -> None:
    stage, known = given_stage

    def in_order(choices: list[Choice]) -> list[str]:
        return [choice.deployment.id for choice in choices]

    explained = choose(stage, known, wanted, draw, collect=True)
    assert in_order(explained) == in_order(choose(stage, known, wanted, draw))
    for choice in explained:
        assert choice.pros and (choice.verdict == "ready") == (not choice.cons)


def test_weights_are_shares() -> None:
    stage = Stage((Seat(deployment("a"), 3), Seat(deployment("b"), 1)), "weighted")
    drawn = [choose(stage, {}, Needs(), step / 1000)[0].deployment.model for step in range(1000)]
    assert Counter(drawn) == {"a": 750, "b": 250}


def test_what_is_left_of_a_draw_chooses_the_next_fairly() -> None:
    stage = Stage(tuple(Seat(deployment(name)) for name in "abc"), "weighted")
    drawn = [choose(stage, {}, Needs(), step / 6000) for step in range(6000)]
    orders = Counter("".join(choice.deployment.model for choice in choices) for choices in drawn)
    assert len(orders) == 6 and all(abs(count - 1000) <= 2 for count in orders.values())


def test_a_small_context_stands_back() -> None:
    small, large = deployment("small", known=Facts(context_window=1_000)), deployment("large")
    stage = Stage((Seat(small), Seat(large)))
    first, second = choose(stage, {}, Needs(tokens=2_000), 0.0, collect=True)
    assert (first.deployment, second.verdict) == (large, "unfit")
    assert second.cons == ("it is known to lack a context of 2000 tokens",)


@pytest.mark.parametrize(
    ("strategy", "pro"),
    [
        ("priority", "it is number 1 of the list"),
        ("weighted", "it has 1 of 1 shares"),
        ("lowest-latency", "it begins to answer in 250 ms"),
        ("lowest-cost", "its price is not known"),
        ("least-busy", "2 calls are under way there"),
    ],
)
def test_each_strategy_says_why(strategy: Strategy, pro: str) -> None:
    stage = Stage((Seat(deployment("a")),), strategy)
    standing = Standing(begins_in_s=0.25, busy=2, rest_s=3.0, why="it failed 5 times in a row", wait_s=2.0)
    (choice,) = choose(stage, {"p/a": standing}, Needs(favourite="p/a"), 0.5, collect=True)
    assert choice.pros == ("it answered this conversation before", pro)
    assert choice.cons == (
        "it rests for 3.0 s: it failed 5 times in a row",
        "its limits let no call through for 2.0 s",
    )
