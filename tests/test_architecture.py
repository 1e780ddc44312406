"""The house rules of `src/aldgate`, read from its syntax: direction, cycles, laziness, who may await, and how long things are."""

import ast
import statistics
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

import aldgate

SOURCE = Path(aldgate.__file__).parent
LEVELS = (
    {"", "logs"},
    {"core"},
    {"books", "sharing", "queueing", "residing", "making"},
    {"storage"},
    {"dialects", "ports", "registry", "config"},
    {"upstream", "store", "limiter", "artifacts", "devices"},
    {"providers", "engines", "memory", "tools", "oidc"},
    {"gate"},
    {"jobs", "agents", "evals"},
    {"surfaces", "cli"},
    {"testing"},
    {"app"},
)
LEVEL = {package: level for level, packages in enumerate(LEVELS) for package in packages}
LAZY = {
    "cli/budgets.py": "msgspec is 40 ms that `--help` need not pay",
    "cli/config.py": "msgspec is 40 ms that `--help` need not pay",
    "cli/db.py": "SQLAlchemy is 150 ms that `--help` need not pay",
    "cli/jobs.py": "msgspec is 40 ms that `--help` need not pay",
    "cli/serve.py": "msgspec is 40 ms that `--help` need not pay",
    "cli/worker.py": "msgspec is 40 ms that `--help` need not pay",
    "cli/usage.py": "msgspec is 40 ms that `--help` need not pay",
}
TASKS = {
    "app/composition.py": "the root's tasks, ended by its exit stack",
    "app/working.py": "the root's tasks of a worker, ended by its exit stack",
    "engines/beside.py": "what goes on beside other work, and has ended when that has",
    "gate/neighbours.py": "answers to other processes, which end with its run; each is one statement",
    "gate/money/slices.py": "one question to other processes for all calls that wait for its answer, which has an end",
    "gate/routing/hedge.py": "two attempts at once, where a route asks for it; both have ended when the race has",
    "jobs/batch_run.py": "in task groups, which end with the batch",
    "jobs/batches.py": "in a task group, which ends with the worker",
    "jobs/following.py": "one reader for all who follow a job, ended with the last of them",
    "jobs/job_run.py": "the engine's work on one job, ended with it",
    "jobs/webhooks.py": "in a task group, which ends with the gate",
    "jobs/worker.py": "in a task group, which ends with the worker",
    "surfaces/responses/background.py": "what runs in the background, ended by `aclose` before the store and the ledger are",
    "surfaces/server/server.py": "the sweep of connections, ended with the server",
    "oidc/keyset.py": "one fetch for all who wait for it, ended with the issuer",
    "testing/engines/server.py": "the work of a fake, ended with it",
    "store/job_bell.py": "tells other processes, which the store waits for when it closes",
    "store/unbroken.py": "writes that outlive their caller, which the store waits for when it closes",
    "surfaces/responses/socket.py": "listens to a socket while a call of it runs, ended with the socket",
    "surfaces/queued/socket.py": "listens to a socket while its job is followed, ended with the socket",
    "surfaces/server/listener.py": "one task per request, which the server waits for when it drains",
}
BROAD = {
    "engines/library/program.py": "whatever a library raises is its answer, and the next job may go well",
    "jobs/batch_run.py": "one line's fault must not end the others",
    "jobs/batches.py": "one batch's fault must not end the others",
    "jobs/webhooks.py": "one delivery's fault must not end the others",
    "jobs/following.py": "whatever is wrong with a job, those who follow it must be told",
    "jobs/worker.py": "one job's fault must not end the others",
    "surfaces/responses/background.py": "one response's fault must not end the others",
    "store/writer.py": "whatever is wrong with the store must not end the ledger's writer",
    "surfaces/server/websocket.py": "one socket's fault must not reach another's",
    "surfaces/server/cycle.py": "one request's fault must not reach another's",
    "surfaces/server/workers.py": "a forked copy of the parent must end, whatever happens to it",
}
SYNCHRONOUS = {("gate/gate.py", "Gate"): {"admit", "_admit", "weigh", "settle"}}
MODULE_LINES = {0.5: 180, 0.9: 500, 1.0: 800}
FUNCTION_LINES = {0.5: 12, 0.95: 50, 1.0: 100}
Tree = dict[str, ast.Module]


def parse(root: Path) -> Tree:
    files = sorted(path for path in root.rglob("*.py") if "migrations" not in path.parts)
    return {path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def module_of(file: str) -> str:
    return ".".join(("aldgate", *file.removesuffix(".py").removesuffix("__init__").rstrip("/").split("/"))).rstrip(".")


def imports(node: ast.AST, modules: set[str]) -> Iterator[str]:
    """The modules of ours that are imported anywhere within `node`."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name.split(".")[0] == "aldgate")
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            if child.module and child.module.split(".")[0] == "aldgate":
                inner = {f"{child.module}.{alias.name}" for alias in child.names}
                yield from inner & modules or {child.module}


def package_of(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def wrong_directions(tree: Tree) -> Iterator[str]:
    modules = {module_of(file) for file in tree}
    for file, node in tree.items():
        mine = package_of(module_of(file))
        for other in imports(node, modules):
            theirs = package_of(other)
            if mine != theirs and (LEVEL[theirs] >= LEVEL[mine] or theirs == "testing"):
                yield f"{file} imports {other}, which is not to its left"


def cycles(tree: Tree) -> Iterator[str]:
    modules = {module_of(file) for file in tree}
    try:
        TopologicalSorter({module_of(file): set(imports(node, modules)) for file, node in tree.items()}).prepare()
    except CycleError as error:
        yield f"cycle: {' -> '.join(error.args[1])}"


def folder_cycles(tree: Tree) -> Iterator[str]:
    """Cycles among what stands beside each other in a folder, its sub-folders taken as wholes."""
    modules = {module_of(file) for file in tree}
    beside: dict[tuple[str, ...], dict[str, set[str]]] = {}
    for file, node in tree.items():
        mine = module_of(file).split(".")
        for other in imports(node, modules):
            theirs = other.split(".")
            depth = next((at for at, (one, two) in enumerate(zip(mine, theirs, strict=False)) if one != two), None)
            if depth is not None:
                beside.setdefault(tuple(mine[:depth]), {}).setdefault(mine[depth], set()).add(theirs[depth])
    for folder, graph in beside.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            yield f"cycle in {'/'.join(folder)}: {' -> '.join(error.args[1])}"


def functions(tree: Tree) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for file, node in tree.items():
        yield from ((file, child) for child in ast.walk(node) if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def hidden_imports(tree: Tree) -> Iterator[str]:
    modules = {module_of(file) for file in tree}
    for file, function in functions(tree):
        if file not in LAZY:
            yield from (f"{file}:{function.lineno} imports {other} inside a function" for other in imports(function, modules))


def awaits(node: ast.AST) -> bool:
    return any(isinstance(child, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith) for child in ast.walk(node))


def wrong_awaits(tree: Tree) -> Iterator[str]:
    yield from (f"{file} awaits" for file, node in tree.items() if file.startswith("core/") and awaits(node))
    for (file, name), methods in SYNCHRONOUS.items():
        found = [
            node for node in ast.walk(tree.get(file, ast.Module([]))) if isinstance(node, ast.ClassDef) and node.name == name
        ]
        bodies = {node.name: node for node in chain.from_iterable(each.body for each in found) if hasattr(node, "name")}
        yield from (
            f"{name}.{method} is missing or awaits" for method in methods if method not in bodies or awaits(bodies[method])
        )


def over_budget(what: str, lines: dict[str, int], budget: dict[float, int]) -> Iterator[str]:
    ranked = sorted(lines.values())
    for share, most in budget.items():
        value = statistics.median(ranked) if share == 0.5 else ranked[min(len(ranked) - 1, int(len(ranked) * share))]
        if value > most:
            longest = max(lines, key=lines.__getitem__)
            yield f"{what}: {share:.0%} have up to {value} lines, not {most}; the longest is {longest}"


def sizes(tree: Tree, root: Path) -> Iterator[str]:
    modules = {file: len((root / file).read_text(encoding="utf-8").splitlines()) for file in tree}
    yield from over_budget("modules", {file: lines for file, lines in modules.items() if lines}, MODULE_LINES)
    lines = {f"{file}:{each.name}": (each.end_lineno or 0) - each.lineno + 1 for file, each in functions(tree)}
    yield from over_budget("functions", lines or {"none": 0}, FUNCTION_LINES)


def names(node: ast.expr | None) -> set[str]:
    return {ast.unparse(each) for each in (node.elts if isinstance(node, ast.Tuple) else [node]) if each is not None}


def forbidden(tree: Tree) -> Iterator[str]:
    for file, module in tree.items():
        for node in ast.walk(module):
            match node:
                case ast.Call(func=ast.Attribute(attr="create_task" | "ensure_future")) if file not in TASKS:
                    yield f"{file}:{node.lineno} starts a task that nobody ends"
                case ast.Call(func=ast.Name(id="print")):
                    yield f"{file}:{node.lineno} prints"
                case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "getenv") if file != "config/environment.py":
                    yield f"{file}:{node.lineno} reads the environment"
                case ast.ExceptHandler(type=None) if not isinstance(node.body[-1], ast.Raise):
                    yield f"{file}:{node.lineno} catches everything"
                case ast.ExceptHandler() if "BaseException" in names(node.type) and not isinstance(node.body[-1], ast.Raise):
                    yield f"{file}:{node.lineno} swallows a cancellation"
                case ast.ExceptHandler() if "Exception" in names(node.type) and file not in BROAD:
                    yield f"{file}:{node.lineno} catches everything"
                case _:
                    pass


def problems(root: Path) -> list[str]:
    tree = parse(root)
    checks = (wrong_directions, cycles, folder_cycles, hidden_imports, wrong_awaits, forbidden)
    return [*chain.from_iterable(check(tree) for check in checks), *sizes(tree, root)]


def test_the_house_is_in_order() -> None:
    assert problems(SOURCE) == []


@pytest.mark.parametrize("exceptions", [LAZY, TASKS, BROAD])
def test_no_exception_outlives_its_file(exceptions: dict[str, str]) -> None:
    assert all((SOURCE / file).is_file() and reason for file, reason in exceptions.items())


LONG = "def run() -> None:\n" + "    pass\n" * 100
GATE = "class Gate:\n    def admit(self): ...\n    def _admit(self): ...\n    def weigh(self): ...\n    def settle(self): ...\n"


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("core/bad.py", "import aldgate.ports", "core/bad.py imports aldgate.ports, which is not to its left"),
        ("dialects/bad.py", "from aldgate.config import good", "dialects/bad.py imports aldgate.config.good"),
        ("app.py", "from aldgate import testing", "app.py imports aldgate.testing"),
        ("core/good.py", "from aldgate.core import bad\n", "cycle: "),
        ("gate/rows.py", "import aldgate.gate.steps.settle\n", "cycle in aldgate/gate: "),
        (
            "gate/bad.py",
            "def f():\n    from aldgate.core import good\n    return good",
            "gate/bad.py:1 imports aldgate.core.good inside",
        ),
        ("core/bad.py", "async def f(): ...", "core/bad.py awaits"),
        (
            "gate/gate.py",
            GATE.replace("def settle(self): ...", "async def settle(self): ..."),
            "Gate.settle is missing or awaits",
        ),
        ("gate/gate.py", GATE.replace("_admit", "_admitted"), "Gate._admit is missing or awaits"),
        ("gate/bad.py", "import asyncio\nasyncio.create_task(None)", "gate/bad.py:2 starts a task"),
        ("gate/bad.py", "import os\nos.environ['A']", "gate/bad.py:2 reads the environment"),
        ("gate/bad.py", "try:\n    pass\nexcept (ValueError, Exception):\n    pass", "gate/bad.py:3 catches everything"),
        ("gate/bad.py", "try:\n    pass\nexcept:\n    pass", "gate/bad.py:3 catches everything"),
        ("gate/bad.py", "try:\n    pass\nexcept BaseException:\n    pass", "gate/bad.py:3 swallows a cancellation"),
        ("gate/bad.py", "print('x')", "gate/bad.py:1 prints"),
        ("gate/bad.py", LONG, "functions: 100% have up to 101 lines"),
        ("gate/bad.py", "\n" * 801, "modules: 100% have up to 801 lines"),
    ],
)
def test_each_check_can_fail(tmp_path: Path, file: str, text: str, complaint: str) -> None:
    good = {
        "core/good.py": "",
        "core/bad.py": "import aldgate.core.good",
        "ports.py": "",
        "config/good.py": "",
        "gate/gate.py": GATE,
    }
    good |= {"testing/__init__.py": "", "gate/short.py": "def f(): ...\n" * 200, "__init__.py": ""}
    good |= {"gate/rows.py": "", "gate/steps/run.py": "import aldgate.gate.rows", "gate/steps/settle.py": ""}
    for name, content in good.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert problems(tmp_path) == []
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)
    assert any(problem.startswith(complaint) for problem in problems(tmp_path))
