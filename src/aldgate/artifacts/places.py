"""Where contents are kept, by the URL that says so."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from aldgate.artifacts.disk import disk_store
from aldgate.artifacts.s3 import Bucket, S3Contents
from aldgate.config.errors import ConfigError
from aldgate.config.settings import Artifacts
from aldgate.ports import ArtifactStore


def open_place(settings: Artifacts, root: Path) -> ArtifactStore:
    """The store of contents that the settings name; nothing is connected yet.

    Args:
        settings: See there.
        root: The directory where they are kept when nothing is said.

    Raises:
        ConfigError: A setting cannot be used, or what it needs is not installed.
    """
    if not settings.url:
        return disk_store(root)
    parts = urlsplit(settings.url)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"`artifacts.url`: `{settings.url}` names no bucket", hint="write `s3://bucket` or `s3://bucket/prefix`"
        )
    secret = settings.secret_access_key
    if bool(settings.access_key_id) != (secret is not None):
        hint = "set `artifacts.access_key_id` and `artifacts.secret_access_key`, or neither"
        raise ConfigError("`artifacts`: half of a credential is set", hint=hint)
    bucket = Bucket(
        name=parts.netloc,
        prefix=parts.path.strip("/"),
        endpoint=settings.endpoint,
        region=settings.region,
        access_key_id=settings.access_key_id,
        secret_access_key="" if secret is None else secret.reveal(),
    )
    try:
        return S3Contents(bucket)
    except ModuleNotFoundError as error:
        raise ConfigError(f"`artifacts.url`: {error.name} is not installed", hint="pip install 'aldgate[s3]'") from None
    except ValueError as error:
        raise ConfigError(f"`artifacts`: {error}", hint="see `artifacts.endpoint`") from None
