"""What `FakePrograms` starts: YuE's and DiffRhythm's `infer.py` and HeartMuLa's library, as far as their callers see them.

A script of its own, which imports nothing of the gate's. A copy of it lies in the folder where it is told what to do and tells
what it did.
"""

import argparse
import os
import signal
import sys
import time
import wave
from pathlib import Path
from typing import Any


def play(output: Path, record: dict[str, Any]) -> None:
    """Work as the folder says, and write a sound to `output`."""
    home = Path(__file__).resolve().parents[1]

    def note(name: str, line: str) -> None:
        with (home / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def stopped(*_: object) -> None:
        note("stopped", str(os.getpid()))
        os._exit(143)

    signal.signal(signal.SIGINT, stopped)
    signal.signal(signal.SIGTERM, stopped)
    note("works", repr(record))
    sys.stdout.write("loading the model\n")
    sys.stderr.write(
        "\rStage1 inference:  50%|#####     | 1/2 [00:01<00:01]\rStage1 inference: 100%|##########| 2/2 [00:02<00:00]\n"
    )
    sys.stdout.flush()
    while (home / "hold").exists():
        time.sleep(0.01)
    fault = (home / "fault").read_text()
    if fault == "fails":
        sys.exit("ValueError: no such stage")
    if fault == "out_of_memory":
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    if fault == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault != "no_files":
        with wave.open(str(output), "wb") as file:
            file.setparams((2, 2, 44100, 0, "NONE", ""))
            file.writeframes(bytes(400))
    note("unloads", str(os.getpid()))


def yue(arguments: list[str]) -> None:
    """YuE's `infer.py`."""
    parser = argparse.ArgumentParser()
    for name in ("--genre_txt", "--lyrics_txt", "--output_dir"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--run_n_segments", "--seed", "--stage2_batch_size"):
        parser.add_argument(name, type=int, default=2)
    parser.add_argument("--use_audio_prompt", action="store_true")
    parser.add_argument("--audio_prompt_path", type=Path)
    given = parser.parse_args(arguments)
    files = {"genre": given.genre_txt.read_text(), "lyrics": given.lyrics_txt.read_text()}
    (given.output_dir / "vocoder").mkdir()
    (given.output_dir / "vocoder" / "stem.mp3").write_bytes(b"stem")
    play(given.output_dir / f"pop_tp0@93_T1@0_rp1@2_maxtk3000_mixed_{given.seed}.mp3", {**vars(given), **files})


def diffrhythm(arguments: list[str]) -> None:
    """DiffRhythm's `infer/infer.py`."""
    parser = argparse.ArgumentParser()
    for name in ("--lrc-path", "--output-dir"):
        parser.add_argument(name, type=Path, required=True)
    style = parser.add_mutually_exclusive_group(required=True)
    style.add_argument("--ref-prompt")
    style.add_argument("--ref-audio-path", type=Path)
    parser.add_argument("--audio-length", type=int, default=95)
    parser.add_argument("--chunked", action="store_true")
    given = parser.parse_args(arguments)
    play(given.output_dir / "output.wav", {**vars(given), "lyrics": given.lrc_path.read_text()})


class HeartMuLaGenPipeline:
    """HeartMuLa's, as far as it is called."""

    @classmethod
    def from_pretrained(cls, path: str, *, device: Any, dtype: Any, version: str, lazy_load: bool) -> "HeartMuLaGenPipeline":
        """Load nothing."""
        assert set(device) == set(dtype) == {"mula", "codec"}
        return cls()

    def __call__(self, inputs: dict[str, str], *, max_audio_length_ms: int, save_path: str, **chosen: Any) -> None:
        """Write a song."""
        texts = {name: Path(path).read_text() for name, path in inputs.items()}
        play(Path(save_path), {**texts, **chosen, "max_audio_length_ms": max_audio_length_ms})


if __name__ == "__main__":
    {"yue": yue, "diffrhythm": diffrhythm}[sys.argv[1]](sys.argv[2:])
