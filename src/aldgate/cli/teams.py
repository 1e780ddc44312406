"""`aldgate teams`: what clients, users and keys can be under, itself under an organisation or nothing."""

from aldgate.cli.accounts import add_looking, add_making
from aldgate.cli.group import group

PATH = "/admin/teams"

app = group("Make, list, change and delete teams.")
add_making(app, PATH)
add_looking(app, PATH)
