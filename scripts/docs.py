#!/usr/bin/env python3
"""Writes the pages that are made from the code: docs/configuration.md, errors.md, cli.md, .env.example; assembles CHANGELOG.md.

`make docs` runs it; `tests/test_docs.py` holds the pages to it.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from aldgate.cli.main import app
from aldgate.config.devices import DeviceEntry
from aldgate.config.example import env_example, field_help
from aldgate.config.fields import ALSO_NAMED, Leaf, leaves
from aldgate.config.issuers import IssuerEntry
from aldgate.config.models import ModelEntry
from aldgate.config.prices import PriceEntry
from aldgate.config.seed_names import SEED_NAMES
from aldgate.config.settings import Cache, Listener, Settings
from aldgate.core.claims import ClaimNames
from aldgate.core.errors import ClientGone, GatewayError, HedgeLost, Retry, UpstreamLimited
from aldgate.core.plans import DeploymentEntry, RouteEntry
from aldgate.dialects.openai.errors import error_type, should_retry
from aldgate.engines.a1111.engine import A1111Section
from aldgate.engines.ace_step import AceStepSection
from aldgate.engines.alltalk import AllTalkSection
from aldgate.engines.builtin.echo import EchoOptions
from aldgate.engines.builtin.embed import EmbedOptions
from aldgate.engines.builtin.moderate import ModerateOptions
from aldgate.engines.builtin.rerank import RerankOptions
from aldgate.engines.comfyui.section import ComfySection
from aldgate.engines.diffusers.engine import DiffusersSection
from aldgate.engines.direct import DirectSection
from aldgate.engines.gradio.section import GradioSection
from aldgate.engines.heartmula import LibrarySection
from aldgate.engines.invokeai.engine import InvokeSection
from aldgate.engines.library.engine import ChildSection
from aldgate.engines.llm.llama_cpp_python.engine import LlamaCppPythonSection
from aldgate.engines.llm.ollama import OllamaEngineSection
from aldgate.engines.openai_images import OpenAIImagesSection
from aldgate.engines.openai_speech import SpeechSection
from aldgate.engines.openai_transcription import TranscriptionSection
from aldgate.engines.programs.section import ProgramSection
from aldgate.engines.section import EngineSection, ProcessSection
from aldgate.engines.shap_e.engine import ShapESection
from aldgate.engines.wan2gp import Wan2GPSection
from aldgate.providers.azure.section import AzureSection
from aldgate.providers.bedrock.table import BedrockSection
from aldgate.providers.ollama import OllamaSection
from aldgate.providers.section import ProviderSection
from aldgate.providers.vertex.section import VertexSection

ROOT = Path(__file__).parents[1]
KINDS = ("breaking", "added", "changed", "deprecated", "removed", "fixed", "security")
"""What a fragment of the changelog may be, in the order of the page."""
HELP_COLUMNS = 100

Row = tuple[str, ...]


def table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def made_by(source: str) -> str:
    """The line that keeps people from editing a page by hand."""
    return f"<!-- Made by scripts/docs.py from {source}. Edit that, then `make docs`. -->"


# --- docs/configuration.md ---

_CONFIGURATION = """\
Flags beat the process environment, which beats the `.env` file of the working directory, which beats the TOML file, which beats
the default. The TOML file is the one `--config` names, else the one `ALDGATE_CONFIG` names, else `aldgate.toml` in the working
directory. In the file a setting stands under its section (`[server]`, then `port = 8000`); everywhere else it goes by its
environment name.

- `aldgate config check` says whether the gate would start; `aldgate config show` prints what it would use, with secrets hidden.
- A name that does not exist is refused, with the nearest one that does; in the environment, only under a section that exists
  (`ALDGATE_SERVER_PROT`), since other names may be somebody's secrets. An empty value there counts as unset.
- Any other name that begins with `ALDGATE_` and sets nothing (`ALDGATE_PORT`) is warned of, with the nearest that does, by the
  start and by `aldgate config check`. Names that clients read, that a reference (`env:ALDGATE_LAB_KEY`) mentions, or that
  Kubernetes makes for a Service are known.
- A running gate takes over what has changed of providers, prices and much more ([reload](reload.md)); the rest needs a restart.
- `.env.example` has all of this as one file to copy.
"""

_TABLES = """\
## Tables

These live in the file only.
"""


def configuration() -> str:
    """docs/configuration.md."""
    lines = [made_by("src/aldgate/config/settings.py"), "# Configuration", "", _CONFIGURATION]
    lines += ["## Where things are kept", "", *_settings(leaf for leaf in leaves().values() if "." not in leaf.path), ""]
    sections = dict.fromkeys(path.partition(".")[0] for path in leaves() if "." in path)
    for name in sections:
        members = [leaf for leaf in leaves().values() if leaf.path.startswith(f"{name}.")]
        lines += [f"## `[{name}]`", "", inspect.getdoc(members[0].section) or "", "", *_settings(members), ""]
    lines += [_TABLES, *_tables(), "## The command line", "", *_client_names(), "", "## Names of other gateways", ""]
    lines += ["Read as they stand, unless the setting is given under a name of ours ([migrating](migrating.md)).", ""]
    lines += table(("name", "sets"), ((f"`{name}`", f"`{leaves()[seed.path].env}`") for name, seed in SEED_NAMES.items()))
    return "\n".join(lines) + "\n"


def _settings(members: Iterable[Leaf]) -> Iterator[str]:
    also = {path: name for name, path in ALSO_NAMED.items()}
    yield from table(
        ("setting", "environment", "default", "takes", "what it is for"),
        (
            (
                f"`{leaf.name}`",
                f"`{also.get(leaf.path, leaf.env)}`",
                _default(leaf.default),
                leaf.wants,
                field_help(leaf.section)[leaf.name],
            )
            for leaf in members
        ),
    )


def _default(value: Any) -> str:
    if value is None or value in ("", (), [], {}, msgspec.NODEFAULT) or isinstance(value, msgspec.Struct):
        return ""
    if isinstance(value, tuple | list):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _tables() -> Iterator[str]:
    for title, section in (
        ("`[[server.listen]]`", Listener),
        ("`[auth.issuers.NAME]`", IssuerEntry),
        ("`[auth.issuers.NAME.claims]`", ClaimNames),
        ("`[providers.NAME]`", ProviderSection),
        ("`[providers.NAME]` of kind `azure`: its own keys", AzureSection),
        ("`[providers.NAME]` of kind `bedrock`: its own keys", BedrockSection),
        ("`[providers.NAME]` of kind `ollama`: its own keys", OllamaSection),
        ("`[providers.NAME]` of kind `vertex`: its own keys", VertexSection),
        ("`[devices.NAME]`", DeviceEntry),
        ("`[engines.echo]`", EchoOptions),
        ("`[engines.embed]`", EmbedOptions),
        ("`[engines.rerank]`", RerankOptions),
        ("`[engines.moderate]`", ModerateOptions),
        ("`[engines.NAME]`", EngineSection),
        ("`[engines.NAME.process]`", ProcessSection),
        ("`[engines.NAME]` of kind `a1111`: its own keys", A1111Section),
        ("`[engines.NAME]` of kind `comfyui`: its own keys", ComfySection),
        ("`[engines.NAME]` of kind `invokeai`: its own keys", InvokeSection),
        ("`[engines.NAME]` of kind `openai-images`: its own keys", OpenAIImagesSection),
        ("`[engines.NAME]` of kind `ace-step`: its own keys", AceStepSection),
        ("`[engines.NAME]` of kind `gradio`, `audiocraft` or `stable-audio`: its own keys", GradioSection),
        ("`[engines.NAME]` that is a program: `diffrhythm`, `heartmula`, `wan2gp`, `yue`", ProgramSection),
        ("`[engines.NAME]` of kind `heartmula`, the library: its own keys", LibrarySection),
        ("`[engines.NAME]` of kind `wan2gp`: its own keys", Wan2GPSection),
        ("`[engines.NAME]` that is a library: `diffusers`, `llama-cpp-python`, `shap-e`", ChildSection),
        ("`[engines.NAME]` of kind `diffusers`: its own keys", DiffusersSection),
        ("`[engines.NAME]` of kind `llama-cpp-python`: its own keys", LlamaCppPythonSection),
        ("`[engines.NAME]` of kind `shap-e`: its own keys", ShapESection),
        (
            "`[engines.NAME]` asked once a job: `alltalk`, `llama-cpp`, `ollama`, `openai-speech`, `openai-transcription`",
            DirectSection,
        ),
        ("`[engines.NAME]` of kind `alltalk`: its own keys", AllTalkSection),
        ("`[engines.NAME]` of kind `ollama`: its own keys", OllamaEngineSection),
        ("`[engines.NAME]` of kind `openai-speech`: its own keys", SpeechSection),
        ("`[engines.NAME]` of kind `openai-transcription`: its own keys", TranscriptionSection),
    ):
        yield from (f"### {title}", "", inspect.getdoc(section) or "", "", *_fields(section), "")
    helps = field_help(Settings)
    routes = " ".join(helps["routes"].split())
    yield from ("### `[routes.NAME]`", "", f"{routes} See [routing](routing.md).", "", *_fields(RouteEntry), "")
    yield from ("A table in `deployments` may have:", "", *_fields(DeploymentEntry), "")
    yield from ("### `[aliases]`", "", f'{helps["aliases"]} `fast = "openai/gpt-4.1-mini"`', "")
    yield from ("### `[cache.models]`", "", f'{field_help(Cache)["models"]} `"openai/gpt-4.1-mini" = "10m"`', "")
    yield from ('### `[models."PROVIDER/MODEL"]`', "", helps["models"], "", *_fields(ModelEntry), "")
    yield from ('### `[prices."PROVIDER/MODEL"]`', "", helps["prices"], "", *_fields(PriceEntry), "")


def _fields(section: type[msgspec.Struct]) -> Iterator[str]:
    helps = field_help(section)
    told: dict[str, Any] = {}  # what it inherits stands in a table of its own
    if section.__base__ not in (None, msgspec.Struct):
        told = {field.name: _value(field) for field in msgspec.structs.fields(section.__base__)}
    fields = [field for field in msgspec.structs.fields(section) if field.name not in told or told[field.name] != _value(field)]
    yield from table(
        ("key", "default", "what it is for"),
        (
            (f"`{field.name}`", _default(_value(field)), " ".join(helps[field.name].split()))
            for field in fields
            if field.name in helps
        ),
    )


def _value(field: msgspec.structs.FieldInfo) -> Any:
    """What it is where nothing is said."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _client_names() -> Iterator[str]:
    yield from table(
        ("environment", "what it is for"),
        (
            ("`ALDGATE_CONFIG`", "TOML file to read."),
            ("`ALDGATE_URL`", "Where client commands find the gate; else `http://127.0.0.1:8000`."),
            ("`ALDGATE_API_KEY`", "Key that client commands send; without it they send `ALDGATE_ADMIN_KEY`."),
        ),
    )


# --- docs/errors.md ---

_ERRORS = """\
Every refusal and failure has a stable `code`. Decide on `code` and the HTTP status; `message` is for people and may change.

On the OpenAI paths:

```json
{"error": {"message": "This API key has expired.", "type": "authentication_error", "param": null, "code": "expired_api_key"}}
```

All four are always there; `param` names the field at fault, if one is. Under `/admin` the same error is
`{"detail": "...", "code": "..."}`.

- `x-request-id` names the call in the gate's log. Every answer to a call, to the models and to administration has it.
- `Retry-After` (whole seconds) comes with every refusal that waiting mends. `x-should-retry` is `true` or `false`, and `false`
  where the wait is over a minute. OpenAI's libraries obey both.
- A stream that fails before its first event is a plain error with its status. Later the status has been sent: the stream then
  ends with one event `data: {"error": {...}}` of the shape above, and without `data: [DONE]`.
- `upstream_rejected` means that the provider refused the request itself. It keeps the provider's status, message and `param`, and
  the provider's own `code` where there is one.
"""


def errors() -> str:
    """docs/errors.md."""
    lines = [made_by("src/aldgate/core/errors.py"), "# Errors", "", _ERRORS]
    for title, base in (
        ("The request is at fault", "CallerError"),
        ("The key may not do this, or not now", "PolicyError"),
        ("The provider failed", "UpstreamError"),
        ("The gate failed", "InternalError"),
    ):
        lines += [f"## {title}", "", *_codes([kind for kind in _kinds() if base in [each.__name__ for each in kind.__mro__]]), ""]
    lines += [
        "## In the ledger only",
        "",
        *_codes([ClientGone, HedgeLost]),
        "",
        "What is billed then: [why](why.md#what-is-billed-when-a-call-is-cut-short).",
    ]
    return "\n".join(lines) + "\n"


def _kinds(base: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _codes(kinds: Iterable[type[GatewayError]]) -> Iterator[str]:
    by_code: dict[str, type[GatewayError]] = {}
    for kind in kinds:  # a class without a code of its own says what the code is about better than its base does
        by_code[kind.code] = kind
    yield from table(
        ("code", "status", "`type`", "retry", "when"),
        (
            (
                f"`{code}`",
                str(kind.status),
                f"`{error_type(kind(''))}`",
                _retry(kind),
                " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()),
            )
            for code, kind in by_code.items()
        ),
    )


def _retry(kind: type[GatewayError]) -> str:
    if kind in (ClientGone, HedgeLost):
        return "-"
    if kind.retry is Retry.LATER or kind is UpstreamLimited:
        return "after `Retry-After`"
    return "yes" if should_retry(kind("")) else "no"


# --- docs/cli.md ---

_CLI = """\
`make run` and `make setup` leave the command in `.venv/bin`; put that on your path, or write `.venv/bin/aldgate`:

```bash
export PATH="$PWD/.venv/bin:$PATH"
```

Data goes to standard output, remarks and errors to standard error; `--json` prints JSON. The exit code is 0, 1 for a failure, 2
for wrong usage and 130 when interrupted. Every error ends with a line `hint: ...`.

Commands that talk to a gate find it by `--url`, else `ALDGATE_URL`, else at `http://127.0.0.1:8000`. They send `ALDGATE_API_KEY`,
or without it `ALDGATE_ADMIN_KEY`; `aldgate keys` prefers `ALDGATE_ADMIN_KEY`. All three may stand in `.env`.
"""


def cli() -> str:
    """docs/cli.md."""
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    lines = [made_by("src/aldgate/cli"), "# The command line", "", _CLI]
    for path, command in _commands(root, "aldgate"):
        lines += [f"## `{path}`", "", "```text", _help(path, command), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(group: TyperGroup, path: str) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            if command.invoke_without_command:
                yield f"{path} {name}", command
            yield from _commands(command, f"{path} {name}")
        else:
            assert isinstance(command, TyperCommand)
            yield f"{path} {name}", command


def _help(path: str, command: TyperCommand | TyperGroup) -> str:
    context = command.context_class(command, info_name=path, terminal_width=HELP_COLUMNS)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


# --- CHANGELOG.md ---

_CHANGELOG = """\
# Changelog

What changed for whoever uses Aldgate; the format is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/), and
versions follow [Semantic Versioning](https://semver.org). Unreleased is assembled by `make docs` from the fragments in
[`changelog.d/`](changelog.d/README.md); edit those.
"""


def changelog(released: str = "") -> str:
    """CHANGELOG.md, with Unreleased on top of what is `released`."""
    lines = [_CHANGELOG, "## Unreleased", "", "Will be 0.1.0, the first version.", ""]
    for kind in KINDS:
        fragments = sorted((ROOT / "changelog.d").glob(f"*.{kind}.md"))
        if fragments:
            lines += [f"### {kind.capitalize()}", "", *map(_entry, fragments), ""]
    return "\n".join(lines).rstrip() + "\n" + released


def _entry(fragment: Path) -> str:
    text = fragment.read_text(encoding="utf-8").strip()
    return text if text.startswith("- ") else "- " + text.replace("\n", "\n  ")


def _released() -> str:
    file = ROOT / "CHANGELOG.md"
    parts = re.split(r"(?m)(?=^## )", file.read_text(encoding="utf-8")) if file.exists() else []
    return "".join("\n" + part for part in parts[1:] if not part.startswith("## Unreleased"))


PAGES: dict[str, Callable[[], str]] = {
    "docs/configuration.md": configuration,
    "docs/errors.md": errors,
    "docs/cli.md": cli,
    ".env.example": env_example,
}
"""What must equal what the code says, by path. The changelog is not among them: fragments of several branches meet before it."""


def main() -> None:
    """Write everything."""
    for name, page in PAGES.items():
        (ROOT / name).write_text(page(), encoding="utf-8")
    (ROOT / "CHANGELOG.md").write_text(changelog(_released()), encoding="utf-8")


if __name__ == "__main__":
    main()
