"""The kinds of engines there are: one line each. Their `build` takes what `section.Build` takes."""

ENGINES: dict[str, str] = {
    "a1111": "aldgate.engines.a1111.engine:build",
    "alltalk": "aldgate.engines.alltalk:build",
    "builtin": "aldgate.engines.builtin.media.engine:build",
    "comfyui": "aldgate.engines.comfyui.engine:build",
    "diffusers": "aldgate.engines.diffusers.engine:build",
    "invokeai": "aldgate.engines.invokeai.engine:build",
    "llama-cpp": "aldgate.engines.llm.llama_cpp:build",
    "llama-cpp-python": "aldgate.engines.llm.llama_cpp_python.engine:build",
    "ollama": "aldgate.engines.llm.ollama:build",
    "openai-images": "aldgate.engines.openai_images:build",
    "openai-speech": "aldgate.engines.openai_speech:build",
    "openai-transcription": "aldgate.engines.openai_transcription:build",
    "shap-e": "aldgate.engines.shap_e.engine:build",
    "wan2gp": "aldgate.engines.wan2gp:build",
}
