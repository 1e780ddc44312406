"""The kinds of engines there are: one line each. Their `build` takes what `section.Build` takes."""

ENGINES: dict[str, str] = {
    "ace_step": "aldgate.engines.ace_step:build",
    "audiocraft": "aldgate.engines.audiocraft:build",
    "diffrhythm": "aldgate.engines.programs.diffrhythm:build",
    "gradio": "aldgate.engines.gradio.engine:build",
    "heartmula": "aldgate.engines.programs.heartmula:build",
    "musicgpt": "aldgate.engines.musicgpt:build",
    "stable_audio": "aldgate.engines.stable_audio:build",
    "yue": "aldgate.engines.programs.yue:build",
}
