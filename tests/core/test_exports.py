import pytest

from aldgate.core.exports import Billed, UnreadableExport, read_export

OPENAI = """start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,batch,input_tokens,\
output_tokens,input_cached_tokens
1795219200,1795305600,2026-11-21T00:00:00+00:00,2026-11-22T00:00:00+00:00,proj_1,3,gpt-4.1-2025-04-14,,"1,200",50,200
1795305600,1795392000,2026-11-22T00:00:00+00:00,2026-11-23T00:00:00+00:00,,,,,,,
"""
OPENAI_COST = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item
1795219200,1795305600,2026-11-21T00:00:00+00:00,2026-11-22T00:00:00+00:00,0.0123456789,usd,"gpt-4.1-2025-04-14, input"
"""
ANTHROPIC = """usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,\
usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,web_search_count
2026-11-21,claude-sonnet-4-5-20250929,app,Default,standard,\u2264 200k,100,20,3,1000,7,0
"""
ANTHROPIC_COST = """usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,cost_type
2026-11-21,Claude Sonnet 4.5,Default,app,message,\u2264 200k,input_no_cache,1.25,token
"""


@pytest.mark.parametrize(
    ("text", "layout", "line"),
    [
        (OPENAI, "openai", Billed("2026-11-21", "gpt-4.1-2025-04-14", 3, 1200, 50, 200)),
        (OPENAI_COST, "openai-cost", Billed("2026-11-21", "gpt-4.1-2025-04-14", cost_microusd=12_346)),
        (ANTHROPIC, "anthropic", Billed("2026-11-21", "claude-sonnet-4-5-20250929", None, 1123, 7, 1000, 23)),
        (ANTHROPIC_COST, "anthropic-cost", Billed("2026-11-21", "Claude Sonnet 4.5", cost_microusd=1_250_000)),
        (
            "\ufeffDate;model;prompt_tokens;completion_tokens;cost;id\n2026-11-21T23:30:00-02:00;m;10;5;$0.5;req-1\n",
            "generic",
            None,
        ),
        (
            "timestamp\tmodel\tprompt_tokens\tcompletion_tokens\tcost\tid\n1795219199\tm\t10\t5\t0.5\treq-1\n",
            "generic",
            Billed("2026-11-20", "m", None, 10, 5, cost_microusd=500_000, request_id="req-1"),
        ),
    ],
    ids=["openai", "openai-cost", "anthropic", "anthropic-cost", "renamed", "generic"],
)
def test_each_layout_is_known_by_its_columns(text: str, layout: str, line: Billed | None) -> None:
    renamed = {"day": "Date"} if line is None else {}
    line = line or Billed("2026-11-22", "m", None, 10, 5, cost_microusd=500_000, request_id="req-1")
    assert read_export(text, renamed=renamed) == (layout, [line])


@pytest.mark.parametrize(
    ("text", "layout", "renamed", "complaint"),
    [
        ("", "", {}, "no column says the day; there are none"),
        ("day,model\n2026-11-21,m\n", "", {}, "no column says requests, tokens or cost"),
        ("day,cost\n2026-11-21,1\n", "", {}, "no column says the model"),
        ("day,model,cost\n2026-11-21,m,much\n", "", {}, "line 2"),
        ("day,model,cost\nsome day,m,1\n", "", {}, "line 2: Invalid isoformat string"),
        ("day,model,cost\n2026-11-21,m,NaN\n", "", {}, "line 2: `NaN` is no figure"),
        ("day,model,cost\n2026-11-21,m,1e99\n", "", {}, "line 2: `1e99` is no figure"),
        ("day,model,cost\n", "colour", {}, "`layout` is one of openai"),
        ("day,model,cost\n", "", {"colour": "day"}, "`colour` is none of day"),
        ("day,model,cost\n", "", {"day": "Date"}, "there is no column `Date`"),
    ],
)
def test_what_is_no_export_is_refused_with_the_reason(text: str, layout: str, renamed: dict[str, str], complaint: str) -> None:
    with pytest.raises(UnreadableExport, match=complaint):
        read_export(text, layout, renamed)
