"""`aldgate config`: check and show the settings, and have a running gate read them again. No secret is ever printed."""

import importlib
from pathlib import Path

from aldgate.cli.client import connect
from aldgate.cli.group import group
from aldgate.cli.options import ConfigFile, Json, Url
from aldgate.cli.output import note, say, say_json
from aldgate.cli.toml import toml_lines
from aldgate.config.environment import merged_environment

ENTRY = "aldgate.app:check"
"""What knows each provider's and engine's own options. A text, because only this command needs the whole gate."""

app = group("Check and show the settings; secrets stay hidden.")


@app.command()
def check(config: ConfigFile = None) -> None:
    """Read all settings and say whether the gate would start with them."""
    # Decoding settings loads msgspec (40 ms), which `--help` need not pay. Likewise below.
    from aldgate.config.check import check_workers
    from aldgate.config.loader import find_file, load
    from aldgate.config.stray import warnings

    settings = load(flags={}, file=config)
    check_workers(settings)
    module, _, attribute = ENTRY.partition(":")
    getattr(importlib.import_module(module), attribute)(settings)
    for warning in warnings(settings):
        note(f"warning: {warning}")
    source = find_file(config, merged_environment(Path.cwd()), Path.cwd())
    listeners = ", ".join(f"{listener.host}:{listener.port}" for listener in settings.server.listeners)
    say(f"ok: {source or 'no file'}; {len(settings.providers)} providers; listens on {listeners}")


@app.command()
def show(config: ConfigFile = None, as_json: Json = False) -> None:
    """Print every setting as it would be used, as TOML."""
    from aldgate.config.loader import load
    from aldgate.config.settings import show as shown

    tree = shown(load(flags={}, file=config))
    if as_json:
        return say_json(tree)
    say("\n".join(toml_lines(tree)))


@app.command()
def reload(url: Url = None, as_json: Json = False) -> None:
    """Have a running gate read its settings again, and say what is in force now."""
    answer = connect(url, admin=True).call("POST", "/admin/reload")
    if as_json:
        return say_json(answer)
    say("\n".join(f"in force: {path}" for path in answer["applied"]) or "nothing has changed")
    for path in answer["needs_restart"]:
        note(f"needs a restart: {path}")
    for problem in answer["problems"]:
        note(problem)
