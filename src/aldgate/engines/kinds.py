"""The kinds of engines there are: one line each. Their `build` takes what `section.Build` takes."""

ENGINES: dict[str, str] = {
    "alltalk": "aldgate.engines.alltalk:build",
    "llama-cpp": "aldgate.engines.llm.llama_cpp:build",
    "llama-cpp-python": "aldgate.engines.llm.llama_cpp_python.engine:build",
    "ollama": "aldgate.engines.llm.ollama:build",
    "openai-speech": "aldgate.engines.openai_speech:build",
    "openai-transcription": "aldgate.engines.openai_transcription:build",
    "shap-e": "aldgate.engines.shap_e.engine:build",
}
