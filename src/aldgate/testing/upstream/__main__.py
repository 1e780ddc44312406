"""`python -m aldgate.testing.upstream`: the fake provider as a process of its own. Prints its base URL, then serves."""

import argparse
import asyncio
import sys

try:
    from uvloop import run
except ImportError:  # there is none for Windows
    from asyncio import run

from aldgate.testing.upstream import FAULTS, FakeUpstream, Reply


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m aldgate.testing.upstream", description="A fake OpenAI-compatible provider.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--chunks", type=int, help="events with content in a stream; default one per word")
    parser.add_argument("--pace-ms", type=float, default=0, help="between two events of a stream")
    parser.add_argument("--reply-bytes", type=int, help="size of a whole chat reply")
    parser.add_argument("--completion-tokens", type=int, default=5)
    parser.add_argument(
        "--fault", choices=sorted(FAULTS), metavar="NAME", help="happens to every request: " + ", ".join(sorted(FAULTS))
    )
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    reply = Reply(
        chunks=options.chunks,
        pace_s=options.pace_ms / 1000,
        body_bytes=options.reply_bytes,
        completion_tokens=options.completion_tokens,
    )
    step = FAULTS[options.fault]() if options.fault else None
    async with FakeUpstream(reply=reply, default=step, port=options.port, keep_requests=False) as upstream:
        if options.fault == "refuse":
            upstream.refuse()
        sys.stdout.write(upstream.url + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        run(_serve(_options()))
    except KeyboardInterrupt:
        sys.exit(130)
