"""The documentation: generated pages are current, everything is mentioned, links lead somewhere, and examples are run.

A block under `<!-- executed -->` is run, page by page in one shell, against a real `aldgate serve`; what a `console` block shows
must come out (`...` stands for anything), and what a `python` block says beside a `print` must be printed. The `toml` block under
`<!-- served -->` is that gate's configuration.
"""

import os
import re
import runpy
import selectors
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from typer.core import TyperGroup
from typer.main import get_command

from aldgate.app import check
from aldgate.cli.main import app
from aldgate.config.fields import leaves
from aldgate.config.loader import load
from aldgate.core.errors import GatewayError
from aldgate.surfaces.openapi.document import document

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "docs.py"))
SKIPPED_FOLDERS = {".git", ".venv", "node_modules", ".pytest_cache", "requirements"}
FILES = sorted(path for path in ROOT.rglob("*.md") if not SKIPPED_FOLDERS & set(path.relative_to(ROOT).parts))
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in FILES}
ALL_DOCS = "\n".join(text for name, text in PAGES.items() if name.startswith("docs/"))
BLOCK = re.compile(r"^(?:<!-- (\w+) -->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ADMIN_KEY = "docs-admin-" + "0123456789abcdef" * 2
TIMEOUT_S = 60


class Block(NamedTuple):
    mark: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page)]


EXECUTED = [name for name, page in PAGES.items() if any(block.mark == "executed" for block in blocks(page))]


@pytest.mark.parametrize("name", SCRIPT["PAGES"])
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == SCRIPT["PAGES"][name](), "run `make docs`"


def test_fragments_have_a_kind_and_a_text() -> None:
    for fragment in (ROOT / "changelog.d").glob("*"):
        if fragment.name != "README.md":
            assert re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(SCRIPT['KINDS'])})\.md", fragment.name), fragment.name
            assert fragment.read_text(encoding="utf-8").strip(), fragment.name


def test_released_versions_are_kept_when_the_changelog_is_assembled() -> None:
    released = "\n## 0.0.9\n\n- It was.\n"
    assert SCRIPT["changelog"](released).endswith(released)


@pytest.mark.parametrize("path", leaves())
def test_every_setting_is_mentioned(path: str) -> None:
    assert f"`{leaves()[path].env}`" in ALL_DOCS or leaves()[path].name == "admin_key"


def test_every_error_code_is_mentioned() -> None:
    def codes(kind: type[GatewayError]) -> set[str]:
        return {kind.code}.union(*map(codes, kind.__subclasses__()))

    assert {code for code in codes(GatewayError) if f"`{code}`" not in ALL_DOCS} == set()


def test_every_path_is_mentioned() -> None:
    assert {path for path in document()["paths"] if f"{path}`" not in ALL_DOCS} == set()


def test_every_command_is_mentioned() -> None:
    def paths(group: TyperGroup, prefix: str) -> Iterator[str]:
        for name, command in group.commands.items():
            yield from paths(command, f"{prefix} {name}") if isinstance(command, TyperGroup) else (f"{prefix} {name}",)

    root = get_command(app)
    assert isinstance(root, TyperGroup)
    assert {path for path in paths(root, "aldgate") if f"`{path}" not in ALL_DOCS} == set()


def test_every_dependency_has_earned_its_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    table = PAGES["docs/why.md"].partition("## Dependencies")[2]
    needed = {re.split(r"[^\w-]", requirement)[0] for group in groups for requirement in group}
    named = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in re.findall(r"[\w-]+", row)}
    assert needed - named == set()


def anchors(page: str) -> set[str]:
    """The anchors that headings have on GitHub."""
    titles = re.findall(r"^#+ (.+)$", re.sub(BLOCK, "", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def toml_blocks() -> list[tuple[str, str]]:
    return [(name, block.text) for name, page in PAGES.items() for block in blocks(page) if block.language == "toml"]


@pytest.mark.parametrize(("name", "text"), toml_blocks())
def test_every_toml_block_is_a_configuration(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tomllib.loads(text)
    certificate = trustme.CA().issue_cert("localhost")
    for file in re.findall(r'"([\w.-]+\.pem)', text) + re.findall(r",([\w.-]+\.pem)", text):
        certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / file))
    (tmp_path / "aldgate.toml").write_text(text, encoding="utf-8")
    references = dict.fromkeys(re.findall(r"env:(\w+)", text), "x" * 8 + ADMIN_KEY)
    check(load(flags={}, environment={"HOME": str(tmp_path), **references}, directory=tmp_path))


def test_something_is_executed() -> None:
    assert {"README.md", "docs/quickstart.md", "docs/keys-and-limits.md", "docs/providers.md"} <= set(EXECUTED)


@contextmanager
def process(*command: str, cwd: Path, until: str, **environment: str) -> Iterator[re.Match[str]]:
    """A process that has printed a line in which `until` was found."""
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONPATH": str(ROOT / "src"), **environment}
    running = subprocess.Popen([sys.executable, *command], cwd=cwd, env=env, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(running.stdout, selectors.EVENT_READ)
            assert selector.select(TIMEOUT_S), f"{command} printed nothing"
        found = next((match for line in running.stdout if (match := re.search(until, line))), None)
        assert found is not None, f"{command} did not print `{until}`"
        yield found
    finally:
        running.terminate()
        running.wait(TIMEOUT_S)
        running.stdout.close()


class Gate(NamedTuple):
    address: str
    data: Path
    upstream: str

    def there(self, text: str) -> str:
        """`text` with the addresses that the pages use replaced by the real ones."""
        return text.replace("127.0.0.1:8000", self.address).replace("127.0.0.1:9000", self.upstream)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("upstream")
    with process("-m", "aldgate.testing.upstream", cwd=home, until=r"http://([\d.:]+)/v1") as url:
        yield url[1]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, upstream: str) -> Iterator[Gate]:
    home = tmp_path_factory.mktemp("gate")
    (served,) = [block.text for page in PAGES.values() for block in blocks(page) if block.mark == "served"]
    (home / "aldgate.toml").write_text(served.replace("127.0.0.1:9000", upstream), encoding="utf-8")
    serve = ("-m", "aldgate.cli.main", "serve", "--port", "0", "--data", "data")
    names = {"ALDGATE_ADMIN_KEY": ADMIN_KEY, "ALDGATE_DISCOVERY_LOCAL": "false"}
    with process(*serve, cwd=home, until=r"http://([\d.:]+)", **names) as found:
        yield Gate(found[1], home / "data", upstream)


class Step(NamedTuple):
    """A command and what must come out of it; None: whatever it prints, if it only succeeds."""

    command: str
    shown: str | None
    python: str = ""


def steps(page: str) -> Iterator[Step]:
    for block in blocks(page):
        if block.mark != "executed":
            continue
        if block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command = re.match(r"(?:.*\\\n)*.*\n", part)
                assert command is not None
                yield Step(command[0].strip(), part[command.end() :])
        elif block.language == "python":
            said = re.findall(r"^ *print\(.*\)  # (.*)$", block.text, re.MULTILINE)
            yield Step("python example.py", "\n".join(said) if said else None, block.text)
        else:
            assert block.language == "bash", block.language
            yield Step(block.text.strip(), None)


def shell_script(todo: list[Step], gate: Gate, folder: Path) -> str:
    """All steps in one shell, so that a variable set by one is there for the next; the output of each in a file of its own."""
    lines: list[str] = []
    for number, step in enumerate(todo):
        (folder / f"{number}.py").write_text(gate.there(step.python), encoding="utf-8")
        lines += [f"cp {folder}/{number}.py example.py", f"{{ {gate.there(step.command)}", f"}} >{folder}/{number}.out 2>&1"]
        lines += [f"echo $? >{folder}/{number}.code"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", EXECUTED)
def test_examples_do_what_they_say(name: str, gate: Gate, tmp_path: Path) -> None:
    todo = list(steps(PAGES[name]))
    if shutil.which("curl") is None and any("curl " in step.command for step in todo):
        pytest.skip("curl is not installed")
    for folder in ("bin", "kept", "here"):
        (tmp_path / folder).mkdir()
    for tool, arguments in (("python", ""), ("aldgate", " -m aldgate.cli.main")):
        (tmp_path / "bin" / tool).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{arguments} "$@" </dev/null\n')
        (tmp_path / "bin" / tool).chmod(0o755)
    kept = tmp_path / "kept"
    environment = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "HOME": str(tmp_path),
        "ALDGATE_URL": f"http://{gate.address}",
        "ALDGATE_ADMIN_KEY": ADMIN_KEY,
        "ALDGATE_DATA": str(gate.data),
    }
    script = shell_script(todo, gate, kept)
    subprocess.run(["bash", "-u"], input=script, text=True, cwd=tmp_path / "here", env=environment, timeout=TIMEOUT_S)
    for number, step in enumerate(todo):
        assert (kept / f"{number}.code").exists(), f"the shell ended before `{step.command}`"
        printed = (kept / f"{number}.out").read_text()
        if step.shown is None:
            assert (kept / f"{number}.code").read_text() == "0\n", f"{step.command}\n{printed}"
        else:
            assert fits(gate.there(step.shown), printed), f"$ {step.command}\n{printed}"


def fits(shown: str, printed: str) -> bool:
    """Whether `printed` is what is shown, where `...` is anything. The width of gaps and blank ends do not count."""
    shown, printed = (
        "\n".join(re.sub(" +", " ", line).strip() for line in text.strip().splitlines()) for text in (shown, printed)
    )
    return re.fullmatch(".*".join(map(re.escape, shown.split("..."))), printed, re.DOTALL) is not None
