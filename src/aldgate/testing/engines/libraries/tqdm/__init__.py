"""Bars on a terminal."""
