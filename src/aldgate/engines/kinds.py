"""The kinds of engines there are: one line each. Their `build` takes what `section.Build` takes."""

ENGINES: dict[str, str] = {
    "a1111": "aldgate.engines.a1111.engine:build",
    "builtin": "aldgate.engines.builtin.media.engine:build",
    "comfyui": "aldgate.engines.comfyui.engine:build",
    "diffusers": "aldgate.engines.diffusers.engine:build",
    "invokeai": "aldgate.engines.invokeai.engine:build",
    "openai-images": "aldgate.engines.openai_images:build",
    "wan2gp": "aldgate.engines.wan2gp:build",
}
