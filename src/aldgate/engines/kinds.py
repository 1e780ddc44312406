"""The kinds of engines there are: one line each. Their `build` takes what `section.Build` takes."""

ENGINES: dict[str, str] = {
    "builtin": "aldgate.engines.builtin.media.engine:build",
}
