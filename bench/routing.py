"""What failing over adds, and what a large catalogue costs."""

from statistics import median

from bench.contestants import Running, aldgate, cold_start_s, upstream
from bench.load import drive
from bench.report import Line
from bench.rows import Plan, Row, cpu_us

PROVIDERS, MODELS_EACH, NAMES = 200, 25, 500
FAILOVERS = 2_000


async def failover(plan: Plan) -> list[Line]:
    """Time to an answer by way of a provider that refuses the call, over the time to the answer directly.

    What the refusal itself takes is in the figure. It is one that counts for no breaker, so that every call meets it.
    """
    direct: list[float] = []
    over: list[float] = []
    calls = plan.calls(FAILOVERS)
    with upstream(0) as lab, upstream(0, refuses=400) as refusing, aldgate(lab, config=_route(refusing)) as gate:
        for _ in range(plan.repeat):
            for model, found in (("lab/gpt-4.1", direct), ("refused", over)):
                found.append((await drive(gate.chat(model), calls, 1)).seconds / calls * 1e3)
    added = median(one - other for one, other in zip(over, direct, strict=True))
    note = f"{median(over):.2f} ms instead of {median(direct):.2f} ms, one call at a time"
    return [Line(row="failover", label="failing over adds", value=added, unit="ms", bar=1.0, goal=0.5, note=note, raw=over)]


def _route(refusing: Running) -> str:
    return (
        f'[providers.refusing]\nbase_url = "http://127.0.0.1:{refusing.port}/v1"\nkind = "openai"\nmodels = ["gpt-4.1"]\n'
        '[routes.refused]\ndeployments = ["refusing/gpt-4.1"]\ncontext_fallbacks = ["lab/gpt-4.1"]\n'
        '[prices."refusing/gpt-4.1"]\ninput = 2\noutput = 8\n'
    )


async def catalogue(plan: Plan) -> list[Line]:
    """The start, and the CPU of a call, with 200 providers and 5,000 models over those with one of each, in pairs."""
    large = _many()
    starts: list[float] = []
    calls: list[float] = []
    with upstream(0) as lab:
        for _ in range(max(3, plan.repeat)):
            starts.append(cold_start_s(lab, large) / cold_start_s(lab))
        with aldgate(lab) as small, aldgate(lab, config=large) as big:
            for _ in range(plan.repeat):
                one = (await cpu_us(small, small.chat(), plan.calls(20_000)))[0]
                calls.append((await cpu_us(big, big.chat(), plan.calls(20_000)))[0] / one)
    what = f"with {PROVIDERS} providers and {PROVIDERS * MODELS_EACH:,} models"
    return [
        Line(row="catalogue", label=f"CPU per call {what}", value=median(calls), unit="x", bar=1.1, raw=calls),
        Line(row="catalogue", label=f"start {what}", value=median(starts), unit="x", bar=1.1, raw=starts),
    ]


def _many() -> str:
    """Providers with 25 models each, of 500 names."""
    tables: list[str] = []
    for number in range(PROVIDERS):
        models = ", ".join(f'"model-{(number * 7 + step) % NAMES}"' for step in range(MODELS_EACH))
        tables.append(f'[providers.p{number}]\nkind = "vllm"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = [{models}]\n')
    return "".join(tables)


ROWS: dict[str, Row] = {"failover": failover, "catalogue": catalogue}
