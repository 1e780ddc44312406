"""What the joined settings still lack: inherited values, absolute paths, and the secrets that references name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import structs

from aldgate.config.errors import ConfigError
from aldgate.config.secret import Secret, is_reference, resolve_reference
from aldgate.config.settings import Images, Server

IMAGE_BACKENDS = {"http_a1111": "a1111", "http_openai_images": "openai-images"}
"""Kinds of engines by the words that the Local AI Gateway had for them."""
SENT = {
    "seed": "seed",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "negative_prompt": "negative_prompt",
    "strength": "strength",
    "sampler": "sampler",
    "scheduler": "scheduler",
}
"""What it passed on beyond OpenAI's fields."""
_INHERITED = ("host", "tls_cert", "tls_key")


_SECRETS = {
    "auth": ("admin_key", "admin_secret", "encryption_key", "caller_key", "caller_keys", "caller_policies"),
    "guardrails": ("webhook_secret",),
    "budgets": ("alert_secret",),
}
"""Settings that may be references."""


def complete(tree: dict[str, Any], environment: Mapping[str, str], directory: Path) -> None:
    """Complete `tree` in place. It has the right types already.

    Args:
        tree: The settings as nested plain values.
        environment: What `env:` references and `~` refer to.
        directory: What relative paths are relative to.

    Raises:
        ConfigError: A secret's reference leads nowhere, or a path starts at a home directory that nobody knows.
    """
    server, upstream = tree.setdefault("server", {}), tree.setdefault("upstream", {})
    home = environment.get("HOME", "")
    tree["data"] = _absolute(tree.get("data") or _default_data(environment), home, directory)
    for section, names in ((server, ("tls_cert", "tls_key")), (upstream, ("ca_bundle", "client_cert"))):
        for name in names:
            # Only `client_cert` may be two paths; a comma in another path would be its own.
            parts = str(section.get(name, "")).split(",") if name == "client_cert" else [section.get(name, "")]
            section[name] = ",".join(_absolute(part.strip(), home, directory) if part else "" for part in parts)
    images = tree.setdefault("images", {})
    images["ui_dir"] = _absolute(images["ui_dir"], home, directory) if images.get("ui_dir") else ""
    _add_image_engine(tree)
    for listener in server.get("listen", ()):
        inherited = {name: server.get(name, getattr(Server(), name)) for name in _INHERITED if name not in listener}
        own = {name: _absolute(listener[name], home, directory) for name in _INHERITED[1:] if listener.get(name)}
        listener |= inherited | own
    auth = tree.get("auth", {})
    for section, names in _SECRETS.items():
        for name in names:
            _resolve_secret(tree.get(section, {}), name, environment)
    for name, issuer in auth.get("issuers", {}).items():
        issuer["ca_bundle"] = _absolute(issuer["ca_bundle"], home, directory) if issuer.get("ca_bundle") else ""
        _resolve_client_secret(name, issuer, environment)


def _add_image_engine(tree: dict[str, Any]) -> None:
    """The engine that `images.backend` means, unless there is one of its name."""
    images, engines = {**structs.asdict(Images()), **tree["images"]}, tree.get("engines", {})
    kind = IMAGE_BACKENDS.get(images["backend"])
    if kind is None or images["backend_class"] in engines:
        return
    table = {"kind": kind, "base_url": images["http_base_url"], "run_timeout_s": images["http_timeout_s"]}
    if kind == "openai-images":
        table |= {"sends": SENT, **({"models": [images["openai_model"]]} if images["openai_model"] else {})}
    tree["engines"] = {images["backend_class"]: table, **engines}


def _resolve_secret(section: dict[str, Any], name: str, environment: Mapping[str, str]) -> None:
    given = section.get(name)
    if given is not None:
        section[name] = Secret(resolve_reference(given, environment) if is_reference(given) else given)


def _resolve_client_secret(name: str, issuer: dict[str, Any], environment: Mapping[str, str]) -> None:
    reference = issuer.get("client_secret")
    if reference is None:
        return
    try:
        issuer["client_secret"] = Secret(resolve_reference(reference, environment))
    except ConfigError as error:
        raise ConfigError(f"`auth.issuers.{name}.client_secret`: {error.message}", hint=error.hint) from None


def _default_data(environment: Mapping[str, str]) -> str:
    # https://specifications.freedesktop.org/basedir-spec: a relative XDG_DATA_HOME is to be ignored.
    base = environment.get("XDG_DATA_HOME", "")
    return str(Path(base) / "aldgate") if Path(base).is_absolute() else "~/.local/share/aldgate"


def _absolute(path: str, home: str, directory: Path) -> str:
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    try:
        return str(directory / Path(path).expanduser())
    except RuntimeError:  # a user without an entry in passwd, as in containers, and no HOME
        hint = "set HOME, or write the whole path (for `data`: --data or ALDGATE_DATA)"
        raise ConfigError(f"`{path}`: the home directory is not known", hint=hint) from None
