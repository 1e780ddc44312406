"""`builtin/tone`: music and sounds out of a prompt's digest, in whole numbers only, so that every machine makes the same."""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from aldgate.core.generation import Generated, Generation, Progress
from aldgate.engines.builtin.media.bounds import chance, check_options, inputs_of, number, one_of, seed_of, whole
from aldgate.engines.builtin.media.sound import SOUNDS, SoundFile
from aldgate.engines.builtin.media.steps import Made, MediaModel, Step

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

RATE = 44_100
FORMATS = tuple(format for format in SOUNDS if format != "pcm")
USUAL_S, MOST_S = {"music": 10.0, "audio": 3.0}, 300.0
TABLE_BITS = 12
PHASE_BITS = 32
LOUDNESS = 9_000
FADE = 882
"""Samples over which a note comes and goes: 20 ms, so that none clicks."""
SCALES = ((0, 2, 4, 7, 9), (0, 3, 5, 7, 10), (0, 2, 3, 7, 8))
LOWEST_MICROHERTZ = 220_000_000
SEMITONE = 2 ** (1 / 12)


class _Note(msgspec.Struct, frozen=True):
    start: int
    samples: int
    step: int
    """Of the phase, for each sample."""
    loudness: int


def begin(asked: Generation) -> Generator[Step]:
    """See `MediaModel`."""
    check_options(asked)
    inputs_of(asked)
    whole(asked.count, "count", 1, 1, 1)
    format = one_of(asked.format, "format", FORMATS)
    samples = round(number(asked.duration_s, "duration_s", USUAL_S[asked.operation], 0.1, MOST_S) * RATE)
    seed = seed_of(asked)
    words = (asked.operation, asked.prompt, asked.lyrics, seed)
    return _play(
        melody(*words, samples=samples) if asked.operation == "music" else noises(*words, samples=samples), format, samples, seed
    )


def melody(*words: object, samples: int) -> list[_Note]:
    """Notes of one scale over a slower bass."""
    random = chance("melody", *words)
    scale, beat, root = random.choice(SCALES), random.choice((11_025, 13_230, 16_537)), random.randrange(8)
    notes: list[_Note] = []
    place, now = random.randrange(len(scale)), 0
    while now < samples:
        place = max(0, min(2 * len(scale) - 1, place + random.choice((-2, -1, -1, 0, 1, 1, 2))))
        octave, degree = divmod(place, len(scale))
        length = beat * random.choice((1, 1, 2))
        notes.append(_note(now, length, root + scale[degree] + 12 * (octave + 1), LOUDNESS))
        now += length
    for bar, now in enumerate(range(0, samples, 4 * beat)):
        notes.append(_note(now, 4 * beat, root + scale[(0, 3, 2, 4)[bar % 4]], LOUDNESS // 2))
    return notes


def noises(*words: object, samples: int) -> list[_Note]:
    """Short sounds of any pitch, over one another."""
    random = chance("noises", *words)
    count = max(3, samples * 8 // RATE)
    return [
        _note(random.randrange(samples), random.randrange(2_205, 26_460), random.randrange(48), LOUDNESS // 2)
        for _ in range(count)
    ]


def _note(start: int, samples: int, semitones: int, loudness: int) -> _Note:
    hertz = LOWEST_MICROHERTZ / 1e6 * SEMITONE**semitones
    return _Note(start, samples, round(hertz * 2**PHASE_BITS / RATE), loudness)


def _play(notes: list[_Note], format: str, samples: int, seed: int) -> Generator[Step]:
    file, pieces = SoundFile(format, RATE), list[bytes]()
    try:
        seconds = math.ceil(samples / RATE)
        for second in range(seconds):
            start, end = second * RATE, min((second + 1) * RATE, samples)
            pieces.append(file.feed(_mixed(notes, start, end).astype("<i2").tobytes()))
            yield Progress((second + 1) / seconds, second + 1, seconds)
        pieces.append(file.end())
    finally:
        file.close()
    facts: dict[str, Any] = {"duration_s": samples / RATE, "sample_rate": RATE, "seed": seed}
    yield Made(b"".join(pieces), file.kind.mime, f"sound.{format}", facts)
    yield Generated(seed=seed, duration_s=samples / RATE)


def _mixed(notes: list[_Note], start: int, end: int) -> NDArray[int64]:
    """The samples from `start` to `end`, all notes together."""
    import numpy as np

    mix = np.zeros(end - start, dtype=np.int64)
    for note in notes:
        first, last = max(note.start, start), min(note.start + note.samples, end)
        if first >= last:
            continue
        at = np.arange(first - note.start, last - note.start, dtype=np.int64)
        wave = _sine()[((at * note.step) >> (PHASE_BITS - TABLE_BITS)) % 2**TABLE_BITS]
        envelope = np.minimum(np.minimum(at, note.samples - at), FADE)
        fall = note.samples + FADE - at
        mix[first - start : last - start] += wave * note.loudness // 32_768 * envelope // FADE * fall // (note.samples + FADE)
    return np.clip(mix, -32_768, 32_767)


@cache
def _sine() -> NDArray[int64]:
    import numpy as np

    return np.array([round(32_767 * math.sin(2 * math.pi * at / 2**TABLE_BITS)) for at in range(2**TABLE_BITS)], dtype=np.int64)


MODEL = MediaModel("tone", frozenset({"music", "audio"}), ("av", "numpy"), begin)
