"""What the configuration says of pictures."""

from __future__ import annotations

from pathlib import Path

from aldgate.app.engines import places_of
from aldgate.artifacts.archive import Archive
from aldgate.artifacts.published import Published
from aldgate.config.settings import Settings
from aldgate.surfaces.jobs.images import ImageTerms

LEAST_WAITING = 2
"""As many callers as the Local AI Gateway served at once, per class of backends."""


def image_terms(settings: Settings, archive: Archive) -> ImageTerms:
    """See `ImageTerms`."""
    images = settings.images

    def most_waiting(engine: str) -> int:
        if images.when_busy == "queue":
            return 0
        return images.concurrency or max(LEAST_WAITING, places_of(settings, engine))

    return ImageTerms(
        most_bytes=settings.server.max_body_bytes,
        most_pixels=images.max_pixels,
        usual_engine={"": "", "mock": "builtin/svg"}.get(images.backend, images.backend_class),
        usual_format="svg" if images.backend == "mock" else None,
        most_waiting=most_waiting,
        published=Published(Path(images.ui_dir), archive.links, images.ui_ttl_s) if images.ui_dir else None,
        public_url=settings.auth.public_url,
    )
