"""Complaints about other gateways' money, limits and databases, by their numbers, and which test holds each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
COMPLAINTS: dict[str, tuple[str, ...]] = {
    "1: a budget is exceeded, and calls go on": ("faults/test_races.py::test_a_budget_of_ten_calls_passes_ten",),
    "2: callers at once slip past a budget": ("gate/test_gate.py::test_calls_at_once_never_hold_more_than_the_budget",),
    "3: the first calls of somebody new slip past it": (
        "gate/money/test_slices.py::test_many_who_wait_share_what_one_asked_for",
    ),
    "4: a long prompt is held at the price of short ones": (
        "core/test_prices.py::test_tiers_hold_for_the_whole_call_and_begin_above_their_mark",
        "core/test_prices.py::test_the_bound_covers_whatever_the_call_turns_out_to_use",
    ),
    "5: no budget for who comes another way": (
        "faults/test_faces_race.py::test_on_every_face_a_budget_of_ten_calls_passes_ten",
        "surfaces/admin/test_accounts.py::test_a_key_of_an_account_is_held_to_all_that_is_above_it",
    ),
    "6: paths that skip the budget": ("faults/test_faces_race.py::test_all_faces_and_sockets_share_one_budget",),
    "7: a field under its old name leaves a key without a budget": ("surfaces/admin/test_keys.py::test_a_bad_field_is_named",),
    "8: a percentage that is reached far too soon": ("core/test_alerts.py::test_a_part_is_reached_when_so_much_is_spent",),
    "9: free models closed by a budget": ("regressions/test_money.py::test_s9_a_spent_budget_closes_only_what_costs_something",),
    "10: cached and reasoning tokens priced wrongly": ("faults/test_soak.py::test_the_ledger_says_what_the_provider_charges",),
    "11: a stream's usage undercounted": ("regressions/test_streams.py::test_d5_usage_counts_beside_any_last_choice",),
    "12: who hangs up pays nothing, or for nothing": (
        "regressions/test_streams.py::test_i1_a_caller_who_leaves_is_billed_for_what_ran",
        "faults/test_callers_leave.py::test_who_only_stopped_sending_gets_an_answer_that_costs_nothing",
    ),
    "13: a limit times the number of processes": (
        "limiter/valkey/test_limiter.py::test_64_callers_in_two_processes_take_exactly_the_limit",
    ),
    "14: callers at once beat a limit, or are kept below it": (
        "faults/test_races.py::test_so_many_at_once_pass_and_no_more",
        "limiter/test_memory.py::test_settling_gives_back_what_was_held_and_not_used_or_takes_more",
    ),
    "18: memory that grows": ("test_growth.py::test_calls_leave_nothing", "store/test_growth.py::test_batches_leave_nothing"),
    "20: a database that is away is a 401; writers lock each other out": (
        "gate/principals/test_identity.py::test_a_store_that_is_away_is_not_an_unknown_key_and_is_not_remembered",
        "store/test_writer.py::test_a_store_that_stays_away_is_tried_less_often",
    ),
    "21: queries for every call": (
        "gate/principals/test_identity.py::test_a_key_is_looked_up_once_and_means_its_principal",
        "gate/money/test_slices.py::test_a_slice_is_asked_for_once_and_spent_without_asking",
    ),
    "23: a start without the database that limits need": ("store/test_sqlite.py::test_a_missing_directory_is_said_so",),
    "36: who loses a race is billed, too": ("gate/routing/test_hedge.py::test_a_result_too_late_is_dropped",),
}


def functions_of(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_every_complaint_has_a_test(complaint: str) -> None:
    """The tests that hold it are there under these names."""
    for test in COMPLAINTS[complaint]:
        file, _, name = test.partition("::")
        assert name in functions_of(file), test
