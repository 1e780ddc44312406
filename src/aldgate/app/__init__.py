"""The composition root: the only package that imports everything."""

from aldgate.app.app import App
from aldgate.app.checking import check
from aldgate.app.composition import create
from aldgate.app.serving import run, serve
from aldgate.app.working import work

__all__ = ["App", "check", "create", "run", "serve", "work"]
