"""Reads the configuration again while the gate runs, and takes over what has changed. No call is cut, no counter reset.

Three things ask for it: a file that has changed, SIGHUP, and `POST /admin/reload`. A configuration that cannot be used changes
nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from aldgate.config.changes import changed, takes_effect
from aldgate.config.errors import ConfigError
from aldgate.config.files import Stamp, files_of, stamp
from aldgate.config.loader import read_again
from aldgate.config.settings import Settings
from aldgate.core.errors import GatewayError
from aldgate.core.levels import Level
from aldgate.core.principals import Principal
from aldgate.gate.audit import Audit
from aldgate.gate.gate import Gate
from aldgate.gate.principals.identity import Identity
from aldgate.gate.reload.roster import Roster
from aldgate.logs import configure_logging
from aldgate.ports import Backend

log = logging.getLogger("aldgate")

RELOAD, CONFIGURATION = "configuration.reload", "configuration"
"""The act, and what it is done to, in the audit log."""
OPERATOR = Principal.of("admin", Level("admin", "operator", "operator"))
"""Who sends signals and writes files: somebody on the machine itself."""

Stamps = Mapping[Path, Stamp | None]


class Reloaded(msgspec.Struct, frozen=True):
    """What came of reading the configuration again.

    Attributes:
        applied: Paths of settings that changed and are in force now.
        needs_restart: Paths of settings that differ from those the gate was started with, and will until it is started again.
        problems: What is wrong with the new catalogue, in words; it is in force all the same.
    """

    applied: list[str]
    needs_restart: list[str]
    problems: list[str]


class Reloader:
    """Takes a changed configuration over.

    Args:
        settings: What the gate was started with.
        on_change: Told of settings of which something is new and in force.
        audit: Takes note of what nobody asked for at a path: a signal, or a file that has changed.
        process: This process, as others know it.

    Attributes:
        settings: What was taken over last.
        is_failing: The last attempt failed: the files say what the gate does not do.
    """

    def __init__(
        self,
        settings: Settings,
        roster: Roster,
        gate: Gate,
        identity: Identity,
        on_change: Callable[[Settings], None],
        audit: Audit,
        process: str,
    ) -> None:
        self.settings = settings
        self.is_failing = False
        self._started_with = settings
        self._roster = roster
        self._gate = gate
        self._identity = identity
        self._on_change = on_change
        self._audit = audit
        self._process = process
        self._was_hung_up = False
        self._taken = self._stamps()
        self._asked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    def ask(self) -> None:
        """Have `run` reload soon: another process was told to, which has taken note of that."""
        self._asked.set()

    def hang_up(self) -> None:
        """Have `run` reload soon, for a signal."""
        self._was_hung_up = True
        self._asked.set()

    async def reload(self) -> Reloaded:
        """Read everything again and take over what can be. Whoever comes second reads what there is when the first has ended.

        Raises:
            ConfigError: It cannot be used; nothing has changed.
        """
        async with self._one_at_a_time:
            self._taken = self._stamps()
            before = self._roster.backends
            try:
                new = await asyncio.to_thread(read_again, self.settings)
                await self._roster.take(new)
            except ConfigError:
                self.is_failing = True
                raise
            self.is_failing = False
            old, self.settings = self.settings, new
            self._apply(old, new)
            if self._stamps().keys() != self._taken.keys():
                self._taken = self._stamps()
            applied = [path for path in changed(old, new) if takes_effect(path, new)]
            applied += [path for path in _replaced(before, self._roster.backends) if path not in applied]
            if applied:
                self._on_change(new)
            restart = [path for path in changed(self._started_with, new) if not takes_effect(path, new)]
            log.info("configuration read again", extra={"applied": applied, "needs_restart": restart})
            return Reloaded(applied, restart, self._roster.problems)

    def _apply(self, old: Settings, new: Settings) -> None:
        self._gate.default_max_tokens = new.limits.default_max_tokens
        self._gate.steps.tokens = new.limits.stream_step_tokens
        self._gate.logs_calls = new.log.calls
        self._gate.attempts.retries = new.routing.retries
        if new.log != old.log:
            configure_logging(new.log.level, new.log.format)
        key = new.auth.admin_key
        if key is not None and key != old.auth.admin_key:
            self._identity.appoint(self._identity.digest(key.reveal().encode()))

    async def run(self) -> None:
        """Reload when asked to, and when a file of the configuration has changed and then stayed the same for one look."""
        seen = self._taken
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.reload.interval_s):
                    await self._asked.wait()
            before, seen = seen, self._stamps()
            has_changed = self.settings.reload.watch and seen == before and seen != self._taken
            if self._asked.is_set() or has_changed:
                told_by = "SIGHUP" if self._was_hung_up else "" if self._asked.is_set() else "file"
                self._asked.clear()
                self._was_hung_up = False
                await self._reload_by(told_by)

    async def _reload_by(self, told_by: str) -> None:
        said: dict[str, Any] = {"by": told_by, "process": self._process}
        note = self._audit.did
        try:
            reloaded = await self.reload()
            said |= {"applied": reloaded.applied, "needs_restart": reloaded.needs_restart}
        except ConfigError as error:
            log.error("nothing has changed: %s", error.message, extra={"hint": error.hint})
            note = self._audit.refused
        if told_by:
            try:
                await note(OPERATOR, RELOAD, CONFIGURATION, said)
            except GatewayError as error:
                log.error("the audit log does not have that the configuration was read again: %s", error.message)

    def _stamps(self) -> Stamps:
        return {path: stamp(path) for path in files_of(self.settings)}


def _replaced(before: Mapping[str, Backend], after: Mapping[str, Backend]) -> Iterator[str]:
    """Providers that were made anew, be it only because a key that they refer to is another."""
    return (f"providers.{name}" for name, backend in after.items() if before.get(name, backend) is not backend)
