"""What requests for jobs say of webhooks, and `/v1/webhooks/secret`, which receivers check signatures with."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from aldgate.core.principals import Principal
from aldgate.core.webhooks import MOST_URL, WEBHOOK, Delivery
from aldgate.jobs.hooks import Hooks
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.jobs.looking import check_may_look

FIELD = "webhook_url"


class WebhookField(msgspec.Struct):
    """The field that any request may have that becomes a job."""

    webhook_url: Annotated[str, Meta(max_length=MOST_URL)] | None = None
    """Called by POST when the job has ended."""


class WebhookSecret(msgspec.Struct):
    """What an account's webhooks are signed with."""

    secret: str
    """`whsec_` and base64, as libraries of Standard Webhooks take it."""
    object: str = "webhook.secret"


def webhook_in(body: bytes) -> dict[str, Any]:
    """The webhook that a request wants, as `extras` of its job.

    Raises:
        InvalidRequest: It is no text.
    """
    if FIELD.encode() not in body:
        return {}
    return extras_of(decoded(body, WebhookField).webhook_url)


def extras_of(url: str | None) -> dict[str, Any]:
    """A webhook as `extras` of its job."""
    return {} if url is None else {WEBHOOK: url}


async def secret(hooks: Hooks, who: Principal) -> dict[str, Any]:
    """GET /v1/webhooks/secret: that of who asks."""
    check_may_look(who)
    return msgspec.structs.asdict(WebhookSecret(hooks.secret(who.account)))


def described(url: str, delivery: Delivery | None) -> dict[str, Any]:
    """A job's webhook as the API shows it. `delivery`: None before the job has ended."""
    shown = delivery or Delivery(job="", account="", url=url)
    return {
        "url": shown.url,
        "state": shown.state,
        "attempts": shown.attempts,
        "next_attempt_at": int(shown.due_at) if delivery is not None and shown.state == "pending" else None,
        "last_status": shown.last_status,
        "last_error": shown.last_error or None,
    }
