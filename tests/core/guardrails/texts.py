"""Texts for properties: likely to hold what guardrails look for, whole, broken, side by side; and ways to cut them."""

from hypothesis import strategies as st

from aldgate.core.guardrails.stages import Stage

FINDS = [
    "bob@example.com",
    "+49 30 1234567",
    "(212) 555-1234",
    "4111 1111 1111 1111",
    "4111111111111111",
    "DE89 3704 0044 0532 0130 00",
    "10.1.2.3",
    "2001:db8::8a2e:370:7334",
    "078-05-1120",
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "AKIAIOSFODNN7EXAMPLE",
    "password=Xk29fjq0Zp1",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----",
]
_WORDS = [
    "",
    " ",
    "a",
    "the",
    "@",
    ".",
    "-",
    ":",
    "1",
    "99",
    "::",
    "\n",
    "[",
    "]",
    "[EMAIL_1]",
    "[EMAIL_",
    "é",
    "漢字",
    '"',
    "\\",
    "{",
    ",",
]
texts = st.lists(st.sampled_from(FINDS + _WORDS) | st.text(max_size=5), max_size=12).map("".join)


@st.composite
def cut_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A text, and the same in pieces."""
    text = draw(texts)
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return text, [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def through(stage: Stage, pieces: list[str]) -> str:
    """What a stage makes of a text that comes so; it never holds more than it says."""
    out: list[str] = []
    for piece in pieces:
        out.append(stage.feed(piece))
        assert 0 <= stage.held <= stage.most
    return "".join(out) + stage.end()
