"""ACE-Step 1.5's server: tasks, asked after by id. It has no word to stop one."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from aiohttp import web

from aldgate.testing.engines.server import FakeEngine
from aldgate.testing.engines.sounds import wav


class FakeAceStep(FakeEngine):
    """An ACE-Step 1.5.

    Attributes:
        given: Every task's body, in order; of a multipart one, its fields.
        tasks: By id: status and progress.
    """

    faults = frozenset({"queue_full", "fails", "forgets", "wrong_id", "no_files", "file_gone", "elsewhere", "bad_result"})

    def __init__(self) -> None:
        super().__init__()
        self.given: list[dict[str, Any]] = []
        self.tasks: dict[str, tuple[int, float]] = {}

    def routes(self) -> list[web.RouteDef]:
        """See `FakeEngine.routes`."""
        return [
            web.get("/v1/models", self._models),
            web.get("/v1/stats", self._stats),
            web.post("/release_task", self._release),
            web.post("/query_result", self._query),
            web.get("/v1/audio", self._audio),
        ]

    async def _models(self, _: web.Request) -> web.Response:
        names = ("acestep-v15-turbo", "acestep-v15-base")
        return _told({"models": [{"name": name, "is_default": name == names[0]} for name in names], "default_model": names[0]})

    async def _stats(self, _: web.Request) -> web.Response:
        running = sum(status == 0 for status, _ in self.tasks.values())
        counts = {"total": len(self.tasks), "queued": 0, "running": running, "succeeded": 0, "failed": 0}
        return _told({"jobs": counts, "queue_size": 0, "queue_maxsize": 200, "avg_job_seconds": 5.0})

    async def _release(self, request: web.Request) -> web.Response:
        if self.fault == "queue_full":
            return web.json_response({"detail": "Server busy: queue is full"}, status=429)
        self.given.append(dict(self.asked[-1].form) if self.asked[-1].form else await request.json())
        task = str(uuid4())
        if self.fault != "forgets":
            self.tasks[task] = (0, 0.0)
            self._spawn(self._run(task))
        return _told({"task_id": task, "status": "queued", "queue_position": 1})

    async def _run(self, task: str) -> None:
        self.tasks[task] = (0, 0.4)
        await self._work()
        self.tasks[task] = (2 if self.fault == "fails" else 1, 1.0)

    async def _query(self, request: web.Request) -> web.Response:
        ids = (await request.json())["task_id_list"]
        rows = [{"task_id": "another" if self.fault == "wrong_id" else each, **self._row(each)} for each in ids]
        return _told(rows)

    def _row(self, task: str) -> dict[str, Any]:
        status, progress = self.tasks.get(task, (0, None))
        if status == 0:
            pieces: list[dict[str, Any]] = [] if progress is None else [{"progress": progress, "stage": "diffusion", "file": ""}]
        else:
            pieces = [] if self.fault in ("fails", "no_files") else [self._piece(each) for each in range(self._count())]
        result = "{not json" if self.fault == "bad_result" else json.dumps(pieces)
        return {"status": status, "result": result, "progress_text": "the last line of the log"}

    def _count(self) -> int:
        return int(self.given[-1].get("batch_size", 2))

    def _piece(self, number: int) -> dict[str, Any]:
        ending = self.given[-1].get("audio_format", "mp3")
        file = f"/v1/audio?path=%2Ftmp%2Fout%2F{number}.{ending}"
        if self.fault == "elsewhere":
            file = "http://elsewhere.example" + file
        metas = {"bpm": 120, "duration": 10, "genres": "pop", "keyscale": "C major", "timesignature": "4"}
        return {"file": file, "status": 1, "metas": metas, "seed_value": str(self.given[-1]["seed"])}

    async def _audio(self, request: web.Request) -> web.Response:
        if self.fault == "file_gone":
            return web.json_response({"detail": "File not found"}, status=404)
        return web.Response(body=wav(0.1), content_type="audio/wav")


def _told(data: Any) -> web.Response:
    return web.json_response({"data": data, "code": 200, "error": None, "timestamp": 1_760_000_000_000, "extra": None})
