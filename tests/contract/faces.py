"""The faces, by name."""

from tests.contract.dialects.anthropic import Anthropic
from tests.contract.dialects.gemini import Gemini
from tests.contract.dialects.ollama import Ollama
from tests.contract.dialects.openai import OpenAI
from tests.contract.dialects.responses import Responses
from tests.contract.neutral import Face

FACES: dict[str, Face] = {
    "openai": OpenAI(),
    "responses": Responses(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "ollama": Ollama(),
}
ITEMISE = frozenset(FACES) - {"ollama"}
"""Faces that tell callers how much was read from a cache, and how much was thought."""
SHOWS_IMAGES = frozenset(FACES) - {"anthropic"}
"""Faces with a place for an image that a model made."""
