"""Sounds that fakes of engines make."""

import io
import wave


def wav(seconds: float, rate: int = 8000) -> bytes:
    """Silence, mono, 16 bit."""
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(rate * seconds)))
    return written.getvalue()
