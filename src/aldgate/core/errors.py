"""Everything that can go wrong, in one tree. Status, code and retry advice are facts of the class; dialects only render them.

GatewayError
CallerError     InvalidRequest InvalidConfiguration BadLogin MissingKey UnknownKey ExpiredKey RevokedKey NotFound ModelNotFound
MethodNotAllowed HeadTimeout IdempotencyConflict IdempotencyUnknown IdempotencyInProgress Conflict BodyTooLarge
UnsupportedMediaType HeadTooLarge VersionNotSupported SocketVersionNotSupported NothingKept PreviousResponseNotFound
ThreadNotFound RangeNotSatisfiable
PolicyError     ScopeDenied PolicyDenied ForeignOrigin PriceUnknown BudgetExceeded StorageFull RateLimited ConcurrencyLimited
ContentBlocked LinkInvalid EngineBusy
UpstreamError   UpstreamRejected ContextTooLong ContentFiltered UpstreamUnreachable UpstreamTimeout
UpstreamBroken UpstreamInvalid UpstreamAuth UpstreamLimited UpstreamOverloaded
InternalError   NotSupported Shedding ShuttingDown VramConflict StoreUnavailable IssuerUnavailable WorkerLost AnswerLost
DeadlineExceeded
ClientGone      nobody is left to answer; recorded, never rendered
HedgeLost       another attempt began to answer sooner; recorded, never rendered
"""

from enum import Enum
from typing import ClassVar


class Retry(Enum):
    """What a retry loop may do about an error."""

    NEVER = "never"
    LATER = "later"
    OTHER_ROUTE = "other_route"


class GatewayError(Exception):
    """A refusal or failure with a stable `code`, ready to be rendered in any dialect.

    Args:
        message: For the caller: what was bad and how to mend it. Holds no secret and no prompt text.
        param: The request field at fault, if there is one.
        retry_after_s: Whole seconds, at least 1, when waiting helps.

    Attributes:
        has_run: The provider did the work all the same: to call again is to pay again.
        attempts: How many deployments were asked, or how often one was, before this became the answer.
        is_callers: A credential that the caller brought is to blame: it says nothing of the provider to anybody else.
    """

    has_run = False
    is_callers = False
    attempts = 1
    code: ClassVar[str] = "internal_error"
    status: int = 500
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


class CallerError(GatewayError):
    """The request is at fault; sending it again changes nothing."""

    code, status = "invalid_request", 400


class InvalidRequest(CallerError):
    """The body or a parameter is not what the operation takes."""


class InvalidConfiguration(CallerError):
    """The configuration cannot be used; the gate goes on with the one it has."""

    code = "invalid_configuration"


class BadLogin(CallerError):
    """No enabled user has this name and this password; which of them is wrong nobody is told."""

    code, status = "invalid_credentials", 401


class MissingKey(CallerError):
    """No credential was sent."""

    code, status = "missing_api_key", 401


class UnknownKey(CallerError):
    """The credential belongs to nobody."""

    code, status = "invalid_api_key", 401


class ExpiredKey(CallerError):
    """The credential was good once; its time is over."""

    code, status = "expired_api_key", 401


class RevokedKey(CallerError):
    """The credential was withdrawn."""

    code, status = "revoked_api_key", 401


class NotFound(CallerError):
    """Nothing lives at this path or id."""

    code, status = "not_found", 404


class ModelNotFound(CallerError):
    """No route answers to this model name."""

    code, status = "model_not_found", 404


class PreviousResponseNotFound(CallerError):
    """The response to be continued is not kept for this account; sending the whole conversation goes on without it."""

    code, status = "previous_response_not_found", 400


class ThreadNotFound(CallerError):
    """The gate continues no message threads; sending the whole conversation goes on without one, as Anthropic's SDKs do."""

    code, status = "thread_not_found", 404


class MethodNotAllowed(CallerError):
    """The path exists, the method does not."""

    code, status = "method_not_allowed", 405


class HeadTimeout(CallerError):
    """The request head or body did not arrive in time."""

    code, status = "request_timeout", 408


class Conflict(CallerError):
    """The request contradicts what is stored."""

    code, status = "conflict", 409


class IdempotencyConflict(CallerError):
    """The idempotency key was used before with another body."""

    code, status = "idempotency_conflict", 409


class IdempotencyUnknown(CallerError):
    """The first call with this idempotency key may have been made, but there is no answer of it to give again."""

    code, status = "idempotency_unknown", 409


class IdempotencyInProgress(CallerError):
    """The first call with this idempotency key is under way in another process; once it has ended its answer is given again."""

    code, status, retry = "idempotency_in_progress", 409, Retry.LATER


class BodyTooLarge(CallerError):
    """The body is over `server.max_body_bytes`."""

    code, status = "body_too_large", 413


class UnsupportedMediaType(CallerError):
    """The content type is not one the operation reads."""

    code, status = "unsupported_media_type", 415


class RangeNotSatisfiable(CallerError):
    """The content has none of the bytes that `Range` asks for (RFC 9110, 15.5.17)."""

    code, status = "range_not_satisfiable", 416


class HeadTooLarge(CallerError):
    """The request line and headers are over `server.max_head_bytes`."""

    code, status = "head_too_large", 431


class VersionNotSupported(CallerError):
    """The request is in another version of HTTP than 1.1 or 1.0 (RFC 9110, 15.6.6)."""

    code, status = "http_version_not_supported", 505


class SocketVersionNotSupported(CallerError):
    """The WebSocket is not of version 13."""

    code, status = "websocket_version_not_supported", 426


class NothingKept(CallerError):
    """A kept answer was asked for or none (`only-if-cached`, RFC 9111, 5.2.1.7), and none is kept."""

    code, status = "nothing_kept", 504


class PolicyError(GatewayError):
    """The request is well formed, but this principal may not make it (now)."""

    code, status = "forbidden", 403


class ScopeDenied(PolicyError):
    """The key has not the scope that the operation needs."""

    code, status = "scope_denied", 403


class PolicyDenied(PolicyError):
    """A policy of the principal, or of a level above it, does not allow this; the message names which."""

    code, status = "policy_denied", 403


class ForeignOrigin(PolicyError):
    """A browser sent this from a page of somewhere else, with a cookie that only pages of the gate may use."""

    code, status = "foreign_origin", 403


class PriceUnknown(PolicyError):
    """A budget cannot be kept for a model whose price nobody knows."""

    code, status = "price_unknown", 403


class BudgetExceeded(PolicyError):
    """The most this call may cost does not fit what is left of a budget."""

    code, status = "budget_exceeded", 402


class StorageFull(PolicyError):
    """The files of this account come to as much as they may."""

    code, status = "storage_quota_exceeded", 403


class LinkInvalid(PolicyError):
    """A signed link has expired, was changed, or is none of this gate's."""

    code, status = "link_invalid", 403


class RateLimited(PolicyError):
    """A limit over time is spent; `retry_after_s` says when it suffices again."""

    code, status, retry = "rate_limit_exceeded", 429, Retry.LATER


class ConcurrencyLimited(PolicyError):
    """As many calls as allowed are under way."""

    code, status, retry = "concurrency_limit_exceeded", 429, Retry.LATER


class EngineBusy(PolicyError):
    """The engine has as much to do as it may have for callers who wait; the call was not queued."""

    code, status, retry = "backend_overloaded", 429, Retry.LATER


class ContentBlocked(PolicyError):
    """A guardrail of the principal's policy found what may not pass, in the request or in the answer."""

    code, status = "content_blocked", 400


class UpstreamError(GatewayError):
    """A provider failed us; the fault is not the caller's.

    Args:
        message: See `GatewayError`.
        upstream_status: HTTP status the provider sent, if it sent one.
        upstream_code: The provider's own error code.

    Attributes:
        was_sent: The request went out; False where no connection was made.
    """

    was_sent = True
    code, status = "upstream_error", 502

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        upstream_status: int | None = None,
        upstream_code: str | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s)
        self.upstream_status = upstream_status
        self.upstream_code = upstream_code


class UpstreamRejected(UpstreamError):
    """The provider refused the request itself (400, 404, 409, 413, 415, 422): the caller's to mend, with its status kept."""

    code, status = "upstream_rejected", 400


class ContextTooLong(UpstreamRejected):
    """The request is longer than the model can read; a model with a larger context may take it."""

    code, retry = "context_length_exceeded", Retry.OTHER_ROUTE


class ContentFiltered(UpstreamRejected):
    """The provider's content filter refused the request; another provider's may not."""

    code, retry = "content_filter", Retry.OTHER_ROUTE


class UpstreamUnreachable(UpstreamError):
    """No connection to the provider could be made."""

    was_sent = False
    code, status, retry = "upstream_unreachable", 502, Retry.OTHER_ROUTE


class UpstreamTimeout(UpstreamError):
    """The provider did not answer, or went silent, for too long."""

    code, status, retry = "upstream_timeout", 504, Retry.OTHER_ROUTE


class UpstreamBroken(UpstreamError):
    """The provider's reply ended before it was complete."""

    code, status, retry = "upstream_broken", 502, Retry.OTHER_ROUTE


class UpstreamInvalid(UpstreamError):
    """The provider sent something that is not the reply of this protocol."""

    code, status, retry = "upstream_invalid", 502, Retry.OTHER_ROUTE


class UpstreamAuth(UpstreamError):
    """The provider refused *our* credential; never shown as the caller's 401."""

    code, status, retry = "upstream_auth", 502, Retry.OTHER_ROUTE


class UpstreamLimited(UpstreamError):
    """The provider limits us (429), or our account there has no money (402)."""

    code, status, retry = "upstream_rate_limited", 429, Retry.OTHER_ROUTE


class UpstreamOverloaded(UpstreamError):
    """The provider is overloaded (503, 529)."""

    code, status, retry = "upstream_overloaded", 503, Retry.OTHER_ROUTE


class InternalError(GatewayError):
    """A fault of the gate itself."""


class NotSupported(InternalError):
    """This part of a provider's API is not there at the gate."""

    code, status = "not_supported", 501


class Shedding(InternalError):
    """More is in flight than the gate holds; come back shortly."""

    code, status, retry = "overloaded", 503, Retry.LATER


class ShuttingDown(InternalError):
    """The gate is stopping and takes no new calls."""

    code, status, retry = "shutting_down", 503, Retry.LATER


class VramConflict(InternalError):
    """Other programs hold the device memory that the work needs, or the device has not so much."""

    code, status, retry = "vram_conflict", 503, Retry.LATER


class StoreUnavailable(InternalError):
    """The database did not answer, and this call cannot go on without it."""

    code, status, retry = "store_unavailable", 503, Retry.LATER


class IssuerUnavailable(InternalError):
    """The issuer of this token does not give its keys, and without them nobody can say whether the token is genuine."""

    code, status, retry = "issuer_unavailable", 503, Retry.LATER


class WorkerLost(InternalError):
    """The worker that had the job is gone, and what it made with it."""

    code, status, retry = "worker_lost", 503, Retry.LATER


class AnswerLost(WorkerLost):
    """The worker that made the call is gone with its answer. It may have been paid for, so it is not made again by itself."""

    code, retry = "answer_lost", Retry.NEVER


class DeadlineExceeded(InternalError):
    """The job was not done by its deadline, or an attempt took longer than one may."""

    code, status = "deadline_exceeded", 504


class ClientGone(GatewayError):
    """The caller closed the connection. 499 follows nginx's convention and appears in the ledger only."""

    code, status = "client_gone", 499


class HedgeLost(GatewayError):
    """Another deployment began to answer sooner; this attempt was given up. Appears in the ledger only."""

    code, status = "hedge_lost", 499
