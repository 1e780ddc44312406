"""What a file is by the end of its name, for those that engines make."""

from pathlib import PurePosixPath

_MIMES = {
    ".avi": "video/x-msvideo",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".glb": "model/gltf-binary",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".obj": "model/obj",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
}


def mime_of_name(name: str) -> str:
    """A MIME type; `application/octet-stream` where the name tells nothing."""
    return _MIMES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
