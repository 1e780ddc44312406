"""What a form asks of a transcription, each field checked before anything is heard."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec

from aldgate.core.errors import InvalidRequest
from aldgate.surfaces.http.multipart import Form
from aldgate.surfaces.jobs.heard import Format, Granularity

FORMATS: tuple[Format, ...] = get_args(Format)
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
STREAMED = ("json", "text")
_FIELDS = {"model", "prompt", "response_format", "temperature"}
_OF_TRANSCRIPTIONS = {"language", "stream", "timestamp_granularities", "timestamp_granularities[]", "chunking_strategy"}
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_Recording = Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})]
_Temperature = Annotated[float, msgspec.Meta(ge=0, le=1)]


class TranslationForm(msgspec.Struct, omit_defaults=True):
    """A recording to be written down in English, as a form."""

    file: _Recording
    model: str = ""
    prompt: str = ""
    response_format: Format = "json"
    temperature: _Temperature = 0.0


class TranscriptionForm(TranslationForm, omit_defaults=True):
    """A recording to be written down, as a form."""

    language: Annotated[str, msgspec.Meta(pattern=f"^{_LANGUAGE.pattern}$")] = "en"
    stream: bool = False
    timestamp_granularities: list[Granularity] = msgspec.field(default=[], name="timestamp_granularities[]")
    chunking_strategy: Literal["auto"] = "auto"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a form asks for.

    Attributes:
        options: As engines take them.
    """

    task: str
    model: str
    prompt: str
    language: str | None
    format: Format
    granularities: tuple[Granularity, ...]
    is_streamed: bool
    options: Mapping[str, Any]


def asked_of(form: Form, task: str) -> Asked:
    """What the form asks for.

    Raises:
        InvalidRequest: A field is not known, or has a value that it cannot have.
    """
    known = _FIELDS | _OF_TRANSCRIPTIONS if task == "transcribe" else _FIELDS
    if unknown := sorted({*form.fields, *form.lists} - known):
        raise InvalidRequest(f"The form has a field that is not taken here (`{unknown[0][:100]}`).", param=unknown[0][:100])
    fields = form.fields
    if fields.get("chunking_strategy", "auto") != "auto":
        raise InvalidRequest("Engines cut recordings as they do: `chunking_strategy` is `auto`.", param="chunking_strategy")
    wanted, granularities = _format(fields), _granularities(form)
    is_streamed = _boolean(fields, "stream")
    if is_streamed and wanted not in STREAMED:
        raise InvalidRequest(f"What is streamed is {' or '.join(STREAMED)}, not `{wanted}`.", param="response_format")
    if granularities and wanted != "verbose_json":
        raise InvalidRequest("Times are told in `verbose_json` alone.", param="timestamp_granularities[]")
    options: dict[str, Any] = {} if is_streamed else {"stream": False}
    if task != "transcribe":
        options["task"] = task
    if (temperature := _temperature(fields)) is not None:
        options["temperature"] = temperature
    if granularities:
        options["timestamp_granularities"] = list(granularities)
    return Asked(
        task=task,
        model=fields.get("model", ""),
        prompt=fields.get("prompt", ""),
        language=_language(fields),
        format=wanted,
        granularities=granularities,
        is_streamed=is_streamed,
        options=options,
    )


def _format(fields: Mapping[str, str]) -> Format:
    wanted = fields.get("response_format", "json")
    for known in FORMATS:
        if known == wanted:
            return known
    raise InvalidRequest(f"`response_format` is one of {', '.join(FORMATS)}.", param="response_format")


def _granularities(form: Form) -> tuple[Granularity, ...]:
    name = "timestamp_granularities"
    given = [*form.lists.get(f"{name}[]", ()), *([form.fields[name]] if name in form.fields else [])]
    if not set(given) <= set(GRANULARITIES):
        raise InvalidRequest(f"`{name}[]` is one of {', '.join(GRANULARITIES)}, each time.", param=f"{name}[]")
    return tuple(each for each in GRANULARITIES if each in given)


def _temperature(fields: Mapping[str, str]) -> float | None:
    if "temperature" not in fields:
        return None
    try:
        value = float(fields["temperature"])
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InvalidRequest("`temperature` is from 0 to 1.", param="temperature")
    return value


def _language(fields: Mapping[str, str]) -> str | None:
    language = fields.get("language")
    if language and not _LANGUAGE.fullmatch(language):
        raise InvalidRequest("`language` is a code as in `en` or `pt-BR`.", param="language")
    return language or None


def _boolean(fields: Mapping[str, str], name: str) -> bool:
    value = _BOOLEANS.get(fields.get(name, "false").lower())
    if value is None:
        raise InvalidRequest(f"`{name}` is true or false.", param=name)
    return value
