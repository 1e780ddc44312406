"""Stable Audio's app, which is of Gradio: `python run_gradio.py --pretrained-name stabilityai/stable-audio-open-1.0`.

Parameters by name: their order changed between releases. It clears files away 30 s after it made them:
https://github.com/Stability-AI/stable-audio-tools/blob/main/stable_audio_tools/interface/gradio.py.
"""

from collections.abc import Mapping
from typing import Any

from aldgate.engines.gradio.engine import GradioEngine, built
from aldgate.engines.gradio.section import GradioSection
from aldgate.engines.section import Surroundings, decode_section

PRESET: Mapping[str, Any] = {
    "operations": ["music", "audio"],
    "endpoint": "/generate",
    "arguments": {
        "prompt": "prompt",
        "negative_prompt": "negative_prompt",
        "duration_s": "seconds_total",
        "guidance": "cfg_scale",
        "steps": "steps",
        "seed": "seed",
        "audio": "init_audio",
        "strength": "init_noise_level",
    },
    "options": ["seconds_start", "sampler_type", "sigma_min", "sigma_max", "rho", "cfg_rescale"],
    "makes": "wav",
}


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> GradioEngine:
    """An engine of kind `stable-audio`: whatever its table says otherwise counts.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    return built(name, decode_section(name, {**PRESET, **table}, GradioSection), surroundings, "stable-audio")
