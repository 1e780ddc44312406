"""The kinds of engines there are: one line each. Their `build` takes what `section.Build` takes."""

ENGINES: dict[str, str] = {
    "gradio": "aldgate.engines.gradio.engine:build",
}
