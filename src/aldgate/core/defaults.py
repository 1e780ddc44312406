"""Names that exist without configuration: `default`, `fast`, `cheapest`, `fastest`, `auto`."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from aldgate.core.errors import ModelNotFound
from aldgate.core.routes import Catalogue, Deployment, Plan, Route, Seat, Stage, Strategy
from aldgate.core.usage import Usage

BUILTIN = "builtin"
ECHO = "builtin/echo"
TYPICAL = Usage(input_tokens=1_000, output_tokens=500)
"""The call that models are compared by where none is at hand."""
MOST_SEATS = 16
CAPABILITIES = ("tools", "vision", "json_schema", "audio", "documents")
_NO_CHAT = re.compile(
    r"embed|rerank|moderation|whisper|tts|transcribe|dall-e|image|imagen|veo|sora|realtime|guard|speech|audio|bge-|babbage|davinci",
    re.IGNORECASE,
)


class Wanted(msgspec.Struct, frozen=True):
    """What `default` shall lead to, as far as anybody said: a provider, a model, or both."""

    provider: str = ""
    model: str = ""

    @property
    def names(self) -> list[str]:
        """Its names, the likeliest first."""
        if not self.model:
            return []
        return [f"{self.provider}/{self.model}"] if self.provider else [self.model]


def default_routes(catalogue: Catalogue, wanted: Wanted, problems: list[str]) -> dict[str, Route]:
    """Routes for the names above.

    `default` is the configured model, else the first that chats, of a provider before a builtin one; `fast` the cheapest whose
    price is known, else `default`. `cheapest`, `fastest` and `auto` hold several, of which a call gets one that can do what it
    needs: the cheapest, the one that lately began soonest, or `default` before any other.
    """
    chatting = [deployment for deployment in catalogue.models if chats(deployment)]
    default = _default(catalogue, wanted, chatting, problems)
    if default is None:
        return {}
    able = [each for each in chatting if each.backend != BUILTIN] or chatting
    by_price = sorted((each for each in able if each.price is not None), key=cost_of)
    first = default.deployments[0]
    fast = by_price[0] if by_price else first
    return {
        "default": Route("default", default.deployments, default.plan, is_listed=False, kind="standing name"),
        "fast": Route("fast", (fast,), is_listed=False, kind="standing name"),
        "cheapest": _hidden("cheapest", "lowest-cost", _varied(by_price or [first])),
        "fastest": _hidden("fastest", "lowest-latency", _one_each(by_price or [first])),
        "auto": _hidden("auto", "priority", dict.fromkeys([first, *_varied(by_price)])),
    }


def chats(deployment: Deployment) -> bool:
    """Whether it is a model to talk with. Where its provider does not say, its name tells the others apart."""
    if deployment.operations is not None:
        return "chat" in deployment.operations
    return _NO_CHAT.search(deployment.model) is None


def first_that_chats(catalogue: Catalogue, provider: str) -> str:
    """A provider's first model to talk with, by its full name; empty: it has none."""
    return next((each.id for each in catalogue.models if each.backend == provider and chats(each)), "")


def cost_of(deployment: Deployment, usage: Usage = TYPICAL) -> int:
    """Micro-dollars for a typical call; an unknown price is the highest."""
    return deployment.price.cost(usage) if deployment.price is not None else 1 << 62


def _default(catalogue: Catalogue, wanted: Wanted, chatting: list[Deployment], problems: list[str]) -> Route | None:
    for name in wanted.names:
        try:
            return catalogue.resolve(name)
        except ModelNotFound as error:
            problems.append(f"`routing.default_model`: {error.message}")
    mine = [each for each in chatting if each.backend == wanted.provider]
    others = [each for each in chatting if each.backend != BUILTIN]
    first = next(iter(mine or others), None)
    return catalogue.routes.get(first.id if first is not None else ECHO)


def _varied(by_price: list[Deployment]) -> Iterator[Deployment]:
    """The cheapest, and the cheapest few that can do each thing that not all can: a catalogue may hold thousands."""
    chosen = dict.fromkeys(by_price[:MOST_SEATS])
    for capability in CAPABILITIES:
        chosen |= dict.fromkeys([each for each in by_price if capability not in each.facts.cannot][:4])
    longest = sorted(by_price, key=lambda each: -(each.facts.context_window or 0))[:2]
    return iter(sorted(chosen | dict.fromkeys(longest), key=cost_of))


def _one_each(by_price: list[Deployment]) -> Iterator[Deployment]:
    """The cheapest of each provider: small models are quick, and to know which is quickest all must be tried."""
    cheapest: dict[str, Deployment] = {}
    for each in by_price:
        cheapest.setdefault(each.backend, each)
    return iter(list(cheapest.values())[:MOST_SEATS])


def _hidden(name: str, strategy: Strategy, deployments: Iterable[Deployment]) -> Route:
    seats = tuple(Seat(deployment) for deployment in deployments)
    plan = Plan(stage=Stage(seats, strategy), takes_larger=True) if len(seats) > 1 else None
    return Route(name, tuple(seat.deployment for seat in seats), plan, is_listed=False, kind="standing name")
