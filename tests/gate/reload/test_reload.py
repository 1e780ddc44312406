"""A running gate takes a changed configuration over: no stream is dropped, no counter reset, and a bad file changes nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import FakeUpstream, Reply, Valve, faults
from tests.faults.lab import CHAT, HELLO, events_of, read_ledger, within, words_in
from tests.support import ADMIN_KEY, RunningGate, lab, provider_table, running_gate

pytestmark = pytest.mark.anyio
Tables = Mapping[str, Mapping[str, Any]]


class Reloading:
    """A gate whose file can be written anew."""

    def __init__(self, gate: RunningGate, data: Path) -> None:
        self.gate = gate
        self.file = data / "aldgate.toml"

    def write(self, providers: Tables | None = None, config: str = "") -> None:
        tables = "".join(provider_table(name, table) for name, table in (providers or {}).items())
        self.file.write_text(config + tables, encoding="utf-8")

    async def reload(self, providers: Tables | None = None, config: str = "") -> dict[str, Any]:
        self.write(providers, config)
        reply = await self.gate.http.post("/admin/reload")
        assert reply.status_code == 200, reply.text
        return reply.json()

    async def ask(self, model: str = "gpt-4.1", **headers: str) -> tuple[int, str]:
        reply = await self.gate.http.post(CHAT, json={**HELLO, "model": model}, headers=headers)
        body = reply.json()
        return reply.status_code, body["error"]["code"] if "error" in body else body["choices"][0]["message"]["content"]


@asynccontextmanager
async def reloading(data: Path, providers: Tables, config: str = "", **flags: str) -> AsyncIterator[Reloading]:
    """The gate; it reads its file again when asked, and by itself only with `watch`."""
    dotted = {"reload.watch": "false", **{name.replace("__", "."): text for name, text in flags.items()}}
    async with running_gate(data, providers=providers, config=config, flags=dotted) as gate:
        yield Reloading(gate, data)


def saying(text: str) -> FakeUpstream:
    return FakeUpstream(reply=Reply(text=text))


async def test_a_stream_under_way_ends_well_on_the_provider_it_began_with(tmp_path: Path) -> None:
    valve = Valve()
    async with saying("the old one says this") as old, saying("new") as new:
        async with reloading(tmp_path, {"lab": lab(old.url)}, '[prices."lab/gpt-4.1"]\noutput = 8\n') as running:
            old.script(faults.stall_mid_stream(valve=valve))
            async with running.gate.http.stream("POST", CHAT, json={**HELLO, "stream": True}) as reply:
                pieces = reply.aiter_bytes()
                body = await anext(pieces)
                assert (await running.reload({"lab": lab(new.url)}))["applied"] == ["providers.lab", "prices.lab/gpt-4.1"]
                assert await running.ask() == (200, "new")
                assert old.open_connections == 1
                valve.open()
                body += b"".join([piece async for piece in pieces])
            events = events_of(body)
            assert (words_in(events), events[-1]) == (5, "[DONE]")
            await within(5, _closed(old))
            await running.gate.app.writer.committed()
        rows = {row["stream"]: row for row in read_ledger(tmp_path)}
        assert (rows[1]["status"], rows[1]["cost_microusd"]) == (200, 40)  # by the price it began with
        assert rows[0]["price_version"] != "config"


async def _closed(upstream: FakeUpstream) -> None:
    while upstream.open_connections:
        await asyncio.sleep(0)


async def test_a_call_between_admission_and_provider_keeps_its_backend(tmp_path: Path) -> None:
    valve = Valve()
    async with saying("kept") as upstream, reloading(tmp_path, {"lab": lab(upstream.url)}) as running:
        upstream.script(faults.hang_before_head(valve))
        call = asyncio.create_task(running.ask())
        await within(5, upstream.saw_requests(1))
        await running.reload()
        assert await running.ask() == (404, "model_not_found")
        valve.open()
        assert await within(5, call) == (200, "kept")


async def test_what_has_not_changed_keeps_its_connections(tmp_path: Path) -> None:
    async with saying("a") as one, saying("b") as two:
        tables = {"one": lab(one.url), "two": lab(two.url, models=["other"])}
        async with reloading(tmp_path, tables) as running:
            before = dict(running.gate.app.gate.backends)
            assert (await running.ask(), await running.ask("other")) == ((200, "a"), (200, "b"))
            answer = await running.reload(
                {**tables, "three": lab(two.url, models=["third"])}, '[prices."one/gpt-4.1"]\ninput = 1\n'
            )
            assert answer["applied"] == ["providers.three", "prices.one/gpt-4.1"]
            after = running.gate.app.gate.backends
            assert after["one"] is before["one"] and after["two"] is before["two"] and after["builtin"] is before["builtin"]
            assert [await running.ask(model) for model in ("gpt-4.1", "third")] == [(200, "a"), (200, "b")]
            assert one.connections == 1
            listed = (await running.gate.http.get("/v1/models")).json()["data"]
            assert [each["id"] for each in listed][:3] == ["one/gpt-4.1", "two/other", "three/third"]


async def test_a_provider_that_is_asked_for_its_models_is_asked_before_the_swap(tmp_path: Path) -> None:
    async with saying("a") as upstream, reloading(tmp_path, {}) as running:
        await running.reload({"lab": {"base_url": upstream.url}})
        assert await running.ask("gpt-4.1-mini") == (200, "a")


async def test_limits_and_budgets_are_not_reset(tmp_path: Path) -> None:
    async with saying("a") as upstream, reloading(tmp_path, {"lab": lab(upstream.url)}) as running:
        key = await running.gate.key(rpm=2)
        header = {"authorization": f"Bearer {key}"}
        assert [(await running.ask(**header))[0] for _ in range(2)] == [200, 200]
        await running.reload({"lab": lab(upstream.url, idle_timeout_s=7)})
        assert await running.ask(**header) == (429, "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[server", "aldgate.toml: "),
        ("[server]\nprot = 1\n", "there is no setting `server.prot` (did you mean `server.port`?)"),
        ("[providers.lab]\napi_key = 'env:GONE'\n", "`GONE` is not set (set `GONE` in the environment or in `.env`)"),
        ("[engines.ehco]\n", "[engines.ehco]: there is no such engine"),
        ("[prices.x]\ninput = -1\n", "is not an amount"),
        ("[auth]\nadmin_key = 'short'\n", "the admin key"),
    ],
)
async def test_a_bad_file_changes_nothing_and_says_why(tmp_path: Path, config: str, message: str) -> None:
    async with saying("still") as upstream, reloading(tmp_path, {"lab": lab(upstream.url)}) as running:
        backends = running.gate.app.gate.backends
        running.file.write_text(config)
        environment = running.gate.app.reloader.settings.reading
        assert environment is not None and environment.environment is not None
        if "auth" in config:  # the environment would beat the file
            del environment.environment["ALDGATE_ADMIN_KEY"]  # pyright: ignore[reportIndexIssue]
        reply = await running.gate.http.post("/admin/reload")
        assert (reply.status_code, reply.json()["code"]) == (400, "invalid_configuration")
        assert message in reply.json()["detail"]
        assert running.gate.app.gate.backends is backends and await running.ask() == (200, "still")
        assert "aldgate_reload_failing 1.0" in (await running.gate.http.get("/metrics")).text


async def test_a_file_that_is_gone_is_a_bad_file(tmp_path: Path) -> None:
    async with saying("still") as upstream, reloading(tmp_path, {"lab": lab(upstream.url)}) as running:
        running.file.unlink()
        reply = await running.gate.http.post("/admin/reload")
        assert reply.status_code == 400 and "No such file" in reply.json()["detail"]
        assert await running.ask() == (200, "still")


async def test_what_needs_a_restart_is_named_until_there_is_one(tmp_path: Path) -> None:
    async with reloading(tmp_path, {}) as running:
        changed = (
            "[server]\nmax_body_bytes = 1000\n[ledger]\nwindow_s = 1\n[limits]\ndefault_max_tokens = 7\n[log]\ncalls = true\n"
        )
        answer = await running.reload(config=changed)
        assert answer == {
            "applied": ["limits.default_max_tokens", "log.calls"],
            "needs_restart": ["server.max_body_bytes", "ledger.window_s"],
            "problems": [],
        }
        gate = running.gate.app.gate
        assert (gate.default_max_tokens, gate.logs_calls) == (7, True)
        answer = await running.reload(config=changed + '[aliases]\nfast = "echo"\nlost = "gone"\n')
        assert answer["applied"] == ["aliases.fast", "aliases.lost"]
        assert answer["needs_restart"] == ["server.max_body_bytes", "ledger.window_s"]
        assert "alias `lost`" in answer["problems"][0]
        assert (await running.ask("fast"))[0] == 200


async def test_the_log_level_follows(tmp_path: Path) -> None:
    logger = logging.getLogger("aldgate")
    root = logging.getLogger()
    level, handlers = logger.level, root.handlers[:]
    try:
        async with reloading(tmp_path, {}) as running:
            assert (await running.reload(config='[log]\nlevel = "ERROR"\n'))["applied"] == ["log.level"]
            assert logger.level == logging.ERROR
    finally:
        logger.setLevel(level)
        root.handlers[:] = handlers


async def test_a_rotated_secret_is_taken_from_its_file_and_from_dotenv(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    (tmp_path / ".env").write_text("OTHER_KEY=one\n")
    async with saying("a") as upstream:
        tables = {
            "filed": lab(upstream.url, api_key=f"file:{secret}"),
            "named": lab(upstream.url, api_key="env:OTHER_KEY", models=["other"]),
            "still": lab(upstream.url, models=["third"]),
        }

        async def sent() -> list[str | None]:
            for model in ("gpt-4.1", "other", "third"):
                await running.ask(model)
            return [request.header("authorization") for request in upstream.requests[-3:]]

        async with reloading(tmp_path, tables) as running:
            assert (await sent())[:2] == ["Bearer first", "Bearer one"]
            still = running.gate.app.gate.backends["still"]
            secret.write_text("second\n")
            (tmp_path / ".env").write_text("OTHER_KEY=two\n")
            assert (await running.reload(tables))["applied"] == ["providers.filed", "providers.named"]
            assert (await sent())[:2] == ["Bearer second", "Bearer two"]
            assert running.gate.app.gate.backends["still"] is still


async def test_the_admin_key_can_be_rotated_but_not_taken_away(tmp_path: Path) -> None:
    async with reloading(tmp_path, {}) as running:
        reading = running.gate.app.reloader.settings.reading
        assert reading is not None and isinstance(reading.environment, dict)
        reading.environment["ALDGATE_ADMIN_KEY"] = "another-" + ADMIN_KEY
        assert (await running.reload())["applied"] == ["auth.admin_key"]
        assert (await running.gate.http.post("/admin/reload")).status_code == 401
        running.gate.http.headers["authorization"] = "Bearer another-" + ADMIN_KEY
        del reading.environment["ALDGATE_ADMIN_KEY"]
        answer = await running.reload()
        assert (answer["applied"], answer["needs_restart"]) == ([], ["auth.admin_key"])


async def test_reloads_at_once_leave_what_the_file_says_last(tmp_path: Path) -> None:
    async with saying("a") as one, saying("b") as two, reloading(tmp_path, {"lab": lab(one.url)}) as running:
        running.write({"lab": {"base_url": two.url}})
        first = asyncio.create_task(running.gate.app.reloader.reload())
        await within(5, two.saw_requests(1))  # it has read the file, and asks the new provider for its models
        running.write({"lab": lab(one.url)})
        second, third = running.gate.app.reloader.reload(), running.gate.app.roster.look()
        await within(5, asyncio.gather(first, second, third))
        assert await running.ask() == (200, "a")
        await within(5, _closed(two))


async def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    flags = {"reload__watch": "true", "reload__interval_s": "0.02"}
    async with saying("a") as upstream, reloading(tmp_path, {}, **flags) as running:
        running.file.write_text("[nonsense")
        async with asyncio.timeout(10):
            while not running.gate.app.reloader.is_failing:
                await asyncio.sleep(0)
            running.write({"lab": lab(upstream.url)})
            while (await running.ask()) != (200, "a"):
                pass
        assert not running.gate.app.reloader.is_failing


async def acts(running: Reloading) -> list[tuple[str, str, str, dict[str, Any]]]:
    rows = (await running.gate.http.get("/admin/audit", params={"act": "configuration.reload"})).json()["data"]
    return [(row["who"], row["target"], row["outcome"], json.loads(row["details"])) for row in rows]


async def test_every_way_to_reload_is_in_the_audit_log(tmp_path: Path) -> None:
    async with reloading(tmp_path, {}) as running:
        await running.reload(config="[limits]\ndefault_max_tokens = 100\n")
        ((who, target, outcome, details),) = await acts(running)
        assert (who, target, outcome) == ("admin", "configuration", "done")
        assert details == {"by": "/admin/reload", "applied": ["limits.default_max_tokens"], "needs_restart": []}
        running.write(config="[limits]\ndefault_max_tokens = 200\n")
        running.gate.app.reloader.hang_up()
        async with asyncio.timeout(10):
            while len(told := await acts(running)) < 2:
                pass
        who, target, outcome, details = told[0]
        assert (who, target, outcome, details["by"], details["applied"]) == (
            "operator",
            "configuration",
            "done",
            "SIGHUP",
            ["limits.default_max_tokens"],
        )
        assert details["process"]
        running.write(config="[nonsense")
        running.gate.app.reloader.hang_up()
        async with asyncio.timeout(10):
            while len(told := await acts(running)) < 3:
                pass
        assert told[0][2] == "refused" and "applied" not in told[0][3]
        running.gate.app.reloader.ask()
        async with asyncio.timeout(10):
            while running.gate.app.reloader._asked.is_set():  # pyright: ignore[reportPrivateUsage]
                await asyncio.sleep(0)
        assert len(await acts(running)) == 3, "whoever told this process has noted it"


async def test_a_changed_file_is_in_the_audit_log(tmp_path: Path) -> None:
    flags = {"reload__watch": "true", "reload__interval_s": "0.02"}
    async with reloading(tmp_path, {}, **flags) as running:
        running.write(config="[limits]\ndefault_max_tokens = 100\n")
        async with asyncio.timeout(10):
            while not (told := await acts(running)):
                pass
        who, _, outcome, details = told[-1]
        assert (who, outcome, details["by"], details["applied"]) == ("operator", "done", "file", ["limits.default_max_tokens"])


async def test_a_reload_needs_an_admin(tmp_path: Path) -> None:
    async with reloading(tmp_path, {}) as running:
        key = await running.gate.key()
        reply = await running.gate.http.post("/admin/reload", headers={"authorization": f"Bearer {key}"})
        assert (reply.status_code, reply.json()["code"]) == (403, "scope_denied")
