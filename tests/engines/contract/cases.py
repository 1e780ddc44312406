"""Every engine that the contract suite runs over."""

from tests.engines.contract.speech import SPEECH
from tests.engines.contract.writing import WRITING

CASES = (*SPEECH, *WRITING)
