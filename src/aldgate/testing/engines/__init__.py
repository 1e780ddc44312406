"""Fakes of self-hosted engines on loopback: each speaks its service's wire format, and misbehaves by name."""

from aldgate.testing.engines.alltalk import FakeAllTalk
from aldgate.testing.engines.llama_cpp import FakeLlamaCpp
from aldgate.testing.engines.ollama import FakeOllama
from aldgate.testing.engines.openai_speech import FakeSpeech
from aldgate.testing.engines.openai_transcription import FakeTranscription
from aldgate.testing.engines.server import FAULTS, FakeEngine

__all__ = ["FAULTS", "FakeAllTalk", "FakeEngine", "FakeLlamaCpp", "FakeOllama", "FakeSpeech", "FakeTranscription"]
