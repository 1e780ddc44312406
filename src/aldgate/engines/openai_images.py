"""The engine for servers that make pictures as OpenAI's API does: https://platform.openai.com/docs/api-reference/images."""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from aldgate.core.errors import (
    ContentFiltered,
    InvalidRequest,
    NotSupported,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRejected,
)
from aldgate.core.generation import EngineModel, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation
from aldgate.engines.address import reach
from aldgate.engines.endings import OUT_OF_MEMORY, failed, within
from aldgate.engines.http import EngineHttp
from aldgate.engines.pictures import check_format, save_picture
from aldgate.engines.section import EngineSection, Surroundings, decode_section
from aldgate.engines.seeds import seed_of
from aldgate.making import Run

MIB = 1024 * 1024
MOST_REPLY_BYTES = 512 * MIB
MOST_SEED = 2**32 - 1
MOST_ANSWERED = 100
"""Attempts that are known to be over; a later one is long settled."""
_FIELDS = {"negative_prompt", "seed", "steps", "guidance", "strength"}
_OPTIONS = {"quality", "style", "background", "moderation", "output_compression", "input_fidelity", "user"}
_HINTS = ("quality", "style", "background", "moderation", "input_fidelity", "user")
_FILTERED = ("moderation_blocked", "content_policy_violation")

T = TypeVar("T")


class OpenAIImagesSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of kind `openai-images`."""

    sends: dict[str, str] = {}
    """What it takes beyond OpenAI's fields, and under which names: `{ seed = "seed", guidance = "cfg_scale" }`. The names on the
    left are `negative_prompt`, `seed`, `steps`, `guidance`, `strength`, or options of your own."""


class Picture(msgspec.Struct, frozen=True):
    """One of a reply."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class Made(msgspec.Struct, frozen=True):
    """The reply."""

    data: list[Picture]
    usage: dict[str, Any] | None = None


def build(name: str, table: Mapping[str, Any], surroundings: Surroundings) -> OpenAIImagesEngine:
    """An engine of kind `openai-images`.

    Raises:
        ConfigError: A key or value cannot be used.
    """
    section = decode_section(name, table, OpenAIImagesSection)
    return OpenAIImagesEngine(name, section, reach(name, section, surroundings, usual="http://127.0.0.1:8080"))


class OpenAIImagesEngine:
    """A server of `/v1/images`. It cannot be told to stop, and nothing can be asked of work whose connection is gone.

    Args:
        name: As configured.
        section: Its table.
        http: Its address, without `/v1`.
    """

    kind = "openai-images"
    operations: frozenset[Operation] = frozenset({"image"})
    recovery: Recovery = "wait"

    def __init__(self, name: str, section: OpenAIImagesSection, http: EngineHttp) -> None:
        self.name = name
        self._section = section
        self._http = http
        self._answered: deque[str] = deque(maxlen=MOST_ANSWERED)
        http.base_url = http.base_url.removesuffix("/v1")

    async def state(self) -> EngineState:
        """Its list of models, or the configured ones."""
        try:
            listed: dict[str, Any] = self._read(await self._http.json("GET", "/v1/models"), dict[str, Any])
        except UpstreamRejected:
            listed = {}  # many such servers have no list
        names = [str(each["id"]) for each in self._read(listed.get("data") or [], list[dict[str, Any]]) if "id" in each]
        return EngineState(
            models=tuple(EngineModel(name=name, operations=self.operations) for name in self._section.models or names)
        )

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Ask and wait. See `Engine.generate`."""
        check_format(asked.format)
        body = self._body(asked, run.reference)
        async with within(self.name, self._section.run_timeout_s):
            await run.submitting(run.reference)
            made = self._read(await self._answer(asked, body, run.reference), Made)
            if not made.data:
                raise UpstreamInvalid(f"The engine `{self.name}` finished without a picture.")
            for number, picture in enumerate(made.data, 1):
                facts = {"revised_prompt": picture.revised_prompt} if picture.revised_prompt else {}
                await save_picture(
                    run,
                    await self._bytes(picture),
                    name=f"image-{number}",
                    asked=asked.format,
                    quality=asked.hints.get("output_compression"),
                    facts=facts,
                )
            run.progress(Progress(fraction=1.0))
            details = {"model": body.get("model", ""), **({"usage": made.usage} if made.usage else {})}
            return Generated(seed=body.get(self._section.sends.get("seed", "")), details=details)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """Nothing can be collected from it: whoever asked has to be there for the reply."""
        return None

    async def stop(self, handle: str) -> None:
        """It has no call for that. What it has answered is over.

        Raises:
            UpstreamError: It has not answered: that the connection is closed does not say that the work is over.
        """
        if handle in self._answered:
            return
        raise UpstreamError(f"The engine `{self.name}` cannot be told to stop.", upstream_code="cannot_stop")

    async def unload(self, model: str = "") -> None:
        """It has no call for that.

        Raises:
            NotSupported: Always.
        """
        raise NotSupported(f"The engine `{self.name}` has no call that unloads; give it a `process` to be stopped.")

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    def _body(self, asked: Generation, reference: str) -> dict[str, Any]:
        model = asked.model or (self._section.models or [""])[0]
        body: dict[str, Any] = {**({"prompt": asked.prompt} if asked.prompt else {}), "n": asked.count}
        if not asked.prompt and [given.role for given in asked.inputs] != ["image"]:
            raise InvalidRequest("It wants a prompt, unless it is to vary one picture.", param="prompt")
        if model:
            body["model"] = model
        if not model.startswith("gpt-image"):
            body["response_format"] = "b64_json"  # gpt-image has no other and refuses to be told
        if asked.width and asked.height:
            body["size"] = f"{asked.width}x{asked.height}"
        elif asked.width or asked.height:
            raise InvalidRequest("It wants both `width` and `height`, or neither.", param="width" if asked.height else "height")
        body |= self._further(asked, reference)
        if any(given.role not in ("image", "mask") for given in asked.inputs):
            raise InvalidRequest("It takes inputs `image` and `mask`.", param="image")
        return body

    def _further(self, asked: Generation, reference: str) -> dict[str, Any]:
        sends = self._section.sends
        given = {name: getattr(asked, name) for name in _FIELDS if getattr(asked, name) not in (None, "")}
        given |= {name: getattr(asked, name) for name in ("lyrics", "duration_s") if getattr(asked, name) not in (None, "")}
        if "seed" in sends:
            given["seed"] = seed_of(asked, reference, most=MOST_SEED)
        given |= asked.options
        for name, value in given.items():
            if name not in sends and (name not in _OPTIONS or name not in asked.options):
                raise InvalidRequest(f"This server takes no `{name}`.", param=name)
            if not isinstance(value, str | int | float | bool):
                raise InvalidRequest(f"`{name}` must be a text, a number or a truth value.", param=name)
        hints = {name: value for name, value in asked.hints.items() if name in _HINTS}
        return {**hints, **{sends.get(name, name): value for name, value in given.items()}}

    async def _answer(self, asked: Generation, body: dict[str, Any], reference: str) -> Any:
        try:
            answer = await self._made(asked, body)
        except UpstreamError as error:
            if error.upstream_status is not None or isinstance(error, UpstreamInvalid):
                self._answered.append(reference)
            raise
        self._answered.append(reference)
        return answer

    async def _made(self, asked: Generation, body: dict[str, Any]) -> Any:
        more: dict[str, Any] = {"timeout_s": self._section.run_timeout_s, "most_bytes": MOST_REPLY_BYTES}
        try:
            if asked.inputs:
                path = "/v1/images/edits" if asked.prompt else "/v1/images/variations"
                return await self._http.json("POST", path, data=_form(asked, body), **more)
            return await self._http.json("POST", "/v1/images/generations", json=body, **more)
        except UpstreamRejected as error:
            if any(code in error.message for code in _FILTERED):
                raise ContentFiltered(error.message, upstream_status=error.upstream_status, upstream_code=_FILTERED[0]) from error
            raise
        except UpstreamError as error:
            reason = failed(self.name, error.message)
            raise reason if reason.upstream_code == OUT_OF_MEMORY else error from None

    async def _bytes(self, picture: Picture) -> bytes:
        text = picture.b64_json or (picture.url if (picture.url or "").startswith("data:") else None)
        if text:
            try:
                return base64.b64decode(text.partition("base64,")[2] or text, validate=True)
            except (binascii.Error, ValueError):
                raise UpstreamInvalid(f"The engine `{self.name}` gave a picture that is no base64.") from None
        if not picture.url:
            raise UpstreamInvalid(f"The engine `{self.name}` gave neither a picture nor where it is.")
        return await self._http.whole("GET", self._path(picture.url), most_bytes=MOST_REPLY_BYTES)

    def _path(self, url: str) -> str:
        # An engine that says `localhost` means itself, wherever it is; nothing is fetched from anywhere else.
        there, here = urlsplit(url), urlsplit(self._http.base_url)
        is_here = not there.netloc or (there.scheme, there.netloc) == (here.scheme, here.netloc)
        if not is_here and (
            there.scheme not in ("http", "https") or there.hostname not in ("localhost", "127.0.0.1", "::1", "0.0.0.0")
        ):
            raise UpstreamInvalid(f"The engine `{self.name}` says that its picture is elsewhere, where nothing is fetched.")
        path = "/" + there.path.lstrip("/") + (f"?{there.query}" if there.query else "")
        base = here.path.rstrip("/")
        return path.removeprefix(base) if base and path.startswith(base + "/") else path

    def _read(self, value: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise UpstreamInvalid(f"The engine `{self.name}` does not answer as OpenAI does: {error}") from None


def _form(asked: Generation, body: Mapping[str, Any]) -> Any:
    from aiohttp import FormData

    form = FormData()
    for name, value in _texts(body):
        form.add_field(name, value)
    count = sum(1 for given in asked.inputs if given.role == "image")
    for number, given in enumerate(asked.inputs, 1):
        field = "image[]" if given.role == "image" and count > 1 else given.role
        ending = given.mime.rpartition("/")[2]
        form.add_field(field, given.data, filename=given.name or f"{given.role}-{number}.{ending}", content_type=given.mime)
    return form


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in body.items():
        yield name, str(value).lower() if isinstance(value, bool) else str(value)
