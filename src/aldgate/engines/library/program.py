"""The program around a library: it takes work over its standard input, one piece at a time, and tells of it on its output.

It is run by its path, by whichever Python has the library, and imports nothing of Aldgate. Its argument is a file that defines
`Work(settings)` with `run(asked, inputs, tell, save) -> dict`. Lines of JSON come in: first `{"settings", "path"}`, then
`{"asked", "inputs": [lengths]}` with the inputs' bytes behind it, or `{"stop": true}`. Lines of JSON go out: `{"event":
"progress", ...}`, `{"event": "file", "size", ...}` with the file's bytes behind it, and in the end one of `done`, `stopped`,
`failed`. What the library prints goes to the standard error. It ends with its input, whatever it is doing.
"""

import importlib.util
import json
import os
import queue
import sys
import threading
import traceback
from typing import Any


class Stopped(Exception):
    """Nobody wants the work any more."""


class Pipe:
    """Both ends, with a thread that listens while work is done."""

    def __init__(self) -> None:
        self._sink = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._source = sys.stdin.buffer
        self._stop = threading.Event()
        self.asked: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while line := self._source.readline():
            message = json.loads(line)
            if message.get("stop"):
                self._stop.set()
                continue
            inputs = [self._source.read(length) for length in message.get("inputs", ())]
            self._stop.clear()
            self.asked.put((message, inputs))
        os._exit(0)

    def say(self, event: str, data: bytes = b"", **fields: Any) -> None:
        """Write a line, and the bytes that belong to it."""
        self._sink.write(json.dumps({"event": event, **fields, "size": len(data)}).encode() + b"\n" + data)
        self._sink.flush()

    def tell(self, **fields: Any) -> None:
        """Say how far the work is.

        Raises:
            Stopped: Nobody wants it any more.
        """
        if self._stop.is_set():
            raise Stopped
        self.say("progress", **fields)

    def save(self, data: bytes, **fields: Any) -> None:
        """Hand over a file."""
        self.say("file", data, **fields)


def loaded(file: str) -> Any:
    """The module in that file."""
    spec = importlib.util.spec_from_file_location("work", file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Work until the input ends."""
    pipe = Pipe()
    begin, _ = pipe.asked.get()
    sys.path[:0] = begin["path"]
    work: Any = None
    while True:
        message, inputs = pipe.asked.get()
        try:
            if work is None:
                pipe.tell(message="loading")
                work = loaded(sys.argv[1]).Work(begin["settings"])
            pipe.say("done", result=work.run(message["asked"], inputs, pipe.tell, pipe.save))
        except Stopped:
            pipe.say("stopped")
        except Exception as error:  # whatever a library raises is its answer, and the next piece of work may go well
            traceback.print_exc()
            pipe.say("failed", kind=type(error).__name__, reason=str(error)[:2_000])


if __name__ == "__main__":
    main()
