"""What the configuration says of pictures, as their face needs it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aldgate.artifacts.published import Published


class ImageTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of pictures.

    Attributes:
        most_bytes: Of one body.
        most_pixels: Of one picture that is asked for.
        usual_engine: Who makes them where nobody is named, and is asked for models that mean no engine; empty: the first one.
        usual_format: What they are made as where nothing is said; None: as the engine likes.
        most_waiting: How many jobs an engine may have before callers who wait are refused, by its name; 0: any number.
        published: Where pictures are put besides; None: nowhere.
        public_url: Where callers find the gate; empty: where they asked.
    """

    most_bytes: int
    most_pixels: int
    usual_engine: str = ""
    usual_format: str | None = None
    most_waiting: Callable[[str], int]
    published: Published | None = None
    public_url: str = ""
