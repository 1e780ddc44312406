"""Servers and programs of language models, as engines: one text per job, told while it is written."""
