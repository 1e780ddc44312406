"""A program of its own that speaks with eSpeak NG: one line of JSON comes in, samples go out.

It is run by its path and imports nothing of Aldgate: eSpeak NG is under the GPL (version 3), and stays in this process. Functions
and constants: https://github.com/espeak-ng/espeak-ng/blob/master/src/include/espeak-ng/speak_lib.h.

`{"list": true}` answers with one line of JSON, a list of voices. `{"text", "voice", "words_per_minute"}` answers with the sample
rate and a line break, then with samples as they come: 16 bits, in the machine's own order, one channel.
"""

import ctypes
import json
import sys

import espeakng_loader  # pyright: ignore[reportMissingTypeStubs] - it has none

AUDIO_OUTPUT_SYNCHRONOUS = 2
BUFFER_MS = 200
RATE_PARAMETER = 1
CHARACTER_POSITION = 1
UTF8 = 1


class Voice(ctypes.Structure):
    """What eSpeak NG says of a voice."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


HEARD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main() -> int:
    """Do what the line says."""
    asked = json.loads(sys.stdin.buffer.readline())
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MS, espeakng_loader.get_data_path().encode(), 0)
    if rate <= 0:
        return 1
    if asked.get("list"):
        sys.stdout.write(json.dumps(voices(library)) + "\n")
        return 0
    return speak(library, rate, asked)


def voices(library: ctypes.CDLL) -> list[dict[str, str]]:
    """Every voice: the code of its language, and its name."""
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
    found: list[dict[str, str]] = []
    for each in library.espeak_ListVoices(None):
        if not each:
            break
        voice = each.contents
        # A byte of priority, then the code, then a NUL.
        found.append({"language": voice.languages[1:].decode(), "name": voice.name.decode()})
    return found


def choose(library: ctypes.CDLL, voice: bytes) -> bool:
    """Speak with this voice from now on. A few, `en-gb` and `fr-fr` among them, are found by their language alone."""
    by_language = Voice(languages=voice)
    return library.espeak_SetVoiceByName(voice) == 0 or library.espeak_SetVoiceByProperties(ctypes.byref(by_language)) == 0


def speak(library: ctypes.CDLL, rate: int, asked: dict[str, object]) -> int:
    """Write what is said to the standard output."""
    sink = sys.stdout.buffer

    @HEARD
    def heard(samples: "ctypes.Array[ctypes.c_short]", count: int, events: int) -> int:
        if samples and count > 0:
            sink.write(ctypes.string_at(samples, 2 * count))
            sink.flush()
        return 0

    text = str(asked["text"]).encode("utf-8", "replace") + b"\0"
    library.espeak_SetSynthCallback(heard)
    if not choose(library, str(asked["voice"]).encode()):
        return 2
    library.espeak_SetParameter(RATE_PARAMETER, int(str(asked["words_per_minute"])), 0)
    sink.write(b"%d\n" % rate)
    sink.flush()
    length = ctypes.c_size_t(len(text))
    failed = library.espeak_Synth(text, length, 0, CHARACTER_POSITION, 0, UTF8, None, None)
    return 3 if failed or library.espeak_Synchronize() else 0


if __name__ == "__main__":
    sys.exit(main())
