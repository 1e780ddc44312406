"""The tables of `docs/translation.md`: written by `python -m tests.contract.page`, and held to by `test_extras.py`."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aldgate.testing.upstream import FakeUpstream
from aldgate.testing.upstream.said import saying
from tests.contract.cases import HELLO
from tests.contract.differences import DIFFERENCES
from tests.contract.extras import EXTRAS
from tests.contract.faces import FACES
from tests.contract.house import House, opened
from tests.contract.neutral import Ask
from tests.contract.providers import PROVIDERS

PAGE = Path(__file__).parents[2] / "docs" / "translation.md"
TITLES = {
    "openai": "OpenAI's chat",
    "responses": "OpenAI's Responses",
    "anthropic": "Anthropic's messages",
    "gemini": "Gemini's generateContent",
    "ollama": "Ollama's chat",
}
LIKE = {"vertex": "gemini", "vertex-anthropic": "anthropic", "azure": "openai-compatible", "azure-v1": "openai-compatible"}
"""Providers that speak the wire of another one, and behave like it (but for pass-through of a caller's bytes)."""
COLUMNS = [name for name in PROVIDERS if name not in LIKE]
_MARK = "<!-- Made by tests/contract/page.py: `python -m tests.contract.page`. -->"


async def outcome(house: House, face: str, provider: str, name: str) -> str:
    """What becomes of a field: `sent`, `named` in a warning, or refused with `400`.

    Raises:
        AssertionError: It was lost in silence, or the answer is not the one that was given.
    """
    extra = EXTRAS[face][name]
    path, body = house.request(face, provider, Ask(), stream=False)
    house.upstream.forget()
    house.upstream.script(saying(HELLO))
    reply = await house.gate.http.post(path, json={**body, **extra.change}, headers=house.HEADERS)
    if reply.status_code == 400:
        assert FACES[face].fault(reply.json()).message and not house.upstream.requests, reply.text
        return "400"
    assert reply.status_code == 200, reply.text
    assert house.answer(face, reply, stream=False).text == HELLO.text
    sent = json.dumps(json.loads(house.upstream.requests[-1].body), separators=(",", ":"))
    if any(mark in sent for mark in extra.marks):
        return "sent"
    assert extra.word in reply.headers.get("x-aldgate-warnings", ""), sent
    return "named"


def cells() -> dict[tuple[str, str, str], str]:
    """What the page says, by face, provider and field."""
    found: dict[tuple[str, str, str], str] = {}
    text = PAGE.read_text(encoding="utf-8")
    for face, title in TITLES.items():
        part = text.partition(f"### {title}\n")[2].partition("\n#")[0]
        for line in re.findall(r"^\| .* \|$", part, re.MULTILINE)[1:]:
            name, *told = (cell.strip() for cell in line.strip("|").split("|"))
            found |= {(face, provider, name): cell for provider, cell in zip(COLUMNS, told, strict=True)}
    return found


async def _tables(house: House) -> Iterator[str]:
    lines: list[str] = []
    for face, title in TITLES.items():
        lines += [f"### {title}", "", f"| field | {' | '.join(COLUMNS)} |", "|" + "---|" * (len(COLUMNS) + 1)]
        for name in EXTRAS[face]:
            told = [await outcome(house, face, provider, name) for provider in COLUMNS]
            lines.append(f"| {name} | {' | '.join(told)} |")
        lines.append("")
    return iter(lines)


def differences() -> Iterator[str]:
    """The rows of the first table: what the cases of `cases.py` do not carry."""
    yield from ("| callers | provider | what they ask | what becomes of it | why |", "|---|---|---|---|---|")
    for each in DIFFERENCES:
        became = f"named: `{each.named}`" if each.named else "400"
        face = "all" if each.face == "*" else TITLES[each.face]
        yield f"| {face} | {each.provider} | {each.case} | {became} | {each.why} |"


async def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeUpstream() as upstream, opened(Path(folder), upstream) as house:
            tables = [_MARK, "", *differences(), "", "## Field by field", "", *await _tables(house)]
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(_MARK)
    PAGE.write_text(before + "\n".join(tables).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
