"""Engines nobody configured: at addresses in the environment, and those that are found on this machine by what they answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.engines.http import EngineHttp

Table = dict[str, Any]
T = TypeVar("T")

log = logging.getLogger("aldgate.engines")

ANSWER_S = 2.0
"""Who has not said what it is by then is none: something else may listen on the port, and wait for us to speak."""
MOST_BYTES = 8 * 1024 * 1024
ADDRESS_NAMES = {"HEARTMULA_BASE_URL": "heartmula"}
"""Names in the environment that say where an engine listens, and its kind."""


class Probe(NamedTuple):
    """How one kind of engine is known.

    Attributes:
        ports: Where it usually listens.
        path: What it is asked for; to answer loads nothing.
        is_it: Whether what it answered can only be its own words.
    """

    kind: str
    ports: tuple[int, ...]
    path: str
    is_it: Callable[[bytes], bool]


async def on_this_machine(taken: Iterable[str], ports: Collection[int]) -> dict[str, Table]:
    """A table for each kind of engine that answers on one of its usual ports and says what it is. The port proves nothing.

    Args:
        taken: Kinds and names that are not looked for, and addresses that are known.
        ports: Those that are not asked, such as the gate's own.
    """
    known = frozenset(taken)
    asked = [
        (probe, f"http://127.0.0.1:{port}")
        for probe in PROBES
        for port in probe.ports
        if probe.kind not in known and port not in ports and f"http://127.0.0.1:{port}" not in known
    ]
    answers = await asyncio.gather(*(_answers(probe, url) for probe, url in asked))
    found: dict[str, Table] = {}
    for (probe, url), is_there in zip(asked, answers, strict=True):
        if is_there and url not in {table["base_url"] for table in found.values()}:
            found.setdefault(probe.kind, {"kind": probe.kind, "base_url": url})
    return found


def in_environment(environment: Mapping[str, str], taken: Collection[str]) -> dict[str, Table]:
    """A table for each engine whose address is in the environment, unless there is one of that name already."""
    named = ((kind, environment.get(name, "").strip()) for name, kind in ADDRESS_NAMES.items())
    return {kind: {"kind": kind, "base_url": url} for kind, url in named if url and kind not in taken}


def engine_names(tables: Iterable[str], environment: Mapping[str, str], *, looks_around: bool) -> frozenset[str]:
    """The names of all engines there are, and with `looks_around` of those that may be found."""
    found = (probe.kind for probe in PROBES) if looks_around else ()
    return frozenset({*tables, *in_environment(environment, ()), *found, "builtin"})


async def _is_taken(url: str) -> bool:
    """Whether somebody listens there. Asked before anything else: the client that asks who it is takes 20 MB to load."""
    port = int(url.rpartition(":")[2])
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _answers(probe: Probe, url: str) -> bool:
    if not await _is_taken(url):
        return False
    http = EngineHttp(probe.kind, url, timeout_s=ANSWER_S)
    try:
        async with asyncio.timeout(ANSWER_S):
            return probe.is_it(await http.whole("GET", probe.path, most_bytes=MOST_BYTES))
    except (GatewayError, TimeoutError) as error:
        log.debug("no %s at %s: %r", probe.kind, url, error)
        return False
    finally:
        await http.aclose()


class _Stats(msgspec.Struct):
    system: dict[str, Any]
    devices: list[Any]


class _Memory(msgspec.Struct):
    ram: dict[str, Any]
    cuda: dict[str, Any]


class _Version(msgspec.Struct):
    version: str


class _Voices(msgspec.Struct):
    voices: list[Any]


class _Props(msgspec.Struct):
    default_generation_settings: dict[str, Any]


class _Music(msgspec.Struct):
    models: list[Any]
    default_model: str | None


class _Told(msgspec.Struct):
    code: int
    data: _Music


class _Model(msgspec.Struct):
    id: str
    task: str = ""


class _Models(msgspec.Struct):
    data: list[_Model]


class _Function(msgspec.Struct):
    api_name: str | bool | None = None


class _Component(msgspec.Struct):
    props: dict[str, Any] = {}


class _App(msgspec.Struct):
    dependencies: list[_Function]
    components: list[_Component]


def _says(kind: type[T], holds: Callable[[T], bool] = lambda said: True) -> Callable[[bytes], bool]:
    """JSON of this type, of which something holds."""
    decoder = msgspec.json.Decoder(kind)

    def is_it(body: bytes) -> bool:
        try:
            return holds(decoder.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False

    return is_it


def _is_ready(body: bytes) -> bool:
    return body.strip().strip(b'"') in (b"Ready", b"Unloaded")


def _hears(models: _Models) -> bool:
    """Each of its models is Whisper's, or says that it recognises speech."""
    heard = ("whisper" in each.id.lower() or each.task == "automatic-speech-recognition" for each in models.data)
    return bool(models.data) and all(heard)


def _has_function(app: _App, name: str, label: str = "") -> bool:
    """Whether the app has such a function, and a component of that label where one is named."""
    names = {str(each.api_name).lstrip("/") for each in app.dependencies}
    return name in names and (not label or label in {each.props.get("label") for each in app.components})


def _is_stable_audio(app: _App) -> bool:
    return _has_function(app, "generate", "Seconds total")


def _is_musicgen(app: _App) -> bool:
    return _has_function(app, "predict_full")


PROBES = (
    Probe("comfyui", (8188,), "/system_stats", _says(_Stats)),
    Probe("a1111", (7860, 7861, 7862), "/sdapi/v1/memory", _says(_Memory)),
    Probe("invokeai", (9090,), "/api/v1/app/version", _says(_Version)),
    Probe("stable-audio", (7873, 7860), "/config", _says(_App, _is_stable_audio)),
    Probe("audiocraft", (7872, 7860), "/config", _says(_App, _is_musicgen)),
    Probe("ace-step", (8001,), "/v1/models", _says(_Told)),
    Probe("alltalk", (7851,), "/api/ready", _is_ready),
    Probe("openai-speech", (8880,), "/v1/audio/voices", _says(_Voices)),
    Probe("openai-transcription", (8000,), "/v1/models", _says(_Models, _hears)),
    Probe("llama-cpp", (8080,), "/props", _says(_Props)),
    Probe("ollama", (11434,), "/api/version", _says(_Version)),
)
"""In the order in which those that make the same are asked. YuE, DiffRhythm and Wan2GP have no functions with names to know
them by, other Gradio apps none that are known: these are configured."""
