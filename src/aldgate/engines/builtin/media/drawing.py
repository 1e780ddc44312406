"""Abstract drawings as SVG: what they look like follows from prompt and seed, at any size, and they move with a phase."""

from __future__ import annotations

import math
from random import Random
from xml.sax.saxutils import escape

from aldgate.engines.builtin.media.bounds import chance

SHAPES = 14
_TAU = 2 * math.pi


def drawing(prompt: str, seed: int, width: int, height: int, *, phase: float = 0.0, share: float = 1.0) -> str:
    """An SVG document.

    Args:
        prompt: With the seed, what it looks like; it is also its title.
        seed: See there.
        width: Pixels.
        height: Pixels.
        phase: 0 to 1, how far its shapes have gone on their ways; at 1 they are back.
        share: 0 to 1, how much of it is drawn yet.
    """
    random = chance("drawing", prompt, seed)
    hue = random.randrange(360)
    shapes = [_shape(random, hue, phase, width, height) for _ in range(SHAPES)]
    title = escape("".join(letter for letter in prompt[:500] if letter.isprintable()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<title>{title}</title>"
        '<defs><linearGradient id="sky" x1="0" y1="0" x2="1" y2="1">'
        f'<stop offset="0" stop-color="{_colour(hue, 0.55, 0.22)}"/>'
        f'<stop offset="1" stop-color="{_colour(hue + 50, 0.6, 0.62)}"/></linearGradient></defs>'
        f'<rect width="{width}" height="{height}" fill="url(#sky)"/>'
        f"{''.join(shapes[: math.ceil(share * SHAPES)])}</svg>"
    )


def _shape(random: Random, hue: int, phase: float, width: int, height: int) -> str:
    kind = random.choice(("circle", "box", "wave"))
    side = min(width, height)
    x, y, size = random.random() * width, random.random() * height, (0.05 + 0.2 * random.random()) * side
    way, start = random.choice((-1, 1)) * (0.02 + 0.1 * random.random()) * side, random.random()
    turn = _TAU * (phase + start)
    x, y = x + way * math.cos(turn), y + way * math.sin(turn)
    colour = _colour(hue + random.choice((0, 30, 180, 210)), 0.5 + 0.4 * random.random(), 0.35 + 0.4 * random.random())
    look = f'fill="{colour}" fill-opacity="{0.45 + 0.45 * random.random():.2f}"'
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" {look}/>'
    if kind == "box":
        angle = 360 * (phase + start)
        place = f'x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:.1f}" height="{1.4 * size:.1f}" rx="{size / 4:.1f}"'
        return f'<rect {place} transform="rotate({angle:.1f} {x:.1f} {y:.1f})" {look}/>'
    bend = size * math.sin(turn)
    middle = f"C{width / 3:.1f} {y - bend:.1f} {2 * width / 3:.1f} {y + bend:.1f} {width} {y:.1f}"
    return f'<path d="M0 {y:.1f}{middle}V{y + size / 2:.1f}H0Z" {look}/>'


def _colour(hue: float, saturation: float, lightness: float) -> str:
    """`#rrggbb` of hue in degrees, saturation and lightness (https://www.w3.org/TR/css-color-3/#hsl-color)."""

    def channel(offset: int) -> int:
        place = (offset + hue / 30) % 12
        strength = saturation * min(lightness, 1 - lightness)
        return round(255 * (lightness - strength * max(-1, min(place - 3, 9 - place, 1))))

    return f"#{channel(0):02x}{channel(8):02x}{channel(4):02x}"
