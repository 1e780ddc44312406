"""Hugging Face Diffusers, in a process of its own."""
