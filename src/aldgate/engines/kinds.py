"""The kinds of engines there are: one line each. Their `build` takes what `section.Build` takes."""

ENGINES: dict[str, str] = {
    "a1111": "aldgate.engines.a1111.engine:build",
    "builtin": "aldgate.engines.builtin.media.engine:build",
    "ace-step": "aldgate.engines.ace_step:build",
    "audiocraft": "aldgate.engines.audiocraft:build",
    "comfyui": "aldgate.engines.comfyui.engine:build",
    "diffrhythm": "aldgate.engines.programs.diffrhythm:build",
    "diffusers": "aldgate.engines.diffusers.engine:build",
    "gradio": "aldgate.engines.gradio.engine:build",
    "heartmula": "aldgate.engines.heartmula:build",
    "invokeai": "aldgate.engines.invokeai.engine:build",
    "musicgpt": "aldgate.engines.musicgpt:build",
    "openai-images": "aldgate.engines.openai_images:build",
    "stable-audio": "aldgate.engines.stable_audio:build",
    "wan2gp": "aldgate.engines.wan2gp:build",
    "yue": "aldgate.engines.programs.yue:build",
}
