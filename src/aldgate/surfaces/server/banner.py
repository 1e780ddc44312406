"""What a person sees at the start: where the gate is, where its data is, the key, the models, and a line to paste."""

from __future__ import annotations

from pathlib import Path

from aldgate import __version__
from aldgate.config.settings import Listener, Settings
from aldgate.core.routes import Catalogue

SHOWN_MODELS = 12


def banner(settings: Settings, urls: list[str], fresh_admin_key: str | None, catalogue: Catalogue) -> str:
    """The text. The admin key is in it only when it was made now; it is shown this once."""
    data = settings.store.partition("://")[0] if settings.store else str(Path(settings.data).expanduser())
    lines = [
        f"Aldgate {__version__}",
        *(f"  listening on   {url}{_marked(listener)}" for url, listener in zip(urls, settings.server.listeners, strict=True)),
        f"  data in        {data}",
        f"  models         {_models(catalogue)}",
    ]
    if fresh_admin_key is not None:
        lines += [f"  admin key      {fresh_admin_key}", "                 (shown this once: keep it)"]
    callable_urls = [url for url, listener in zip(urls, settings.server.listeners, strict=True) if listener.faces == "all"]
    if callable_urls:
        lines += ["", *_try_it(callable_urls[0], fresh_admin_key, settings), ""]
    return "\n".join(lines) + "\n"


def _marked(listener: Listener) -> str:
    return " (health and metrics only)" if listener.faces == "ops" else ""


def _try_it(url: str, fresh_admin_key: str | None, settings: Settings) -> list[str]:
    if fresh_admin_key is not None:
        return ["Try it:", f"  {_curl(url, fresh_admin_key)}"]
    name = "ALDGATE_API_KEY" if settings.auth.admin_key is None else "ALDGATE_ADMIN_KEY"
    return [f"Try it, with a key in ${name}:", f"  {_curl(url, f'${name}')}"]


def _models(catalogue: Catalogue) -> str:
    names = [deployment.id for deployment in catalogue.models]
    names += [f"{source}/..." for source, found in catalogue.open_sources.items() if not found.deployments]
    rest = f" and {len(names) - SHOWN_MODELS} more (aldgate models list)" if len(names) > SHOWN_MODELS else ""
    return ", ".join(names[:SHOWN_MODELS]) + rest


def _curl(url: str, key: str) -> str:
    curl = "curl -k" if url.startswith("https") else "curl"
    body = '{"model": "builtin/echo", "messages": [{"role": "user", "content": "Hello, gate!"}]}'
    head = f"-H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json'"
    return f"{curl} {url}/v1/chat/completions {head} -d '{body}'"
