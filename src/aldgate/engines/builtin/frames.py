"""Server-sent events as OpenAI frames them: data lines only, `[DONE]` at the end."""

from collections.abc import Sequence

import msgspec

from aldgate.engines.builtin.reply import Piece

encoder = msgspec.json.Encoder()


def frames(chunks: Sequence[msgspec.Struct], words: int = 0) -> Piece:
    """One event for each chunk, as one piece that takes `words` to make."""
    return words, b"".join(b"data: %b\n\n" % encoder.encode(chunk) for chunk in chunks)


DONE: Piece = (0, b"data: [DONE]\n\n")
