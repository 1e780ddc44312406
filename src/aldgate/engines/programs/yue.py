"""YuE: songs of lyrics and a line of tags, by its `infer.py`.

Source: https://github.com/multimodal-art-projection/YuE/blob/main/inference/infer.py.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from aldgate.core.errors import InvalidRequest
from aldgate.core.generation import Generation
from aldgate.engines.asking import check_asked, input_or_none, number
from aldgate.engines.programs.engine import ProgramEngine
from aldgate.engines.programs.program import Program
from aldgate.engines.programs.section import ProgramSection
from aldgate.engines.section import Surroundings, decode_section

SEGMENT_S = 30
"""About what 3000 tokens, its usual number for a section of the lyrics, come to."""
MOST_S = 300


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> ProgramEngine:
    """An engine of kind `yue`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    return ProgramEngine(name, decode_section(name, table, ProgramSection), Yue(), surroundings)


class Yue(Program):
    """See `Program`."""

    kind = "yue"

    def check(self, asked: Generation) -> None:
        """See `Program.check`."""
        fields = ("lyrics", "duration_s", "seed")
        check_asked(asked, operations=("music",), fields=fields, roles=("audio",), formats=("mp3",))
        number(asked.duration_s, "duration_s", 1, MOST_S)
        if not asked.prompt.strip() or not asked.lyrics.lstrip().startswith("["):
            message = "It needs tags in `prompt`, and `lyrics` in sections that begin with `[verse]`, `[chorus]` ..."
            raise InvalidRequest(message, param="lyrics" if asked.prompt.strip() else "prompt")

    def arguments(self, asked: Generation, folder: Path, seed: int) -> Sequence[str]:
        """See `Program.arguments`."""
        genre, lyrics, output = folder / "genre.txt", folder / "lyrics.txt", folder / "output"
        genre.write_text(" ".join(asked.prompt.split()) + "\n", encoding="utf-8")
        lyrics.write_text(asked.lyrics.strip() + "\n", encoding="utf-8")
        output.mkdir()
        given = ["--genre_txt", str(genre), "--lyrics_txt", str(lyrics), "--output_dir", str(output), "--seed", str(seed)]
        if asked.duration_s is not None:
            given += ["--run_n_segments", str(ceil(asked.duration_s / SEGMENT_S))]
        if (audio := input_or_none(asked, "audio")) is not None:
            reference = folder / "reference"
            reference.write_bytes(audio.data)
            given += ["--use_audio_prompt", "--audio_prompt_path", str(reference)]
        return given

    def made(self, folder: Path) -> Sequence[Path]:
        """The mix: it lies beside the folders of its stems, and its name says how it was sampled."""
        mixes = list((folder / "output").glob("*.mp3")) or list((folder / "output").rglob("*mix*.mp3"))
        return sorted(mixes, key=lambda path: path.stat().st_mtime)[-1:]
