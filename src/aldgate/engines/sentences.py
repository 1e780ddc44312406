"""Long texts cut where a speaker would draw breath."""

import re

_ENDS = (re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+|\n+"), re.compile(r"(?<=[,;:，、；：])\s*"), re.compile(r"\s+"))
"""Where to cut: between sentences, else between clauses, else between words."""


def split(text: str, most: int) -> list[str]:
    """The text in parts of at most so many characters, each as long as whole sentences allow. Nothing is lost but white space."""
    parts = [""]
    for piece in _pieces(text.strip(), most, 0):
        if parts[-1] and len(parts[-1]) + 1 + len(piece) > most:
            parts.append("")
        parts[-1] = f"{parts[-1]} {piece}" if parts[-1] else piece
    return [part for part in parts if part]


def _pieces(text: str, most: int, depth: int) -> list[str]:
    if len(text) <= most:
        return [text]
    if depth == len(_ENDS):
        return [text[at : at + most] for at in range(0, len(text), most)]
    cuts = [0, *(match.end() for match in _ENDS[depth].finditer(text)), len(text)]
    pieces = (text[start:end].strip() for start, end in zip(cuts, cuts[1:], strict=False))
    return [part for piece in pieces if piece for part in _pieces(piece, most, depth + 1)]
