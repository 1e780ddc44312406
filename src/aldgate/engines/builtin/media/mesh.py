"""`builtin/mesh`: a solid whose outline follows from prompt and seed, as GLB, OBJ, PLY or STL."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Any

from aldgate.core.generation import Generated, Generation, Progress
from aldgate.engines.builtin.media.bounds import chance, check_options, inputs_of, one_of, seed_of, whole, whole_option
from aldgate.engines.builtin.media.libraries import library
from aldgate.engines.builtin.media.steps import Made, MediaModel, Step

FORMATS: Mapping[str, str] = MappingProxyType(
    {"glb": "model/gltf-binary", "obj": "model/obj", "ply": "model/ply", "stl": "model/stl"}
)
USUAL_DETAIL, LEAST_DETAIL, MOST_DETAIL = 48, 8, 256
Point = tuple[float, float, float]
Face = tuple[int, int, int]


def begin(asked: Generation) -> Generator[Step]:
    """See `MediaModel`."""
    check_options(asked, "detail")
    inputs_of(asked)
    whole(asked.count, "count", 1, 1, 1)
    detail = whole_option(asked.options, "detail", USUAL_DETAIL, LEAST_DETAIL, MOST_DETAIL)
    return _build(asked, seed_of(asked), detail, one_of(asked.format, "format", FORMATS))


def _build(asked: Generation, seed: int, detail: int, format: str) -> Generator[Step]:
    points, faces, colours = vase(asked.prompt, seed, detail)
    yield Progress(0.5, 1, 2)
    mesh = library("trimesh").Trimesh(vertices=points, faces=faces, vertex_colors=colours, process=False)
    written: Any = mesh.export(file_type=format)
    data = written.encode() if isinstance(written, str) else bytes(written)
    facts = {"vertices": len(points), "faces": len(faces), "seed": seed}
    yield Made(data, FORMATS[format], f"mesh.{format}", facts)
    yield Progress(1.0, 2, 2)
    yield Generated(seed=seed, details=facts)


def vase(prompt: str, seed: int, detail: int) -> tuple[list[Point], list[Face], list[tuple[int, int, int, int]]]:
    """A closed solid of revolution with waves around it, one unit high, y upwards (as glTF has it): points, faces, colours.

    Args:
        prompt: With the seed, what it looks like.
        seed: See there.
        detail: Points around it, and half as many rings from bottom to top.
    """
    random = chance("mesh", prompt, seed)
    waves = [(random.randrange(1, 5), random.random() * math.tau, 0.05 + 0.1 * random.random()) for _ in range(3)]
    around, depth, twist = random.randrange(2, 9), 0.15 * random.random(), random.uniform(-2, 2)
    low, high = [tuple(random.randrange(60, 250) for _ in range(3)) for _ in range(2)]
    rings = max(4, detail // 2)
    points: list[Point] = [(0.0, 0.0, 0.0)]
    colours = [(*low, 255)]
    for ring in range(rings):
        height = ring / (rings - 1)
        radius = 0.3 + sum(size * math.sin(math.pi * often * height + start) for often, start, size in waves)
        for turn in range(detail):
            angle = math.tau * turn / detail
            reach = max(0.05, radius) * (1 + depth * math.cos(around * angle + twist * height))
            points.append((round(reach * math.cos(angle), 5), round(height, 5), round(reach * math.sin(angle), 5)))
            colours.append((*(round(a + (b - a) * height) for a, b in zip(low, high, strict=True)), 255))
    points.append((0.0, 1.0, 0.0))
    colours.append((*high, 255))
    return points, _faces(rings, detail), [(red, green, blue, alpha) for red, green, blue, alpha in colours]


def _faces(rings: int, around: int) -> list[Face]:
    """Triangles seen from outside counter-clockwise: a bottom, walls from ring to ring, a top."""
    last = rings * around + 1
    faces: list[Face] = []
    for turn in range(around):
        after = (turn + 1) % around
        faces.append((0, 1 + turn, 1 + after))
        faces.append((last, 1 + (rings - 1) * around + after, 1 + (rings - 1) * around + turn))
        for ring in range(rings - 1):
            here, above = 1 + ring * around, 1 + (ring + 1) * around
            faces.append((here + turn, above + turn, here + after))
            faces.append((here + after, above + turn, above + after))
    return faces


MODEL = MediaModel("mesh", frozenset({"mesh"}), ("trimesh",), begin)
