"""Every engine that the contract suite runs over."""

from tests.engines.contract.speech import SPEECH

CASES = SPEECH
