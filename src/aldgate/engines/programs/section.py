"""The table of an engine that is a program: started for each job, gone when it is done."""

from typing import Annotated

import msgspec

from aldgate.engines.section import EngineSection, Seconds


class ProgramSection(EngineSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[engines.NAME]` of such a kind. From the configuration file alone, never from a caller."""

    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    """Program and its first arguments, such as the Python of its environment and its script; no shell reads them."""
    working_dir: str = ""
    """Where it runs; empty: the job's own folder."""
    env: dict[str, str] = {}
    """Added to the little of the gate's environment that it sees."""
    stop_s: Seconds = 2.0
    """Seconds that each signal to stop (interrupt, terminate) is given before the next, which at last is to kill."""
