"""`aldgate organisations`: the outermost level of policies, limits and budgets."""

from aldgate.cli.accounts import add_looking, add_making
from aldgate.cli.group import group

PATH = "/admin/organisations"

app = group("Make, list, change and delete organisations.")
add_making(app, PATH)
add_looking(app, PATH)
