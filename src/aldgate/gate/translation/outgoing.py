"""What is sent to a provider: the caller's own bytes, or the request in the provider's dialect."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

import msgspec

from aldgate.core.calls import Admission
from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest
from aldgate.core.guardrails.guard import Guarded
from aldgate.core.lossy import refuse_losses
from aldgate.core.operations import CompletionRequest, Request
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.core.words import word, worded
from aldgate.gate.translation.guarded import GuardedTranslation
from aldgate.gate.translation.signatures import is_sealed
from aldgate.gate.translation.spoken import spoken
from aldgate.gate.translation.translation import Translation
from aldgate.ports import Backend, FaceDialect, Relay, UpstreamDialect


def written(
    admission: Admission, deployment: Deployment, backend: Backend, face: FaceDialect, warnings: list[str], asked: Request | None
) -> tuple[UpstreamDialect, bytes, Relay]:
    """The dialect and body for one attempt, and what turns the reply into the caller's.

    `warnings` takes the names of fields that are left out. `asked` is the request, where it was parsed already or is to be
    written anew even for a provider of the caller's dialect.

    Raises:
        InvalidRequest: It asks for what the provider's dialect cannot say.
    """
    call = admission.call
    dialects = spoken(backend, deployment)
    upstream = dialects.get(face.name)
    if upstream is not None and call.operation in upstream.operations:
        if asked is None:
            try:
                body = upstream.outgoing(call.operation, call.peek, deployment, cap=admission.cap, warnings=warnings)
            except msgspec.ValidationError as error:
                raise _out_of_range(error) from None
        else:
            body = _built(upstream, asked, admission, deployment, warnings)
        return upstream, body, face.relay(call.id, call.operation, call.peek, upstream)
    upstream = _speaking(dialects, call.operation, deployment)
    asked = asked or parsed(face, admission)
    body = _built(upstream, asked, admission, deployment, warnings)
    return upstream, body, Translation(call.id, call.operation, call.peek, asked, face, upstream)


def guarded(
    admission: Admission,
    given: Guarded,
    deployment: Deployment,
    backend: Backend,
    face: FaceDialect,
    warnings: list[str],
    asked: Request | None,
) -> tuple[UpstreamDialect, bytes, GuardedTranslation]:
    """The same for a call that has passed guardrails: what they left of it, always written anew.

    Raises:
        InvalidRequest: It asks for what the provider's dialect cannot say.
    """
    call = admission.call
    dialects = spoken(backend, deployment)
    upstream = dialects.get(face.name)
    if upstream is None or call.operation not in upstream.operations:
        upstream = _speaking(dialects, call.operation, deployment)
    body = _built(upstream, asked or given.changed, admission, deployment, warnings)
    return upstream, body, GuardedTranslation(call, given, face, upstream)


def parsed(face: FaceDialect, admission: Admission) -> Request:
    """All of the request, bounded as money is held for it.

    Raises:
        InvalidRequest: It has what would be lost in any translation, or what its dialect does not have.
    """
    call = admission.call
    try:
        with not_too_deep():
            asked = face.parse(call.operation, call.peek)
    except msgspec.ValidationError as error:
        raise _out_of_range(error) from None
    if isinstance(asked, Conversation):
        refuse_losses(asked, call.peek.model)
    if isinstance(asked, Conversation | CompletionRequest) and admission.cap is not None:
        asked.max_output_tokens = admission.cap
    return asked


def _out_of_range(error: msgspec.ValidationError) -> InvalidRequest:
    """A number that none can hold, such as `1e999`: all else was read when it came."""
    return InvalidRequest(f"The body cannot be read: {str(error).partition(' - at ')[0].lower()}.")


@contextmanager
def not_too_deep() -> Generator[None]:
    """How deep a request is nested is for its caller to answer for; whatever else is raised in reading and writing one is not."""
    try:
        yield
    except RecursionError:
        raise InvalidRequest("The request is nested too deep to be translated.") from None


def _built(upstream: UpstreamDialect, asked: Request, admission: Admission, deployment: Deployment, warnings: list[str]) -> bytes:
    """The body for the provider; what it leaves out or refuses is named as the caller says it."""
    left_out: list[str] = []
    try:
        with not_too_deep():
            body = upstream.build(asked, deployment, stream=admission.call.peek.stream, warnings=left_out)
    except InvalidRequest as error:
        error.param = error.param and word(asked.origin, error.param)
        raise
    warnings += worded(asked, left_out)
    return body


def may_be_sealed(admission: Admission) -> bool:
    """Whether it carries what only one of several providers can read."""
    several = len({deployment.backend for deployment in admission.candidates}) > 1
    return several and admission.call.operation == "chat" and is_sealed(admission.call.peek.body)


def _speaking(dialects: Mapping[str, UpstreamDialect], operation: Operation, deployment: Deployment) -> UpstreamDialect:
    for dialect in dialects.values():
        if operation in dialect.operations:
            return dialect
    raise InvalidRequest(f"`{deployment.id}` cannot {operation}.", param="model")
