"""The guardrails of a policy, ready for calls; and what they do to one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import msgspec

from aldgate.core.guardrails.finder import Detector, Finder
from aldgate.core.guardrails.jsontext import JsonText, escaped
from aldgate.core.guardrails.kinds import Guardrail, Judged, Language, Pii, Secrets, Size, Words
from aldgate.core.guardrails.patterns import Node, lengths, parse, words
from aldgate.core.guardrails.pii import MOST_CHARACTERS as MOST_PII
from aldgate.core.guardrails.pii import PII
from aldgate.core.guardrails.placeholders import Names, Restoring, Vault
from aldgate.core.guardrails.secrets import MOST_CHARACTERS as MOST_SECRET
from aldgate.core.guardrails.secrets import SECRETS
from aldgate.core.guardrails.stages import Hearing, Measure, Measuring, Refusal, Replacing, Stage, Treat, blocked, masked
from aldgate.core.operations import Request

MOST_MATCH = 1_024
"""Characters of the longest match of an operator's pattern."""
_MOST_GUARDS = 1_024
_MOST_FINDERS = 256
"""What an automaton has learnt serves every guard that looks for the same."""
_K = TypeVar("_K")
_V = TypeVar("_V")
Measures = dict[int, Measure]
"""By the id of the guardrail that they are for."""
Called = Callable[[Guardrail], str]
"""A guardrail in the words of a refusal."""
Local = Pii | Secrets | Words | Size | Language
"""Those that need nobody else."""


def quoted(guardrail: Guardrail) -> str:
    """A guardrail by its title alone."""
    return f"`{guardrail.title}`"


class Pipe:
    """Implements `stages.Stage`: several, one behind the other."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self.most = sum(stage.most for stage in stages)

    @property
    def held(self) -> int:
        """See `stages.Stage`."""
        return sum(stage.held for stage in self._stages)

    def feed(self, text: str) -> str:
        """See `stages.Stage`."""
        for stage in self._stages:
            if not text:
                break
            text = stage.feed(text)
        return text

    def end(self) -> str:
        """See `stages.Stage`."""
        text = ""
        for stage in self._stages:
            text = (stage.feed(text) if text else "") + stage.end()
        return text


class Guard:
    """Guardrails in the order in which they act.

    Attributes:
        input: Those that apply to requests.
        output: Those that apply to answers.
        judges: Those of `output` that ask somebody else.
    """

    def __init__(self, guardrails: tuple[Guardrail, ...]) -> None:
        self.input = tuple(each for each in guardrails if each.applies_to != "output")
        self.output = tuple(each for each in guardrails if each.applies_to != "input")
        self.judges = tuple(each for each in self.output if isinstance(each, Judged))
        self._finders = {id(each): finder for each in guardrails if (finder := _finder(each)) is not None}

    def passage(self, texts: Sequence[str], called: Called = quoted) -> Passage:
        """Begin with a call that has these texts. `called`: as in `Passage`."""
        return Passage(self, texts, called)

    def replacing(self, guardrail: Guardrail, treat: Treat) -> Replacing:
        """The stage of a guardrail that finds things."""
        return Replacing(self._finders[id(guardrail)], treat)


class Passage:
    """One call on its way through a guard. What was taken out of its request lives here and nowhere else.

    Args:
        called: How refusals call a guardrail.
    """

    def __init__(self, guard: Guard, texts: Sequence[str], called: Called) -> None:
        self.guard = guard
        self._called = called
        self._names = Names(texts)
        self._vaults: list[Vault] = []

    def request(self, guardrail: Local) -> Callable[[], Stage]:
        """Makes the stage of one guardrail for each text of the request in turn."""
        vault = Vault(self._names)
        self._vaults.append(vault)
        measure = Measure(guardrail, self._refusal(guardrail, "request")) if isinstance(guardrail, Size) else None
        return lambda: self._stage(guardrail, "request", vault, measure)

    def measures(self) -> Measures:
        """What counts the texts of one answer together."""
        sizes = (each for each in self.guard.output if isinstance(each, Size))
        return {id(each): Measure(each, self._refusal(each, "answer")) for each in sizes}

    def answer(
        self, measures: Measures | None = None, *, restores: bool = True, is_json: bool = False, holds_json: bool = False
    ) -> Stage:
        """For one text of an answer.

        Args:
            measures: Those of the answer; None: it has no other text.
            restores: Put back what was taken out of the request.
            is_json: It is the arguments of a tool.
            holds_json: It was asked to be JSON, and need not be.
        """
        counts = self.measures() if measures is None else measures
        return JsonText(lambda: self._answer(counts, restores, False)) if is_json else self._answer(counts, restores, holds_json)

    def _answer(self, measures: Measures, restores: bool, holds_json: bool) -> Pipe:
        stages: list[Stage] = [
            self._stage(each, "answer", None, measures.get(id(each)))
            for each in self.guard.output
            if not isinstance(each, Judged)
        ]
        if restores:
            stages += (Restoring(vault, escaped if holds_json else None) for vault in reversed(self._vaults) if vault.values)
        return Pipe(stages)

    def _stage(self, guardrail: Local, place: str, vault: Vault | None, measure: Measure | None) -> Stage:
        match guardrail:
            case Size():
                assert measure is not None
                return Measuring(measure)
            case Language():
                return Hearing(guardrail, self._refusal(guardrail, place))
            case _:
                return self.guard.replacing(guardrail, _treatment(guardrail, self._refusal(guardrail, place), vault))

    def _refusal(self, guardrail: Guardrail, place: str) -> Refusal:
        return lambda what: blocked(self._called(guardrail), place, what)


class Guarded(msgspec.Struct):
    """A request that has passed.

    Attributes:
        asked: As it came.
        changed: As it goes on.
    """

    asked: Request
    changed: Request
    passage: Passage


def _treatment(guardrail: Pii | Secrets | Words, refusal: Refusal, vault: Vault | None) -> Treat:
    def refuse(detector: Detector, value: str) -> str:
        raise refusal(detector.what)

    match guardrail.action:
        case "block":
            return refuse
        case "mask":
            return lambda detector, value: masked(value)
        case "redact":
            if vault is None:
                return lambda detector, value: f"[{detector.label}]"
            return lambda detector, value: vault.hide(detector.label, value)


def _finder(guardrail: Guardrail) -> Finder | None:
    match guardrail:
        case Pii():
            return _known_finder(PII, guardrail.finds, MOST_PII)
        case Secrets():
            return _known_finder(SECRETS, guardrail.finds, MOST_SECRET)
        case Words():
            return _word_finder(guardrail.words, guardrail.patterns, guardrail.is_whole, guardrail.ignores_case)
        case _:
            return None


def _known_finder(kinds: Mapping[str, tuple[Detector, ...]], finds: tuple[str, ...], most: int) -> Finder:
    return _shared_finder(tuple(each for kind in kinds if kind in (finds or kinds) for each in kinds[kind]), most)


@lru_cache(_MOST_FINDERS)
def _shared_finder(detectors: tuple[Detector, ...], most: int) -> Finder:
    return Finder(detectors, most)


@lru_cache(_MOST_FINDERS)
def _word_finder(listed: tuple[str, ...], patterns: tuple[str, ...], is_whole: bool, ignores_case: bool) -> Finder:
    nodes: list[Node] = [parse(pattern, ignores_case=ignores_case) for pattern in patterns]
    if listed:
        nodes.append(words(listed, ignores_case=ignores_case, whole=is_whole))
    longest = max(MOST_MATCH if most is None else min(most, MOST_MATCH) for _, most in map(lengths, nodes))
    return Finder([Detector("WORD", "a word that is not allowed", node) for node in nodes], longest)


class Guards:
    """Guards by their guardrails: made once, however many principals have the same."""

    def __init__(self) -> None:
        self._by_place: dict[int, tuple[tuple[Guardrail, ...], Guard]] = {}
        self._by_content: dict[bytes, Guard] = {}

    def of(self, guardrails: tuple[Guardrail, ...]) -> Guard:
        """The guard of a policy: the effective one, with the guardrails of all levels.

        Raises:
            ValueError: The patterns are too large together.
        """
        known = self._by_place.get(id(guardrails))
        if known is not None and known[0] is guardrails:
            return known[1]
        content = msgspec.json.encode(guardrails)
        guard = self._by_content.get(content)
        if guard is None:
            guard = Guard(guardrails)
            _put(self._by_content, content, guard)
        _put(self._by_place, id(guardrails), (guardrails, guard))
        return guard


def _put(into: dict[_K, _V], key: _K, value: _V) -> None:
    if len(into) >= _MOST_GUARDS:
        del into[next(iter(into))]
    into[key] = value
