"""Leases: time-limited claims on work that is in the store, each with a token that no other claim has."""


class LeaseLost(Exception):
    """Another worker has the work now: whoever had it must stop."""
