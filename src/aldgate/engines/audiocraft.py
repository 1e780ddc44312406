"""AudioCraft's MusicGen demo, a Gradio app: `python -m demos.musicgen_app --listen 127.0.0.1 --server_port 7860`.

Parameters by position, in the order of `predict_full`; only versions from Gradio 4 on tell names:
https://github.com/facebookresearch/audiocraft/blob/main/demos/musicgen_app.py.
"""

from collections.abc import Mapping
from typing import Any

from aldgate.engines.gradio.engine import GradioEngine, built
from aldgate.engines.gradio.section import GradioSection
from aldgate.engines.section import Surroundings, decode_section

PRESET: Mapping[str, Any] = {
    "operations": ["music"],
    "endpoint": "/predict_full",
    "arguments": {"model": 0, "prompt": 3, "audio": 4, "duration_s": 5, "guidance": 9},
    "constants": {"1": "", "2": "Default"},
    "options": ["topk", "topp", "temperature"],
    "makes": "wav",
}


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> GradioEngine:
    """An engine of kind `audiocraft`: whatever its table says otherwise counts.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    return built(name, decode_section(name, {**PRESET, **table}, GradioSection), surroundings, "audiocraft")
