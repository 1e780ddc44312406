"""A bucket on loopback that speaks as much of S3's protocol as keeping contents takes, with faults by name.

Wire: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html. Signatures are asked for
and not checked.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import md5
from typing import Literal
from xml.sax.saxutils import escape, unescape

import msgspec
from aiohttp import web

Fault = Literal["refuses", "fails", "forbids", "loses_upload"]


class Kept(msgspec.Struct):
    """An object of the bucket."""

    data: bytes
    at: datetime

    @property
    def etag(self) -> str:
        """What S3 calls it by."""
        return f'"{md5(self.data, usedforsecurity=False).hexdigest()}"'


class FakeBucket:
    """A running bucket.

    Attributes:
        name: The bucket's.
        url: Where it is.
        objects: What it holds, by key; to be looked at and changed.
        fault: What is wrong with it from now on.
        uploads: Parts of uploads that are not complete, by their ids.
    """

    name = "media"

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, Kept] = {}
        self.fault: Fault | None = None
        self.uploads: dict[str, dict[int, bytes]] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        if self.fault == "refuses":
            assert request.transport is not None
            request.transport.close()
            return web.Response(status=500)
        if self.fault == "fails":
            return _error(500, "InternalError")
        if self.fault == "forbids" or "authorization" not in request.headers:
            return _error(403, "AccessDenied")
        bucket, _, key = request.match_info["path"].partition("/")
        if bucket != self.name:
            return _error(404, "NoSuchBucket")
        if not key and request.method == "POST":
            return self._delete(await request.text())
        if not key:
            return self._list(request.query.get("prefix", ""), request.query.get("continuation-token", ""), _most(request))
        if request.method in ("GET", "HEAD"):
            return self._get(request, key)
        if request.method == "DELETE":
            self.objects.pop(key, None)
            self.uploads.pop(request.query.get("uploadId", ""), None)
            return web.Response(status=204)
        return await self._put(request, key)

    def _get(self, request: web.Request, key: str) -> web.Response:
        kept = self.objects.get(key)
        if kept is None:
            return _error(404, "NoSuchKey")
        headers = {"ETag": kept.etag, "Last-Modified": format_datetime(kept.at, usegmt=True), "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers=headers | {"Content-Length": str(len(kept.data))})
        if "Range" not in request.headers:
            return web.Response(body=kept.data, headers=headers)
        wanted = request.http_range
        start, end, _ = wanted.indices(len(kept.data))
        if start >= end:
            return _error(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(kept.data)}"
        return web.Response(status=206, body=kept.data[start:end], headers=headers)

    async def _put(self, request: web.Request, key: str) -> web.Response:
        body = await request.read()
        upload = request.query.get("uploadId")
        if request.method == "PUT" and upload is not None:
            if self.fault == "loses_upload" or upload not in self.uploads:
                return _error(404, "NoSuchUpload")
            self.uploads[upload][int(request.query["partNumber"])] = body
            return web.Response(headers={"ETag": Kept(body, datetime.now(UTC)).etag})
        if request.method == "PUT":
            self.objects[key] = Kept(body, datetime.now(UTC))
            return web.Response(headers={"ETag": self.objects[key].etag})
        if upload is None:
            upload = secrets.token_hex(8)
            self.uploads[upload] = {}
            place = f"<Bucket>{self.name}</Bucket><Key>{escape(key)}</Key><UploadId>{upload}</UploadId>"
            return _xml(f"<InitiateMultipartUploadResult>{place}</InitiateMultipartUploadResult>")
        parts = self.uploads.pop(upload)
        self.objects[key] = Kept(b"".join(parts[number] for number in sorted(parts)), datetime.now(UTC))
        place = f"<Location>{self.url}</Location><Bucket>{self.name}</Bucket><Key>{escape(key)}</Key>"
        done = f"{place}<ETag>{self.objects[key].etag}</ETag>"
        return _xml(f"<CompleteMultipartUploadResult>{done}</CompleteMultipartUploadResult>")

    def _delete(self, asked: str) -> web.Response:
        keys = [unescape(key) for key in re.findall("<Key>(.*?)</Key>", asked)]
        for key in keys:
            self.objects.pop(key, None)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return _xml(f"<DeleteResult>{gone}</DeleteResult>")

    def _list(self, prefix: str, after: str, most: int) -> web.Response:
        keys = [key for key in sorted(self.objects) if key.startswith(prefix) and key > after]
        shown = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{kept.at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(kept.etag)}</ETag><Size>{len(kept.data)}</Size></Contents>"
            for key, kept in ((key, self.objects[key]) for key in keys[:most])
        )
        more = f"<NextContinuationToken>{escape(keys[most - 1])}</NextContinuationToken>" if len(keys) > most else ""
        told = f"<KeyCount>{len(keys[:most])}</KeyCount><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
        return _xml(f"<ListBucketResult><Name>{self.name}</Name>{told}{more}{shown}</ListBucketResult>")


@asynccontextmanager
async def fake_bucket() -> AsyncGenerator[FakeBucket]:
    """A bucket on a free port of loopback, until the block ends."""
    bucket = FakeBucket()
    application = web.Application(client_max_size=1024**3)
    application.router.add_route("*", "/{path:.*}", bucket.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    bucket.url = f"http://{host}:{port}"
    try:
        yield bucket
    finally:
        await runner.cleanup()


def _most(request: web.Request) -> int:
    return min(int(request.query.get("max-keys", 1_000)), 1_000)


def _xml(text: str, status: int = 200) -> web.Response:
    return web.Response(text=f'<?xml version="1.0" encoding="UTF-8"?>{text}', status=status, content_type="application/xml")


def _error(status: int, code: str) -> web.Response:
    return _xml(f"<Error><Code>{code}</Code><Message>{code}</Message><RequestId>1</RequestId></Error>", status)
