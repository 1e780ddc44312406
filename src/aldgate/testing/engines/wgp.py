"""Wan2GP's command line, a script of the standard library: `python wgp.py FOLDER --process settings.json --output-dir DIR`."""

import argparse
import json
import sys
import time
from pathlib import Path


def _note(folder: Path, name: str, line: str) -> None:
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def _fault(folder: Path) -> str:
    path = folder / "fault"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _work(folder: Path, output: Path, task: int, tasks: int, seed: int) -> None:
    _say(f"[Task {task}/{tasks}]\n")
    for step in range(1, 5):
        _say(f"\r  [{step}/4] Denoising")
        if step == 2 and task == 1:
            _note(folder, "works", str(seed))
            while (folder / "hold").exists():
                time.sleep(0.01)
    _say("\n")
    if _fault(folder) != "no_files":
        (output / f"video_{task}.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(64))


def main() -> int:
    """The exit status: 0 all done, 1 failed, 130 interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--process", type=Path)
    parser.add_argument("--output-dir", type=Path)
    parser.add_argument("--verbose")
    given = parser.parse_args()
    settings = json.loads(given.process.read_text(encoding="utf-8"))
    (given.folder / "settings").write_text(json.dumps(settings), encoding="utf-8")
    fault = _fault(given.folder)
    _note(given.folder, "loads", settings["model_type"])
    if fault in ("out_of_memory", "fails"):
        _say("torch.OutOfMemoryError: CUDA out of memory.\n" if fault == "out_of_memory" else "ValueError: no such resolution\n")
        return 1
    tasks = settings["repeat_generation"]
    try:
        for task in range(1, tasks + 1):
            _work(given.folder, given.output_dir, task, tasks, settings["seed"])
    except KeyboardInterrupt:
        _note(given.folder, "stopped", str(settings["seed"]))
        return 130
    if fault == "interrupted":
        return 130
    _say(f"\nQueue completed: {tasks}/{tasks} tasks in 1s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
