"""Fakes of self-hosted engines on loopback: each speaks its service's wire format, and misbehaves by name.

async with FakeComfy() as fake:
    fake.fault = "out_of_memory"
    ...  # an engine with base_url=fake.url
    assert fake.works == 1
"""

from aldgate.testing.engines.a1111 import FakeA1111
from aldgate.testing.engines.ace_step import FakeAceStep
from aldgate.testing.engines.alltalk import FakeAllTalk
from aldgate.testing.engines.comfyui import FakeComfy
from aldgate.testing.engines.diffusers import FakeDiffusers
from aldgate.testing.engines.gradio import FakeGradio
from aldgate.testing.engines.heartmula import FakeHeartMula
from aldgate.testing.engines.invokeai import FakeInvoke
from aldgate.testing.engines.llama_cpp import FakeLlamaCpp
from aldgate.testing.engines.music_programs import FakePrograms
from aldgate.testing.engines.musicgpt import FakeMusicGpt
from aldgate.testing.engines.ollama import FakeOllama
from aldgate.testing.engines.openai_images import FakeOpenAIImages
from aldgate.testing.engines.openai_speech import FakeSpeech
from aldgate.testing.engines.openai_transcription import FakeTranscription
from aldgate.testing.engines.server import FAULTS, FakeEngine
from aldgate.testing.engines.wan2gp import FakeWan2GP

__all__ = [
    "FAULTS",
    "FakeA1111",
    "FakeAceStep",
    "FakeAllTalk",
    "FakeComfy",
    "FakeDiffusers",
    "FakeEngine",
    "FakeGradio",
    "FakeHeartMula",
    "FakeInvoke",
    "FakeLlamaCpp",
    "FakeMusicGpt",
    "FakeOllama",
    "FakeOpenAIImages",
    "FakePrograms",
    "FakeSpeech",
    "FakeTranscription",
    "FakeWan2GP",
]
