"""Legacy completions: each prompt comes back as its own text."""

from collections.abc import Iterator

from msgspec import UNSET, Struct, UnsetType

from aldgate.core.errors import InvalidRequest
from aldgate.dialects.openai.types import Completion, CompletionChoice, CompletionRequest, CompletionUsage, FinishReason
from aldgate.engines.builtin.frames import DONE, encoder, frames
from aldgate.engines.builtin.inputs import texts_of
from aldgate.engines.builtin.reply import Piece
from aldgate.engines.builtin.words import count_words, cut_text, split_words

MAX_CHOICES = 2048
"""Prompts times `n`: a small body must not ask for an endless reply."""


class Text(Struct):
    """One choice: what it says, in how many words, and why it ends."""

    text: str
    words: int
    finish_reason: FinishReason


def answer_completion(request: CompletionRequest) -> tuple[list[Text], int]:
    """The choices, `n` for each prompt in order, and the words of all prompts.

    Raises:
        InvalidRequest: The prompts are of several kinds, or with `n` they make more than `MAX_CHOICES` choices.
    """
    prompts, n = texts_of(request.prompt, "prompt"), request.n or 1
    if len(prompts) * n > MAX_CHOICES:
        raise InvalidRequest(f"Prompts times `n` may be at most {MAX_CHOICES}.", param="n")
    texts = [Text(*cut_text(prompt, request.stop, request.max_tokens)) for prompt in prompts]
    return [text for text in texts for _ in range(n)], sum(count_words(prompt) for prompt in prompts)


class CompletionReply(Struct):
    """The texts on the wire, whole or streamed.

    Attributes:
        name: 24 hex digits of the call, from which the reply's id is made.
        created: Unix seconds.
        model: The model's full id.
    """

    name: str
    created: int
    model: str
    texts: list[Text]
    prompt_words: int

    def whole(self) -> Iterator[Piece]:
        """The reply as one piece that takes as long as its longest text."""
        choices = [CompletionChoice(index, text.text, text.finish_reason) for index, text in enumerate(self.texts)]
        longest = max(text.words for text in self.texts)
        return iter(((longest, encoder.encode(self._reply(choices, self._usage()))),))

    def stream(self, include_usage: bool) -> Iterator[Piece]:
        """The reply word by word, one text after the other."""
        pending = None if include_usage else UNSET
        for index, text in enumerate(self.texts):
            for word in split_words(text.text):
                yield frames([self._reply([CompletionChoice(index, word, None)], pending)], words=1)
            yield frames([self._reply([CompletionChoice(index, "", text.finish_reason)], pending)])
        if include_usage:
            yield frames([self._reply([], self._usage())])
        yield DONE

    def _reply(self, choices: list[CompletionChoice], usage: CompletionUsage | UnsetType | None) -> Completion:
        return Completion(f"cmpl-{self.name}", self.created, self.model, choices, usage)

    def _usage(self) -> CompletionUsage:
        completion = sum(text.words for text in self.texts)
        return CompletionUsage(self.prompt_words, completion, self.prompt_words + completion)
