"""HeartMuLa: songs of lyrics and tags, by its library in a process of its own, or by a server around it.

The library is https://github.com/HeartMuLa/heartlib; `heartmula_child.py` calls it. The server answers
`POST /v1/music/generations` when it is done, and is asked where the table has no `command`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path, PurePosixPath
from typing import Any, cast

import msgspec

from aldgate.core.errors import InvalidRequest, NotSupported, UpstreamBroken, UpstreamError, UpstreamInvalid, UpstreamRejected
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Recovery
from aldgate.core.levels import Operation
from aldgate.engines import heartmula_child
from aldgate.engines.address import reach
from aldgate.engines.asking import Kinds, check_asked, number
from aldgate.engines.endings import within
from aldgate.engines.http import EngineHttp
from aldgate.engines.mimes import mime_of_name
from aldgate.engines.programs.engine import ProgramEngine
from aldgate.engines.programs.program import Program
from aldgate.engines.programs.section import ProgramSection
from aldgate.engines.section import EngineSection, Surroundings, decode_section
from aldgate.making import Engine, Run

MOST_S = 600
USUAL_S = 30.0
OPTIONS: Kinds = {"temperature": (int, float), "top_k": int}


class LibrarySection(ProgramSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The library: `command` is the Python of its environment."""

    weights: str
    """Folder of the model's files."""
    version: str = "3B"
    """Which model they are."""
    lazy_load: bool = True
    """Each stage leaves the device before the next comes."""


class ServerSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The server."""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> Engine:
    """An engine of kind `heartmula`: with a `command` the library, else the server.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    if "command" in table:
        section = decode_section(name, table, LibrarySection)
        return ProgramEngine(name, section, HeartMulaProgram(section), surroundings)
    server = decode_section(name, table, ServerSection)
    return HeartMulaServer(name, server, reach(name, server, surroundings, usual="http://127.0.0.1:9920"))


def _check(asked: Generation, fields: Sequence[str], formats: Sequence[str]) -> None:
    fields = ("lyrics", "duration_s", *fields)
    check_asked(asked, operations=("music",), fields=fields, formats=formats, options=OPTIONS)
    number(asked.duration_s, "duration_s", 1, MOST_S)
    if not asked.prompt.strip() and not asked.lyrics.strip():
        raise InvalidRequest("It needs tags in `prompt`, or `lyrics`.", param="prompt")


def _tags(prompt: str) -> str:
    """Tags as it was taught them: between commas, without spaces around."""
    return ",".join(tag.strip() for tag in prompt.split(",") if tag.strip())


class HeartMulaProgram(Program):
    """See `Program`.

    Args:
        section: Where its model is.
    """

    kind = "heartmula"

    def __init__(self, section: LibrarySection) -> None:
        self._section = section

    def check(self, asked: Generation) -> None:
        """See `Program.check`."""
        _check(asked, ("seed", "guidance"), ("mp3",))

    def arguments(self, asked: Generation, folder: Path, seed: int) -> Sequence[str]:
        """See `Program.arguments`."""
        told = {
            "weights": self._section.weights,
            "version": self._section.version,
            "lazy_load": self._section.lazy_load,
            "tags": _tags(asked.prompt),
            "lyrics": asked.lyrics,
            "length_ms": round((asked.duration_s or USUAL_S) * 1000),
            "guidance": asked.guidance,
            "temperature": asked.options.get("temperature"),
            "top_k": asked.options.get("top_k"),
            "seed": seed,
            "output": str(folder / "song.mp3"),
        }
        (folder / "asked.json").write_bytes(msgspec.json.encode(told))
        return [str(Path(heartmula_child.__file__)), str(folder / "asked.json")]

    def made(self, folder: Path) -> Sequence[Path]:
        """See `Program.made`."""
        return list(folder.glob("song.mp3"))


class HeartMulaServer:
    """A server around the library. It answers when the song is made, and nobody can make it stop.

    Args:
        name: As configured.
        section: Its table.
        http: Its address.
    """

    kind = "heartmula"
    recovery: Recovery = "wait"
    operations: frozenset[Operation] = frozenset({"music"})

    def __init__(self, name: str, section: ServerSection, http: EngineHttp) -> None:
        self.name = name
        self._section = section
        self._http = http

    async def state(self) -> EngineState:
        """Whether it is there."""
        await self._http.json("GET", "/health")
        return EngineState(models=(EngineModel(name="heartmula", operations=self.operations),))

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Ask and wait. See `Engine.generate`."""
        _check(asked, (), ("wav",))
        told = {"prompt": asked.prompt, "lyrics": asked.lyrics or None, "tags": _tags(asked.prompt) or None}
        told |= {"duration": asked.duration_s or USUAL_S, **asked.options}
        async with within(self.name, self._section.run_timeout_s):
            await run.submitting(run.reference)
            body = {key: value for key, value in told.items() if value is not None}
            limit = self._section.run_timeout_s
            reply = await self._http.json("POST", "/v1/music/generations", json=body, timeout_s=limit)
            try:
                path = str(reply["audio_url"])
            except (KeyError, TypeError):
                raise UpstreamInvalid(f"What answers as the engine `{self.name}` is no HeartMuLa.") from None
            await self._keep(path, run)
        return Generated()

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """None: only whoever asked is answered."""
        return None

    async def stop(self, handle: str) -> None:
        """Nobody can make it end, or know that it has."""
        raise UpstreamError(f"The engine `{self.name}` cannot be stopped; it goes on until its song is made.")

    async def unload(self, model: str = "") -> None:
        """It has no word for it."""
        raise NotSupported(f"The engine `{self.name}` holds its memory until its process is stopped.")

    async def aclose(self) -> None:
        """See `Engine.aclose`."""
        await self._http.aclose()

    async def _keep(self, path: str, run: Run) -> None:
        if not path.startswith("/") or path.startswith("//"):
            raise UpstreamInvalid(f"The engine `{self.name}` names a file that is somewhere else.")
        name = PurePosixPath(path).name
        try:
            async with aclosing(cast("Any", self._http.pieces("GET", path))) as pieces:
                await run.save(pieces, mime=mime_of_name(name), name=name)
        except UpstreamRejected as error:
            raise UpstreamBroken(f"The engine `{self.name}` does not give out what it made: {error.message}") from None
