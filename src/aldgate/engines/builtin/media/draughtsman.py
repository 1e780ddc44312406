"""A program of its own that renders SVG: the renderer holds Python's lock while it works, which would stop the whole gate.

It is run by its path and imports nothing of Aldgate. Each drawing comes as three numbers of four bytes, big-endian
(width, height, length), and the SVG; a PNG goes back behind its length. It ends with its input.
"""

import struct
import sys

from resvg_py import svg_to_bytes

HEAD = struct.Struct(">III")


def main() -> None:
    """Render until there is nothing more to render."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while len(head := source.read(HEAD.size)) == HEAD.size:
        width, height, length = HEAD.unpack(head)
        svg = source.read(length).decode()
        png = svg_to_bytes(svg_string=svg, width=width, height=height, skip_system_fonts=True)
        sink.write(struct.pack(">I", len(png)) + png)
        sink.flush()


if __name__ == "__main__":
    main()
