"""What credentials look like. Shapes are those that their issuers document, so that secrets can be searched for."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

from aldgate.core.guardrails.finder import Detector
from aldgate.core.guardrails.patterns import parse

MOST_CHARACTERS = 8_192
"""A private RSA key of 8,192 bits has some 6,400."""
LEAST_ENTROPY = 3.0
"""Bits per character that tell a random token from a word."""
_NAMED = re.compile(r"""(?i)[a-z _-]{3,40}["']?\s{0,3}(?:[:=]|is\s)\s{0,3}["']?(?:bearer\s)?""")
_END = "-----END [A-Z0-9 ]{0,20}PRIVATE KEY(?: BLOCK)?-----"
_BLOCK = rf"-----BEGIN [A-Z0-9 ]{{0,20}}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-[^-])*(?:{_END})?"


def behind_name(text: str) -> int | None:
    """Where the value begins in `password=value`; None where it is hardly random: letters with digits, of high entropy."""
    name = _NAMED.match(text)
    value = text[name.end() :] if name is not None else ""
    if name is None or len(value) < 10 or value.isalpha() or value.isdecimal():
        return None
    shares = [count / len(value) for count in Counter(value).values()]
    return name.end() if -sum(share * math.log2(share) for share in shares) >= LEAST_ENTROPY else None


def _token(label: str, what: str, pattern: str) -> Detector:
    return Detector(label, what, parse(rf"\b(?:{pattern})"))


SECRETS: Mapping[str, tuple[Detector, ...]] = {
    "api_key": (
        _token(
            "API_KEY",
            "an API key",
            r"(?:sk|pk|rk)-[A-Za-z0-9_-]{20,}|agk-[A-Za-z0-9_-]{20,}|[rs]k_(?:live|test)_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{35,}"
            r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36,}|gsk_[A-Za-z0-9]{40,}",
        ),
    ),
    "aws": (_token("AWS_KEY", "an AWS access key", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),),
    "github": (
        _token(
            "GITHUB_TOKEN",
            "a GitHub or GitLab token",
            r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}",
        ),
    ),
    "private_key": (Detector("PRIVATE_KEY", "a private key", parse(_BLOCK)),),
    "jwt": (_token("JWT", "a signed token", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),),
    "password": (
        Detector(
            "SECRET",
            "a password or token",
            parse(
                r"(?i)(?:passw(?:or)?d|passphrase|pwd|secret|token|api[ _-]?key|access[ _-]?key|authorization|credentials?)"
                r"""["']?\s{0,3}(?:[:=]|is\s)\s{0,3}["']?(?:bearer\s)?[^\s"',;]{10,256}"""
            ),
            lead=behind_name,
        ),
    ),
}
"""Detectors by the kind of thing. `password`: tokens behind words like it, `password=...`."""
