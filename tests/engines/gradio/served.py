"""A Gradio app for versions 4 to 6, in a process of its own: `python served.py PORT FOLDER [user password]`.

It leaves in FOLDER what became of slow calls.
"""

import sys
import time
import wave
from pathlib import Path

import gradio as gr

PORT, FOLDER, *LOGIN = sys.argv[1:]


def tone(seconds: float) -> str:
    path = Path(FOLDER) / f"tone {time.time_ns()} #1.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * int(8000 * seconds))
    return str(path)


def make_music(prompt: str, seconds: float, melody: str | None, seed: str, count: int, progress=gr.Progress()):
    for step in range(4):
        progress((step, 4), desc=f"step {step}")
        time.sleep(0.12)
    size = Path(melody).stat().st_size if melody else 0
    return f"{prompt} {seconds} {size} {seed!r}", tone(seconds), (count or 0) + 1


def write_slowly(prompt: str):
    for end in range(1, len(prompt) + 1):
        time.sleep(0.05)
        yield prompt[:end], None
    yield gr.update(), tone(0.1)


def make_pictures(prompt: str, picture):
    from PIL import Image

    first = Image.new("RGB", (16, 8), "red")
    second = Image.open(picture) if picture else Image.new("RGB", (8, 16), "blue")
    return first, [(first, "one"), (second, "two")]


def work_on(prompt: str):
    for step in range(200):
        (Path(FOLDER) / prompt).write_text(str(step))
        time.sleep(0.05)
        yield str(step)


def fail(prompt: str) -> str:
    raise gr.Error(prompt)


with gr.Blocks() as app:
    prompt, out = gr.Textbox(label="Prompt"), gr.Textbox()
    seconds = gr.Slider(0.1, 5, value=0.2, label="Length")
    melody, sound = gr.Audio(type="filepath"), gr.Audio(type="filepath")
    picture = gr.Image(type="filepath")
    seed, count = gr.Textbox("-1"), gr.State(0)
    gallery, shown = gr.Gallery(), gr.Image()
    button = gr.Button()
    button.click(make_music, [prompt, seconds, melody, seed, count], [out, sound, count], api_name="music")
    button.click(write_slowly, [prompt], [out, sound], api_name="slowly")
    button.click(make_pictures, [prompt, picture], [shown, gallery], api_name="pictures")
    button.click(work_on, [prompt], [out], api_name="work")
    button.click(fail, [prompt], [out], api_name="fail")

app.queue().launch(
    server_name="127.0.0.1",
    server_port=int(PORT),
    auth=tuple(LOGIN) if LOGIN else None,
    allowed_paths=[FOLDER],
    show_error=True,
    quiet=True,
)
