"""The faults of all stand-ins."""

import os
import threading


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's."""


def obey(prompt: str) -> None:
    """Go wrong as the prompt asks."""
    if "please fail" in prompt:
        raise ValueError("the prompt asked for it")
    if "please run out" in prompt:
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if "please die" in prompt:
        os._exit(9)
    if "please hang" in prompt:
        threading.Event().wait()
    if "please babble" in prompt:
        for number in range(3, 32):
            try:
                os.write(number, b"what a library should not say\n")
            except OSError:
                continue
