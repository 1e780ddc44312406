"""A small JSON instance of a JSON Schema, always the same, with a given text where the schema lets it stand."""

from collections.abc import Iterator
from itertools import islice, permutations
from typing import Any

from aldgate.engines.builtin.number_sample import numbers
from aldgate.engines.builtin.pattern_sample import shortest_match
from aldgate.engines.builtin.pattern_shape import NotSimple
from aldgate.engines.builtin.schema_check import Check, Schema
from aldgate.engines.builtin.schema_merge import Flat, merge
from aldgate.engines.builtin.schema_shape import Unsamplable, check_shape, resolve_pointer

_REFERENCE_DEPTHS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 32)
"""How many `$ref`s may lie inside each other; the first depth that gives an instance gives the smallest."""
_MAX_STEPS = 100_000
_MAX_LETTERS = 1_000_000
_JOINED = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else"})
_MOST_PATTERNS = 4
"""How many patterns one string is tried to be made for; all must match whatever is made."""
_VARIANTS = 20
"""How many other strings or numbers are tried where the first one is not allowed."""

_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "echo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_KEYWORD_TYPES = {
    "object": frozenset(
        {"properties", "required", "minProperties", "additionalProperties", "patternProperties", "propertyNames"}
    ),
    "array": frozenset({"items", "prefixItems", "minItems", "contains"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}


class _TooLarge(Exception):
    """The sample, or the search for it, outgrew its bounds."""


def sample(schema: Schema, text: str, *, once: bool = False) -> Any:
    """Make an instance of `schema`: required properties only, and one more where else no `text` would show.

    Args:
        schema: JSON Schema 2020-12 or draft 7; references within the document.
        text: What strings say, cut or padded to their length.
        once: Only the first string says it; the others are as short as they may be.

    Raises:
        Unsamplable: The schema is malformed, accepts nothing, or asks for more than can be found here.
    """
    check_shape(schema)
    sampler = _Sampler(schema, text, once)
    try:
        for depth in _REFERENCE_DEPTHS:
            found = sampler.find(depth)
            if found is not _NOTHING:
                return found
    except (_TooLarge, RecursionError):
        raise Unsamplable("it asks for too much") from None
    unclear = "; a `pattern` is more than is understood" if sampler.is_unclear else ""
    raise Unsamplable(f"no instance of it was found{unclear}")


_NOTHING = object()


class _Sampler:
    """One search. `_text` is what the next string says; `_letters` and `_steps` are what may still be made and tried."""

    def __init__(self, document: Schema, text: str, once: bool) -> None:
        self._document = document
        self._text = text
        self._once = once
        self._depth = 0
        self._placed = False
        self._steps = _MAX_STEPS
        self._letters = _MAX_LETTERS + len(text)
        self._check = Check(self._resolve, self._step)
        self._resolved: dict[str, Schema] = {}
        self.is_unclear = False
        """Something was rejected for a pattern that is not understood."""

    def find(self, depth: int) -> Any:
        """An instance of the document with at most `depth` references inside each other, or `_NOTHING`."""
        self._depth = depth
        return next(self.values(self._document, 0), _NOTHING)

    def values(self, schema: Schema, references: int) -> Iterator[Any]:
        """Instances of `schema`, simplest first. What a rejected one placed is taken back."""
        before = self._text, self._placed
        for flat, inner in self._flat(schema, references):
            for value in self._candidates(flat, inner):
                if self._accepts(schema, value):
                    yield value
                self._text, self._placed = before

    def _accepts(self, schema: Schema, value: Any) -> bool:
        try:
            return self._check.accepts(schema, value)
        except NotSimple:
            self.is_unclear = True
            return False

    def _resolve(self, reference: str) -> Schema:
        if reference not in self._resolved:
            self._resolved[reference] = resolve_pointer(self._document, reference)
        return self._resolved[reference]

    def _step(self, steps: int = 1, letters: int = 0) -> None:
        self._steps -= steps
        self._letters -= letters
        if self._steps < 0 or self._letters < 0:
            raise _TooLarge

    def _flat(self, schema: Schema, references: int) -> Iterator[tuple[Flat, int]]:
        """The ways to satisfy `schema`, each without references and combinations, and the references they passed."""
        self._step()
        if isinstance(schema, bool):
            if schema:
                yield {}, references
            return
        plain = {key: value for key, value in schema.items() if key not in _JOINED}
        groups: list[list[Schema]] = [[part] for part in schema.get("allOf", ())]
        groups += [schema[key] for key in ("anyOf", "oneOf") if key in schema]
        if "if" in schema:
            yes = {"allOf": [schema["if"], schema.get("then", True)]}
            groups.append([yes, {"allOf": [{"not": schema["if"]}, schema.get("else", True)]}])
        needed = schema.get("required", ())
        groups += [[part] for name, part in schema.get("dependentSchemas", {}).items() if name in needed]
        if "$ref" in schema:
            if references == self._depth:
                return
            references += 1
            groups.insert(0, [self._resolve(schema["$ref"])])
        yield from self._combined(plain, groups, references)

    def _combined(self, base: Flat, groups: list[list[Schema]], references: int) -> Iterator[tuple[Flat, int]]:
        if not groups:
            yield base, references
            return
        for option in groups[0]:
            for flat, inner in self._flat(option, references):
                yield from self._combined(merge(base, flat), groups[1:], inner)

    def _candidates(self, flat: Flat, references: int) -> Iterator[Any]:
        self._step()
        if "const" in flat or "enum" in flat:
            yield from [flat["const"]] if "const" in flat else flat["enum"]
            return
        for name in _types(flat):
            match name:
                case "object":
                    yield from self._objects(flat, references)
                case "array":
                    yield from self._arrays(flat, references)
                case "string":
                    yield from self._strings(flat)
                case "boolean":
                    yield from (False, True)
                case "null":
                    yield None
                case _:
                    yield from numbers(flat, name == "integer", _VARIANTS)

    def _strings(self, flat: Flat) -> Iterator[str]:
        least, most = flat.get("minLength", 0), flat.get("maxLength")
        self._step(letters=least)
        if "pattern" in flat:
            yield from self._matching(flat["pattern"], least, most)
            return
        if flat.get("format") in _FORMATS:
            yield _FORMATS[flat["format"]]
            return
        text = self._text if len(self._text) < self._letters else ""
        self._step(letters=len(text))
        self._placed = True
        self._text = "" if self._once else self._text
        yield text[:most].ljust(least, "x")
        for variant in range(1, _VARIANTS):
            self._step(letters=len(text))
            mark = str(variant)
            yield text[: None if most is None else max(0, most - len(mark))].ljust(max(0, least - len(mark)), "x") + mark
        yield "x" * least

    def _matching(self, pattern: str | list[str], least: int, most: int | None) -> Iterator[str]:
        """Strings that one of the patterns matches; where there are several, also one match behind another's."""
        patterns = [pattern] if isinstance(pattern, str) else pattern[:_MOST_PATTERNS]
        made = [shortest_match(each, self._text, least, most) for each in patterns]
        self.is_unclear |= None in made
        yield from (text for text in made if text is not None)
        if len(patterns) > 1:
            short = [shortest_match(each, "") or "" for each in patterns]
            for joined in map("".join, permutations(short)):
                self._step(letters=len(joined))
                if least <= len(joined) <= (len(joined) if most is None else most):
                    yield joined

    def _arrays(self, flat: Flat, references: int) -> Iterator[list[Any]]:
        first, wanted = flat.get("prefixItems", []), flat.get("contains", True)
        needed = flat.get("minContains", 1) if "contains" in flat else 0
        items: list[Any] = []
        for at in range(max(flat.get("minItems", 0), needed)):
            self._step()
            schema = first[at] if at < len(first) else flat.get("items", True)
            if at < needed:
                schema = {"allOf": [schema, wanted]}
            if flat.get("uniqueItems"):
                schema = {"allOf": [schema, {"not": {"enum": list(items)}}]}
            item = next(self.values(schema, references), _NOTHING)
            if item is _NOTHING:
                return
            items.append(item)
        yield items

    def _objects(self, flat: Flat, references: int) -> Iterator[dict[str, Any]]:
        known: dict[str, Schema] = flat.get("properties", {})
        required = _all_required(flat)
        made: dict[str, Any] = {}
        for name in [*(name for name in known if name in required), *(name for name in required if name not in known)]:
            value = self._member(flat, name, references)
            if value is _NOTHING:
                return
            made[name] = value
        if not self._placed:
            yield from self._with_text(made, known, references)
        if len(made) < flat.get("minProperties", 0):
            for name in self._names(flat, references):
                value = _NOTHING if name in made else self._member(flat, name, references)
                if value is not _NOTHING:
                    made[name] = value
                if len(made) == flat["minProperties"]:
                    break
            else:
                return
        yield made
        optional = {name: self._member(flat, name, references) for name in known if name not in made}
        yield made | {name: value for name, value in optional.items() if value is not _NOTHING}

    def _member(self, flat: Flat, name: str, references: int) -> Any:
        """A value for the member `name`, or `_NOTHING`."""
        try:
            parts = self._check.members(flat, name)
        except NotSimple:
            self.is_unclear = True
            return _NOTHING
        return next(self.values(parts[0] if len(parts) == 1 else {"allOf": parts}, references), _NOTHING)

    def _names(self, flat: Flat, references: int) -> Iterator[str]:
        """Names that members may have: the known ones, such as patterns want, any."""
        allowed: Schema = flat.get("propertyNames", True)
        yield from (name for name in flat.get("properties", ()) if self._accepts(allowed, name))
        patterns = flat.get("patternProperties", ())
        guesses = [shortest_match(pattern, "", least) for pattern in patterns for least in range(_VARIANTS)]
        for guess in (*guesses, *(f"property{at}" for at in range(1, 100))):
            if guess is not None and self._accepts(allowed, guess):
                yield guess
        if allowed is not True:
            before = self._text, self._placed
            self._text = "property"
            made = list(islice(self.values({"allOf": [{"type": "string"}, allowed]}, references), 100))
            self._text, self._placed = before
            yield from made

    def _with_text(self, made: dict[str, Any], known: dict[str, Schema], references: int) -> Iterator[dict[str, Any]]:
        """`made` with the first optional string in it."""
        for name, schema in known.items():
            if name not in made:
                value = next(self.values({"allOf": [schema, {"type": "string"}]}, references), _NOTHING)
                if value is not _NOTHING and self._placed:
                    yield made | {name: value}
                    return


def _all_required(flat: Flat) -> list[str]:
    """What is required, and what that requires in turn."""
    required: list[str] = list(flat.get("required", ()))
    dependents: dict[str, list[str]] = flat.get("dependentRequired", {})
    for name in required:  # grows while it is read
        required += [other for other in dependents.get(name, ()) if other not in required]
    return required


def _types(flat: Flat) -> list[str]:
    """The JSON types to try: null last, and where none is said, what the other keywords are about, else a string."""
    given = flat.get("type")
    if given is None:
        meant = [name for name, keywords in _KEYWORD_TYPES.items() if not keywords.isdisjoint(flat)]
        return meant or ["string", *_KEYWORD_TYPES, "boolean", "null"]
    names: list[str] = [given] if isinstance(given, str) else given
    return sorted(names, key=lambda name: name == "null")
