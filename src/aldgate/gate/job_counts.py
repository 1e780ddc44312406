"""What jobs count in limits: as much as they likely need when they begin, and what they came to once they have ended.

The process that admitted a job corrects it; after a restart what was counted drains as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aldgate.core.calls import Admission
from aldgate.core.job_bills import units_of
from aldgate.core.jobs import Job
from aldgate.core.limits import Units
from aldgate.limiter.memory import Places

MOST_KNOWN = 1_000
FRESH = 4
"""A job that ended counts for one part in so many of what the next one is expected to need."""


class JobCounts:
    """See above."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Any, Places, Units]] = {}
        self._usual_s: dict[tuple[str, str], float] = {}

    def begun(self, job_id: str, admission: Admission) -> None:
        """A job was admitted; its call has ended."""
        if admission.places is not None:
            self._open[job_id] = admission.gauge, admission.places, admission.units

    def has(self, job_id: str) -> bool:
        """Whether something is counted for the job that may yet be corrected."""
        return job_id in self._open

    @property
    def open(self) -> Iterable[str]:
        """The jobs for which that is so."""
        return tuple(self._open)

    def ended(self, job: Job) -> None:
        """The job came to what it did. Only the first time counts."""
        counted = self._open.pop(job.id, None)
        if counted is not None:
            gauge, places, held = counted
            gauge.correct(places, held, units_of(job.done))
        if job.state == "succeeded":
            self._learn(job)

    def forget(self, job_id: str) -> None:
        """Nobody knows any more what the job came to: what was counted stays."""
        self._open.pop(job_id, None)

    def expected_gpu_s(self, engine: str, model: str) -> int:
        """Seconds of its device that a job of this engine lately took; 1 where there was none."""
        return max(1, round(self._usual_s.get((engine, model), 1.0)))

    def _learn(self, job: Job) -> None:
        key = job.engine, job.model
        if key not in self._usual_s and len(self._usual_s) >= MOST_KNOWN:
            self._usual_s.clear()
        before = self._usual_s.get(key, float(job.done.gpu_s))
        self._usual_s[key] = before + (job.done.gpu_s - before) / FRESH
