"""Every engine that the contract suite runs over."""

from tests.engines.contract.music import MUSIC

CASES = (*MUSIC,)
