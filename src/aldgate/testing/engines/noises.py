"""Short sounds as speech servers give them: WAV that plays, and the beginnings of other formats."""

import io
import math
import struct
import wave

RATE = 24_000
OTHERS = {
    "mp3": b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x00" * 64,
    "opus": b"OggS\x00\x02" + bytes(60) + b"OpusHead" + bytes(200),
    "aac": b"\xff\xf1\x50\x80" * 64,
    "flac": b"fLaC" + bytes(256),
    "pcm": bytes(480),
}


def wav(seconds: float = 0.1) -> bytes:
    """A tone."""
    written = io.BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        count = int(RATE * seconds)
        sound.writeframes(b"".join(struct.pack("<h", int(8_000 * math.sin(at / 10))) for at in range(count)))
    return written.getvalue()


def streamed_wav(seconds: float = 0.1) -> bytes:
    """The same as it is written by whoever does not know yet how long it will be."""
    data = wav(seconds)
    return data[:4] + b"\xff\xff\xff\xff" + data[8:40] + b"\xff\xff\xff\xff" + data[44:]


def sound(kind: str) -> bytes:
    """A sound of this format."""
    return streamed_wav() if kind == "wav" else OTHERS[kind]
