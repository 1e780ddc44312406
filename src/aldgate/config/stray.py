"""Names in the environment that look like settings of ours and set nothing.

They are warned of, not refused: an environment is shared, and `ALDGATE_` may begin anybody's names, a secret's too.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from aldgate.config.fields import environment_names
from aldgate.config.layers import CLIENT_NAMES
from aldgate.config.settings import Settings

_REFERENCE = re.compile(r"\benv:(ALDGATE_\w+)")
_KUBERNETES = re.compile(r"ALDGATE(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)")
"""What it tells every pod about a Service called `aldgate`
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)."""


def stray_names(settings: Settings) -> list[tuple[str, str | None]]:
    """Such names, each with the nearest that is a setting, if one is near."""
    known = environment_names()
    spoken_for = {*known, *CLIENT_NAMES, *_referenced(settings)}
    environment = settings.environment
    addresses = (value for name, value in environment.items() if _KUBERNETES.fullmatch(name))
    has_service = any(value.startswith(("tcp://", "udp://", "sctp://")) for value in addresses)
    return [
        (name, _nearest(name, list(known)))
        for name in sorted(environment)
        if name.startswith("ALDGATE_") and name not in spoken_for and not (has_service and _KUBERNETES.fullmatch(name))
    ]


def warnings(settings: Settings) -> Iterator[str]:
    """A sentence for each of `stray_names`."""
    for name, near in stray_names(settings):
        yield f"`{name}` in the environment sets nothing; " + (f"did you mean `{near}`?" if near else "no setting is called so")


def _referenced(settings: Settings) -> Iterator[str]:
    """Names that a reference to a secret gives as its place."""
    for value in settings.environment.values():
        yield from _REFERENCE.findall(value)
    file = settings.reading.file if settings.reading is not None else None
    if file is not None:
        yield from _REFERENCE.findall(file.read_text(encoding="utf-8-sig", errors="replace"))


def _nearest(name: str, known: list[str]) -> str | None:
    rest = name.removeprefix("ALDGATE")
    return next((other for other in known if other.endswith(rest)), None) or next(
        iter(get_close_matches(name, known, n=1, cutoff=0.75)), None
    )
