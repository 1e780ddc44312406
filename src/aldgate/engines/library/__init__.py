"""Engines that are libraries: each in a process of its own, with its own Python, so that what it does to memory ends with it."""
