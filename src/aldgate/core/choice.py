"""Puts the deployments of a stage in the order in which they are tried, from what is known of them and one random number."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from aldgate.core.defaults import cost_of
from aldgate.core.routes import Deployment, Seat, Stage
from aldgate.core.usage import Usage

Verdict = Literal["ready", "unfit", "limited", "resting"]


class Needs(msgspec.Struct, frozen=True):
    """What a request asks of a model.

    Attributes:
        capabilities: Of those that `core.routes.Facts` knows.
        tokens: Input and expected output together, as far as can be told; 0: cannot be told.
        usage: For comparing prices.
        favourite: Id of the deployment that has this conversation's state or cached prompt; empty: none.
    """

    capabilities: frozenset[str] = frozenset()
    tokens: int = 0
    usage: Usage = Usage(input_tokens=1_000, output_tokens=500)
    favourite: str = ""


class Standing(msgspec.Struct, frozen=True):
    """How a deployment is doing.

    Attributes:
        begins_in_s: Smoothed seconds until it begins to answer; None: it was not asked yet.
        busy: Calls under way there.
        rest_s: Seconds that its breaker or a cooldown still keeps it out.
        why: Why it rests, in words.
        may_answer: It rests only because its credential was told off over another deployment, and may answer all the same.
        wait_s: Seconds until its limits let this call through.
    """

    begins_in_s: float | None = None
    busy: int = 0
    rest_s: float = 0.0
    why: str = ""
    may_answer: bool = False
    wait_s: float = 0.0


FRESH = Standing()


class Choice(msgspec.Struct, frozen=True):
    """A deployment in its place, with what speaks for and against it, if that was collected."""

    deployment: Deployment
    verdict: Verdict
    rank: int = 0
    wait_s: float = 0.0
    pros: tuple[str, ...] = ()
    cons: tuple[str, ...] = ()


_ORDER: dict[Verdict, int] = {"ready": 0, "unfit": 1, "resting": 2, "limited": 3}


def choose(stage: Stage, standings: Mapping[str, Standing], needs: Needs, draw: float, *, collect: bool = False) -> list[Choice]:
    """All deployments of `stage`, best first: those that are ready, then those that likely cannot do it, rest or are at a limit.

    `standings` go by deployment id; one that is missing was never asked. `draw`, from 0 up to 1, decides between equals, by
    their weights. With `collect` the reasons are given too.
    """
    drawn = _drawn(stage.seats, draw)
    keys = {seat.deployment.id: _key(stage, seat, standings.get(seat.deployment.id, FRESH), needs) for seat in drawn}
    choices: list[Choice] = []
    for rank, seat in enumerate(sorted(drawn, key=lambda seat: keys[seat.deployment.id])):
        standing = standings.get(seat.deployment.id, FRESH)
        verdict = _verdict(seat.deployment, standing, needs)
        wait_s = max(standing.rest_s, standing.wait_s)
        choice = Choice(seat.deployment, verdict, rank, wait_s)
        choices.append(_explained(choice, stage, seat, standing, needs) if collect else choice)
    choices.sort(key=lambda choice: (_ORDER[choice.verdict], choice.wait_s if choice.verdict in ("resting", "limited") else 0.0))
    return choices


def lacking(deployment: Deployment, needs: Needs) -> list[str]:
    """What the request needs and the deployment is known not to have."""
    found = sorted(needs.capabilities & deployment.facts.cannot)
    window = deployment.facts.context_window
    if window is not None and needs.tokens > window:
        found.append(f"a context of {needs.tokens} tokens")
    return found


def _verdict(deployment: Deployment, standing: Standing, needs: Needs) -> Verdict:
    if standing.wait_s > 0:
        return "limited"
    if standing.rest_s > 0:
        return "resting"
    return "unfit" if lacking(deployment, needs) else "ready"


def _drawn(seats: Sequence[Seat], draw: float) -> list[Seat]:
    """The seats in random order, each next one with a chance as its weight.

    One number does for all: what is left of it after a choice is again a number from 0 up to 1.
    """
    left = list(seats)
    order: list[Seat] = []
    while left:
        total = sum(seat.weight for seat in left)
        point = draw * total
        chosen = left[-1]
        for seat in left:
            if point < seat.weight:
                chosen = seat
                break
            point -= seat.weight
        draw = min(max(point / chosen.weight, 0.0), 1.0 - 2**-53)
        left.remove(chosen)
        order.append(chosen)
    return order


def _key(stage: Stage, seat: Seat, standing: Standing, needs: Needs) -> tuple[bool, int, float]:
    """What a stage sorts by: who knows the conversation, then the operator's priority, then the strategy."""
    deployment = seat.deployment
    is_other = deployment.id != needs.favourite
    match stage.strategy:
        case "lowest-latency":
            figure = standing.begins_in_s or 0.0  # one that was never asked comes first, once
        case "lowest-cost":
            figure = float(cost_of(deployment, needs.usage))
        case "least-busy":
            figure = standing.busy / seat.weight
        case "weighted":
            figure = 0.0
        case "priority":
            figure = float(stage.seats.index(seat))
    return is_other, seat.priority, figure


def _explained(choice: Choice, stage: Stage, seat: Seat, standing: Standing, needs: Needs) -> Choice:
    pros: list[str] = []
    if choice.deployment.id == needs.favourite:
        pros.append("it answered this conversation before")
    match stage.strategy:
        case "lowest-latency":
            known = standing.begins_in_s
            pros.append("it was not asked yet" if known is None else f"it begins to answer in {known * 1000:.0f} ms")
        case "lowest-cost":
            price = choice.deployment.price
            pros.append("its price is not known" if price is None else f"it costs about {price.cost(needs.usage)} micro-dollars")
        case "least-busy":
            pros.append(f"{standing.busy} calls are under way there")
        case "weighted":
            pros.append(f"it has {seat.weight} of {sum(each.weight for each in stage.seats)} shares")
        case "priority":
            pros.append(f"it is number {stage.seats.index(seat) + 1} of the list")
    cons = [f"it is known to lack {what}" for what in lacking(choice.deployment, needs)]
    if standing.rest_s > 0:
        cons.append(f"it rests for {standing.rest_s:.1f} s: {standing.why}")
    if standing.wait_s > 0:
        cons.append(f"its limits let no call through for {standing.wait_s:.1f} s")
    return msgspec.structs.replace(choice, pros=tuple(pros), cons=tuple(cons))
