"""Webhooks of jobs, and who sends them."""

from __future__ import annotations

import random
import secrets
import time
from contextlib import AsyncExitStack
from functools import partial

from aldgate.config.settings import Settings
from aldgate.jobs.hooks import Hooks
from aldgate.jobs.webhooks import Deliveries, DeliveryShop
from aldgate.storage import Store
from aldgate.store.writer import wait_for_event
from aldgate.upstream.outward import Outward
from aldgate.upstream.tls import client_context


async def webhooks_of(settings: Settings, store: Store, stack: AsyncExitStack) -> tuple[Hooks, Deliveries]:
    """What faces ask of them, and who sends them."""
    master, _ = await store.secret("webhooks", secrets.token_bytes(32))
    wanted, trust = settings.webhooks, settings.upstream
    tls = partial(client_context, verify=trust.verify_tls, ca_bundle=trust.ca_bundle, client_cert="")
    outward = Outward(tls, wanted.timeout_s, allow_private=wanted.allow_private)
    stack.push_async_callback(outward.aclose)
    shop = DeliveryShop(
        deliveries=store,
        jobs=store,
        post=outward.post,
        master=master,
        most=wanted.attempts,
        now=time.time,
        random=random.SystemRandom().random,
        wait=wait_for_event,
    )
    return Hooks(store, master, allow_private=wanted.allow_private), Deliveries(shop)
