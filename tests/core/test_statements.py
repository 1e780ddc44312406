from aldgate.core.budgets import Budget
from aldgate.core.statements import Amounts, Booked, BudgetLine, Statement, as_text, budget_lines


def test_budgets_are_opened_and_closed() -> None:
    budgets = (Budget(1_000, "total"), Budget(500, "month"))
    booked = {
        "total": Booked(900, 300, 10),
        "2026-11": Booked(500, 200, 20),
        "2026-11-03": Booked(50, 40, 0),
        "2026-W49": Booked(70, 30, 5),
        "2026-12-01": Booked(50, 1, 0),
        "2026-11-03T05": Booked(9, 4, 0),
    }
    assert budget_lines("2026-11", budgets, booked, spent_before=100, spent=200) == [
        BudgetLine("total", "total", 1_000, 900, 200, 10, 700),
        BudgetLine("month", "2026-11", 500, 500, 200, 20, 280),
        BudgetLine("week", "2026-W49", 70, 70, 30, 5, 35),
        BudgetLine("day", "2026-11-03", 50, 50, 40, 0, 10),
        BudgetLine("hour", "2026-11-03T05", 9, 9, 4, 0, 5),
    ]


def test_a_budget_that_nothing_is_booked_on_is_whole() -> None:
    assert budget_lines("2026-11", [Budget(500, "month")], {}, 0, 0) == [BudgetLine("month", "2026-11", 500, 500, 0, 0, 500)]
    assert budget_lines("2026-11", [], {}, 5, 5) == []


def test_the_text_shows_every_line() -> None:
    line = Amounts("lab/m", 2, 1, 20, 10, 0, 1_500_001)
    budget = BudgetLine("total", "total", 1_000_000, 0, 1_500_001, 0, -1_500_001)
    text = as_text(Statement("key-1", "key", "shop", "2026-11", line, [line], [line], [budget]))
    assert "Statement for key shop (key-1)" in text and "$1.500001" in text and "-$1.500001" in text
