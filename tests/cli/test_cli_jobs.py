"""`aldgate jobs`: what it asks, what it makes of the answer, and how it exits."""

import os
import pty
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.loopback_gate import KEY, Aldgate, LoopbackGate
from tests.cli.serving import COMMAND, PATIENCE_S, surroundings


def job(state: str = "running", **more: Any) -> dict[str, Any]:
    usual = {
        "id": "job-1",
        "object": "job",
        "state": state,
        "operation": "image",
        "engine": "comfyui",
        "model": "comfyui/sdxl",
        "created_at": int(time.time()) - 100_000,
        "started_at": None,
        "ended_at": None,
        "progress": {"fraction": None, "step": None, "steps": None, "message": ""},
        "attempts": 1,
        "waits_for": None,
        "error": None,
        "result": None,
        "cost_microusd": 0,
        "call_id": "req-1",
    }
    return {**usual, **more}


HALF_WAY = job(progress={"fraction": 0.4, "step": 8, "steps": 20, "message": "sampling"})
WAITS = job("queued", waits_for="the engine `comfyui` works on other jobs")
MADE = {
    "artifacts": [{"id": "art-1", "url": "/v1/artifacts/art-1?x=1", "mime": "image/png", "bytes": 3, "sha256": "00"}],
    "text": None,
}
DONE = job("succeeded", result=MADE, ended_at=int(time.time()), cost_microusd=1_500_000)
FAILED = job("failed", error={"code": "upstream_error", "message": "out of memory"})


def test_jobs_are_listed_with_how_far_they_are(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/jobs?limit=20", {"data": [HALF_WAY, WAITS, FAILED, DONE], "has_more": True})
    shown = aldgate("jobs", "list")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert "running 40 %, step 8/20" in lines[1] and "1 d" in lines[1] and "sampling" in lines[1]
    assert "works on other jobs" in lines[2] and "out of memory" in lines[3] and "$1.50" in lines[4]
    assert "--after job-1" in shown.err


def test_which_are_listed_is_asked_for(aldgate: Aldgate, gate: LoopbackGate) -> None:
    target = "/v1/jobs?state=failed&operation=image&engine=comfyui&limit=5&after=job-0"
    gate.reply("GET", target, {"data": []})
    asked = ("--state", "failed", "--operation", "image", "--engine", "comfyui", "--limit", "5", "--after", "job-0")
    assert aldgate("jobs", "list", *asked, "--json").json == {"data": []}


def test_one_is_shown(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/jobs/job-1", DONE)
    shown = aldgate("jobs", "show", "job-1").out
    assert "succeeded" in shown and "art-1 image/png 3 bytes" in shown and "$1.50" in shown
    assert aldgate("jobs", "show", "job-1", "--json").json == DONE


@pytest.mark.parametrize(
    ("ended", "code", "said"),
    [(DONE, 0, "job-1 succeeded"), (FAILED, 1, "job-1 failed: out of memory"), (job("cancelled"), 1, "job-1 was cancelled")],
)
def test_a_job_is_followed_and_its_end_is_the_exit_code(
    aldgate: Aldgate, gate: LoopbackGate, ended: dict[str, Any], code: int, said: str
) -> None:
    gate.reply("GET", "/v1/jobs/job-1", WAITS)
    for each in (WAITS, HALF_WAY, ended):
        gate.reply("GET", "/v1/jobs/job-1?wait=1", each)
    result = aldgate("jobs", "watch", "job-1")
    assert result.code == code and said in result.out + result.err
    assert "job-1 queued: the engine `comfyui` works on other jobs\njob-1 running\n" in result.err
    assert code or "art-1" in result.out


def test_programs_get_the_job_and_the_exit_code(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/jobs/job-1", FAILED)
    result = aldgate("jobs", "watch", "job-1", "--json")
    assert (result.code, result.json["state"]) == (1, "failed")


def test_a_gate_that_goes_away_leaves_the_job_going_on(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/jobs/job-1", HALF_WAY)
    gate.reply("GET", "/v1/jobs/job-1?wait=1", {"error": {"message": "stopping"}}, status=503)
    result = aldgate("jobs", "watch", "job-1")
    assert result.code == 1 and "hint: the job goes on: `aldgate jobs watch job-1`" in result.err


def test_what_a_terminal_is_shown_moves(home: Path, gate: LoopbackGate) -> None:
    """On a terminal of its own: a bar with steps, the reason it waits, and nothing of it left at the end."""
    gate.reply("GET", "/v1/jobs/job-1", WAITS)
    for each in (HALF_WAY, DONE):
        gate.reply("GET", "/v1/jobs/job-1?wait=1", each)
    ours, theirs = pty.openpty()
    environment = surroundings(home, ALDGATE_URL=gate.url, ALDGATE_ADMIN_KEY=KEY, TERM="xterm", COLUMNS="200")
    run = subprocess.Popen(
        [*COMMAND, "jobs", "watch", "job-1"], cwd=home, env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True
    )
    os.close(theirs)
    shown = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65_536):
                shown.extend(piece)
        except OSError:  # on Linux the end of a terminal is an error
            return

    reading = threading.Thread(target=read)
    reading.start()
    out, _ = run.communicate(timeout=PATIENCE_S)
    reading.join()
    os.close(ours)
    text = shown.decode()
    assert run.returncode == 0 and out.startswith("job-1 succeeded\n")
    assert "step 8/20" in text and "works on other jobs" in text and "job-1 ended after" in text


def test_several_are_cancelled(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("DELETE", "/v1/jobs/job-1", HALF_WAY)
    gate.reply("DELETE", "/v1/jobs/job-2", job("cancelled", id="job-2"))
    gate.reply("DELETE", "/v1/jobs/job-3", job("succeeded", id="job-3"))
    result = aldgate("jobs", "cancel", "job-1", "job-2", "job-3")
    assert result.out == "job-1 is being stopped\njob-2 was cancelled\njob-3 has succeeded\n"
    assert aldgate("jobs", "cancel", "job-2", "--json").json["state"] == "cancelled"


def test_one_is_tried_again(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", "/v1/jobs/job-1/retry", job("queued", id="job-2"), status=202)
    gate.reply("GET", "/v1/jobs/job-2?wait=1", {**DONE, "id": "job-2"})
    assert aldgate("jobs", "retry", "job-1").out == "job-2\n"
    assert aldgate("jobs", "retry", "job-1", "--json").json["id"] == "job-2"
    assert aldgate("jobs", "retry", "job-1", "--watch").out.startswith("job-2 succeeded")


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (405, "`/v1/jobs/job-1/retry` does not answer to POST.", "this gate cannot retry jobs"),
        (404, "There is nothing at `/v1/jobs/job-1/retry`.", "this gate cannot retry jobs"),
        (404, "There is no such job.", "There is no such job."),
        (409, "The job is running.", "The job is running."),
    ],
)
def test_why_one_cannot_be_tried_again(aldgate: Aldgate, gate: LoopbackGate, status: int, message: str, said: str) -> None:
    gate.reply("POST", "/v1/jobs/job-1/retry", {"error": {"message": message}}, status=status)
    result = aldgate("jobs", "retry", "job-1")
    assert result.code == 1 and said in result.err


def test_an_id_cannot_lead_elsewhere(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/jobs/..%2F..%2Fadmin", {"error": {"message": "There is no such job."}}, status=404)
    assert aldgate("jobs", "show", "../../admin").code == 1
    assert gate.requests[-1].target == "/v1/jobs/..%2F..%2Fadmin"
