"""What faces need that have things made."""

from __future__ import annotations

import msgspec

from aldgate.artifacts.archive import Archive
from aldgate.jobs.making import Jobs


class JobDoors(msgspec.Struct, frozen=True):
    """Where things are made, and where they are kept.

    Attributes:
        link_s: Seconds that links to them are good for.
        inline_bytes: What is larger is linked where an answer could hold it.
    """

    jobs: Jobs
    archive: Archive
    link_s: float
    inline_bytes: int
