"""Makes one song with HeartMuLa's library, in the environment where that is installed; nothing of the gate's is there.

`python heartmula_child.py ASKED.json`. Source: https://github.com/HeartMuLa/heartlib, `examples/run_music_generation.py`.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def make(asked: dict[str, Any]) -> None:
    """Make what is asked into the file `output`."""
    torch: Any = import_module("torch")
    heartlib: Any = import_module("heartlib")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(asked["seed"])
    pipe = heartlib.HeartMuLaGenPipeline.from_pretrained(
        asked["weights"],
        device={"mula": device, "codec": device},
        dtype={"mula": torch.bfloat16, "codec": torch.float32},
        version=asked["version"],
        lazy_load=asked["lazy_load"],
    )
    chosen = {"cfg_scale": asked["guidance"], "temperature": asked["temperature"], "topk": asked["top_k"]}
    folder = Path(asked["output"]).parent
    (folder / "lyrics.txt").write_text(asked["lyrics"], encoding="utf-8")
    (folder / "tags.txt").write_text(asked["tags"], encoding="utf-8")
    with torch.no_grad():
        pipe(
            {"lyrics": str(folder / "lyrics.txt"), "tags": str(folder / "tags.txt")},
            max_audio_length_ms=asked["length_ms"],
            save_path=asked["output"],
            **{name: value for name, value in chosen.items() if value is not None},
        )


if __name__ == "__main__":
    make(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
