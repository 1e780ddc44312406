"""What jobs count and cost: likely, at the most, and in the end. What is held is never less than what is charged."""

import math
from collections.abc import Sequence

from msgspec.structs import replace

from aldgate.core.generation import Generated, Generation
from aldgate.core.jobs import Hold, Made, Price, Work
from aldgate.core.levels import Operation
from aldgate.core.limits import Units
from aldgate.core.prices import MILLION

SOUND: frozenset[Operation] = frozenset({"audio", "music", "speech", "transcribe"})
CHARACTERS_PER_SECOND = 14
"""Of speech, about: 150 words a minute of some five and a half letters."""
SLOWEST_CHARACTERS_PER_SECOND = 2
"""Nobody speaks slower, pauses included; of Chinese, a character is a syllable."""
USUAL_SOUND_S = 30
LONGEST_SOUND_S = 900
"""Of sound for which nobody said how long it shall be."""
LEAST_BYTES_PER_SECOND = 750
"""Of recorded speech: codecs go down to 6 kbit/s (https://www.rfc-editor.org/rfc/rfc6716, 2.1.1)."""


def expected_work(asked: Generation, gpu_s: int) -> Work:
    """What a generation likely counts: as many images and seconds as it asks for."""
    spoken = len(asked.prompt) / CHARACTERS_PER_SECOND if asked.operation == "speech" else USUAL_SOUND_S
    return Work(_images(asked), _sound_s(asked, spoken), gpu_s)


def most_work(asked: Generation, timeout_s: float) -> Work:
    """What a generation can count at the most, whatever its engine makes of it."""
    longest = float(LONGEST_SOUND_S)
    if asked.operation == "speech":
        longest = 1 + len(asked.prompt) / SLOWEST_CHARACTERS_PER_SECOND / min(1.0, asked.speed or 1.0)
    elif asked.operation == "transcribe":
        longest = 1 + sum(len(each.data) for each in asked.inputs) / LEAST_BYTES_PER_SECOND
    return Work(_images(asked), _sound_s(asked, longest), math.ceil(timeout_s))


def done_work(operation: Operation, result: Generated, made: Sequence[Made], gpu_s: int, expected: Work) -> Work:
    """What came of a job, in the units that it is charged by. Sound of which nobody says how long it is lasts as expected."""
    images = sum(each.mime.startswith("image/") for each in made) if operation == "image" else 0
    heard = result.duration_s or sum(_seconds(each) for each in made)
    sound_s = math.ceil(heard) if 0 < heard < math.inf else expected.audio_s
    return Work(images, sound_s if operation in SOUND else 0, gpu_s)


def cost_microusd(price: Price, work: Work) -> int:
    """What so much work costs, rounded up to the next micro-dollar."""
    total = work.gpu_s * price.gpu_second + work.images * price.image + work.audio_s * price.audio_second + price.job
    return -(-total // MILLION)


def charge_microusd(hold: Hold, done: Work, *, is_done: bool = True) -> int:
    """What is billed for a job: never more than was held for it, so that no engine overdraws a budget.

    Args:
        hold: What it was admitted with.
        done: What came of it.
        is_done: False: it was stopped, and the price of a job as such is not due.
    """
    price = hold.price if is_done else replace(hold.price, job=0)
    return min(cost_microusd(price, done), hold.most_microusd)


def units_of(work: Work) -> Units:
    """What a job counts in limits: one request, no tokens, and its work."""
    return 1, 0, work.images, work.audio_s, work.gpu_s


def _seconds(made: Made) -> float:
    said = made.facts.get("duration_s")
    return float(said) if isinstance(said, int | float) else 0.0


def _images(asked: Generation) -> int:
    return asked.count if asked.operation == "image" else 0


def _sound_s(asked: Generation, otherwise_s: float) -> int:
    """Whole seconds of all sounds that are asked for, each as long as was said."""
    return math.ceil(asked.duration_s or otherwise_s) * asked.count if asked.operation in SOUND else 0
