"""DiffRhythm: songs of lyrics with times and a style in words or sound, by its `infer/infer.py`.

Source: https://github.com/ASLP-lab/DiffRhythm/blob/main/infer/infer.py.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation
from aldgate.engines.asking import check_asked, input_or_none, number
from aldgate.engines.programs.engine import ProgramEngine
from aldgate.engines.programs.program import Program
from aldgate.engines.programs.section import ProgramSection
from aldgate.engines.section import Surroundings, decode_section

BASE_S, MOST_S = 95, 285
"""The length of the base model; the full one makes any longer one up to its own."""
_LINE = re.compile(r"\[\d\d:\d\d\.\d{2,3}\].*")


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> ProgramEngine:
    """An engine of kind `diffrhythm`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    return ProgramEngine(name, decode_section(name, table, ProgramSection), DiffRhythm(), surroundings)


class DiffRhythm(Program):
    """See `Program`."""

    kind = "diffrhythm"
    takes_seed = False

    def check(self, asked: Generation) -> None:
        """See `Program.check`."""
        check_asked(asked, operations=("music",), fields=("lyrics", "duration_s"), roles=("audio",), formats=("wav",))
        number(asked.duration_s, "duration_s", 1, MOST_S)
        if bool(asked.prompt) == bool(asked.inputs):
            raise InvalidRequest("Its style is either a `prompt` or an input `audio`.", param="prompt")
        wrong = next((line for line in asked.lyrics.splitlines() if line.strip() and not _LINE.fullmatch(line.strip())), None)
        if wrong is not None:
            raise InvalidRequest("Its lyrics are lines such as `[00:12.50]words`.", param="lyrics")

    def arguments(self, asked: Generation, folder: Path, seed: int) -> Sequence[str]:
        """See `Program.arguments`."""
        lyrics, output = folder / "lyrics.lrc", folder / "output"
        lyrics.write_text(asked.lyrics.strip() + "\n", encoding="utf-8")
        output.mkdir()
        length = max(BASE_S, round(asked.duration_s or BASE_S))
        given = ["--lrc-path", str(lyrics), "--audio-length", str(length), "--chunked", "--output-dir", str(output)]
        if (audio := input_or_none(asked, "audio")) is None:
            return [*given, "--ref-prompt", asked.prompt]
        reference = folder / f"reference.{audio.mime.rpartition('/')[2].removeprefix('x-').replace('mpeg', 'mp3')}"
        reference.write_bytes(audio.data)
        return [*given, "--ref-audio-path", str(reference)]

    def made(self, folder: Path) -> Sequence[Path]:
        """See `Program.made`."""
        return sorted((folder / "output").glob("output*.wav"))
