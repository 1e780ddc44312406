"""Wan2GP: video by its command line, https://github.com/deepbeepmeep/Wan2GP `docs/CLI.md`.

It has no API over HTTP. A process per job loads the model each time, and gives all of the memory back when it ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.core.errors import InvalidRequest, ModelNotFound
from aldgate.core.generation import Generation, Progress
from aldgate.core.levels import Operation
from aldgate.engines.asking import Kinds, check_options, one_of, take_only
from aldgate.engines.mimes import mime_of_name
from aldgate.engines.programs.engine import ProgramEngine
from aldgate.engines.programs.program import Listener, Program
from aldgate.engines.programs.section import ProgramSection
from aldgate.engines.section import Surroundings, decode_section

_TASK = re.compile(r"\[Task (\d+)/(\d+)\]")
_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\]\s*(.*)$")
_FIELDS = (
    "prompt", "negative_prompt", "count", "seed", "width", "height", "steps", "guidance", "duration_s", "format"
)  # fmt: skip
_OPTIONS: Kinds = {
    "force_fps": (str, int),
    "flow_shift": (int, float),
    "embedded_guidance_scale": (int, float),
    "sample_solver": str,
    "activated_loras": list,
    "loras_multipliers": str,
    "video_prompt_type": str,
}


class Wan2GPSection(ProgramSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `wan2gp`. `models` are the `model_type`s that may be asked for."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["python", "wgp.py"])
    """How its program is started, else `python wgp.py`; `--process` and the rest are added. `--profile 4` belongs here."""
    working_dir: str = "."
    """The folder of Wan2GP."""
    settings: dict[str, Any] = {}
    """Settings of every task, as "Export Settings" writes them; what is asked for goes over them."""


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> ProgramEngine:
    """An engine of kind `wan2gp`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, Wan2GPSection)
    if not section.models:
        raise ConfigError(f"[engines.{name}] has no models", hint='name the model types it may use: `models = ["t2v_1.3B"]`')
    return ProgramEngine(name, section, Wan2GP(name, section.models, section.settings), surroundings)


class Wan2GP(Program):
    """See `Program`.

    Args:
        name: The engine's.
        models: What may be asked for.
        settings: Those of every task.
    """

    kind = "wan2gp"
    operations: frozenset[Operation] = frozenset({"video"})
    most_seed = 2**31 - 1

    def __init__(self, name: str, models: Sequence[str], settings: Mapping[str, Any]) -> None:
        self._name = name
        self._models = models
        self._settings = settings

    def check(self, asked: Generation) -> None:
        """See `Program.check`."""
        if asked.model and asked.model not in self._models:
            raise ModelNotFound(f"The engine `{self._name}` has no model `{asked.model}`.", param="model")
        take_only(asked, _FIELDS, roles=("image",))
        one_of(asked.format, "format", ("mp4",))
        check_options(asked, _OPTIONS)
        if len(asked.inputs) > 2:
            raise InvalidRequest("It takes an input `image` to begin with, and one to end with.", param="image")
        if (asked.width is None) != (asked.height is None):
            raise InvalidRequest("It wants both `width` and `height`, or neither.", param="width")

    def arguments(self, asked: Generation, folder: Path, seed: int) -> Sequence[str]:
        """See `Program.arguments`."""
        output, settings = folder / "out", folder / "settings.json"
        output.mkdir()
        settings.write_bytes(msgspec.json.encode(self._task(asked, seed) | _pictures(asked, folder)))
        return ["--process", str(settings), "--output-dir", str(output), "--verbose", "1"]

    def made(self, folder: Path) -> Sequence[Path]:
        """See `Program.made`."""
        return sorted(path for path in (folder / "out").iterdir() if mime_of_name(path.name).startswith(("video/", "image/")))

    def listener(self) -> Listener:
        """See `Program.listener`."""
        return _Told().line

    def details(self, asked: Generation) -> Mapping[str, Any]:
        """See `Program.details`."""
        return {"model": asked.model or self._models[0]}

    def _task(self, asked: Generation, seed: int) -> dict[str, Any]:
        task = {**self._settings, "model_type": asked.model or self._models[0], "prompt": asked.prompt, "seed": seed}
        task |= {"repeat_generation": asked.count, **asked.options}
        if asked.width is not None:
            task["resolution"] = f"{asked.width}x{asked.height}"
        if asked.duration_s is not None:
            task["video_length"] = f"{asked.duration_s:g}s"
        named = {"negative_prompt": asked.negative_prompt, "num_inference_steps": asked.steps, "guidance_scale": asked.guidance}
        return task | {name: value for name, value in named.items() if value not in (None, "")}


class _Told:
    """How far it is, by what it prints."""

    def __init__(self) -> None:
        self._task, self._tasks, self._most = 1, 1, 0.0

    def line(self, line: str) -> Progress | None:
        if (task := _TASK.search(line)) is not None:
            self._task, self._tasks = int(task[1]), max(int(task[2]), 1)
            return None
        if (step := _STEP.match(line)) is None or int(step[2]) == 0:
            return None
        done, steps = int(step[1]), int(step[2])
        self._most = max(self._most, min((self._task - 1 + done / steps) / self._tasks, 1.0))
        return Progress(self._most, done, steps, step[3].strip())


def _pictures(asked: Generation, folder: Path) -> dict[str, str]:
    """The pictures to begin and to end with, written down; nothing where there are none."""
    named: dict[str, str] = {}
    for number, given in enumerate(asked.inputs):
        path = folder / f"input-{number}.{given.mime.rpartition('/')[2]}"
        path.write_bytes(given.data)
        named["image_start" if number == 0 else "image_end"] = str(path)
    return named | {"image_prompt_type": "S" if len(asked.inputs) == 1 else "SE"} if named else named
