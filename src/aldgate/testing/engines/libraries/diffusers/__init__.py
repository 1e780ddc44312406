"""As much of diffusers as its work asks for: pipelines that make small pictures, and fail as they are told to.

They speak with their test through the folder on the path that has the file `is_stand_in`: see `aldgate.testing.engines.programs`.
"""

import json
import os
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def _folder() -> Path:
    return next(Path(each) for each in sys.path if (Path(each) / "is_stand_in").exists())


def _note(name: str, line: str) -> None:
    with (_folder() / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _fault() -> str:
    path = _folder() / "fault"
    return path.read_text(encoding="utf-8") if path.exists() else ""


class _Image:
    def save(self, file: IO[bytes], kind: str) -> None:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0))
        rows = chunk(b"IDAT", zlib.compress(b"\x00\x80\x80" * 2))
        assert kind == "PNG"
        file.write(b"\x89PNG\r\n\x1a\n" + head + rows + chunk(b"IEND", b""))


class _Made:
    def __init__(self, count: int) -> None:
        self.images = [_Image() for _ in range(count)]


class _Pipeline:
    @classmethod
    def from_pretrained(cls, source: str, **given: Any) -> "_Pipeline":
        """As diffusers has it."""
        _note("loads", json.dumps([cls.__name__, source, given]))
        sys.stdout.write("Loading pipeline components...\n")
        if _fault() == "missing":
            raise OSError(f"{source} is not a local folder")
        return cls()

    from_single_file = from_pretrained

    def to(self, device: str) -> "_Pipeline":
        """As diffusers has it."""
        _note("devices", device)
        return self

    def __call__(self, *, callback_on_step_end: Callable[..., Any], generator: list[Any], **given: Any) -> _Made:
        _note("asked", json.dumps(given | {"seeds": [each.seed for each in generator]}, default=str))
        steps = given["num_inference_steps"]
        for step in range(steps):
            try:
                if step == 1:
                    self._half_way(callback_on_step_end)
                callback_on_step_end(self, step, 0, {})
            except BaseException as error:
                if type(error).__name__ == "Stopped":
                    _note("stopped", "1")
                raise
        return _Made(0 if _fault() == "no_images" else given["num_images_per_prompt"])

    def _half_way(self, callback: Callable[..., Any]) -> None:
        _note("works", "1")
        while (_folder() / "hold").exists():
            if _fault() != "deaf":
                callback(self, 0, 0, {})
            time.sleep(0.01)
        if _fault() == "out_of_memory":
            torch: Any = __import__("torch")
            raise torch.OutOfMemoryError("CUDA out of memory")
        if _fault() == "fails":
            raise ValueError("height must be divisible by 8")
        if _fault() == "dies":
            os._exit(9)

    def __del__(self) -> None:
        if sys.meta_path:
            _note("unloads", "1")


class AutoPipelineForText2Image(_Pipeline):
    """As diffusers has it."""


class AutoPipelineForImage2Image(_Pipeline):
    """As diffusers has it."""


class StableDiffusionXLPipeline(_Pipeline):
    """As diffusers has it."""


class StableDiffusionXLImg2ImgPipeline(_Pipeline):
    """As diffusers has it."""
