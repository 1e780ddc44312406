"""Transcriptions with times, as SubRip and WebVTT write them."""

import re
from collections.abc import Iterable

from aldgate.core.generation import Segment

_TIME = r"(?:(\d+):)?(\d{2}):(\d{2})[.,](\d{3})"
_TIMES = re.compile(rf"{_TIME}\s*-->\s*{_TIME}")


def segments_of(text: str) -> tuple[Segment, ...]:
    """What SubRip or WebVTT says was spoken when; blocks without times (headers, notes, styles) are not speech."""
    found: list[Segment] = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").lstrip("\ufeff")):
        lines = block.strip().split("\n")
        at = next((number for number, line in enumerate(lines[:2]) if _TIMES.search(line)), None)
        if at is not None and (times := _TIMES.search(lines[at])):
            start, end = _seconds(times.groups()[:4]), _seconds(times.groups()[4:])
            found.append(Segment(start, end, " ".join(line.strip() for line in lines[at + 1 :])))
    return tuple(found)


def text_of(segments: Iterable[Segment]) -> str:
    """The words alone."""
    return " ".join(segment.text.strip() for segment in segments).strip()


def subrip(segments: Iterable[Segment]) -> str:
    """SubRip, whose captions are numbered (https://www.matroska.org/technical/subtitles.html#srt-subtitles)."""
    blocks = (
        f"{number}\n{_clock(each.start_s, ',')} --> {_clock(each.end_s, ',')}\n{_line(each.text)}\n"
        for number, each in enumerate(segments, 1)
    )
    return "\n".join(blocks)


def web_vtt(segments: Iterable[Segment]) -> str:
    """WebVTT (https://www.w3.org/TR/webvtt1/), whose texts may hold no bare `&` and `<`."""
    cues = (
        f"\n{_clock(each.start_s, '.')} --> {_clock(each.end_s, '.')}\n"
        f"{_line(each.text).replace('&', '&amp;').replace('<', '&lt;')}\n"
        for each in segments
    )
    return "WEBVTT\n" + "".join(cues)


def _line(text: str) -> str:
    """A text that nothing takes for the end of a caption, or for times."""
    return " ".join(text.replace("-->", "->").split())


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    return ((hours * 3600 + minutes * 60 + seconds) * 1000 + thousandths) / 1000
