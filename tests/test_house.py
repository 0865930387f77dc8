"""Does the house keep its own rules?

Each rule is a function from a source file to complaints; a test walks the files, another plants a breach
and expects to hear of it. Exceptions to a rule are rows of docs/floors.md, each with its reason.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mss.model.verdict import Reason
from tests.kit import programs, settings_page
from tests.kit.reading import (
    CHECKOUT,
    Source,
    dotted,
    inside_functions,
    names_in,
    normal,
    parsed,
    pins,
    pyproject,
    sources,
    table,
    text_of,
    tracked,
)

FILE_LINES_MAX = 400  # more is two ideas
FUNCTION_LINES_MAX = 60  # a screen, docstring included
BROAD = {"Exception", "BaseException"}
# Time and chance are arguments (mss/model/clock.py). time.perf_counter measures and decides nothing.
AMBIENT = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns",
    "time.monotonic", "secrets.token_bytes", "secrets.token_hex", "secrets.token_urlsafe", "secrets.randbelow",
    "secrets.choice", "os.urandom", "uuid.uuid1", "uuid.uuid4", "random.random", "random.randint", "random.choice",
}  # fmt: skip
IMPURE = {"asyncio", "socket", "ssl", "select", "threading", "subprocess", "time", "sqlite3", "sqlalchemy", "aiohttp"}
# Somebody's machine: in code or prose such a path is true nowhere else.
MACHINE_PATH = re.compile(r"(?<![\w.}-])/(?:home|Users|root|work|tmp|mnt)/\w")
REASON_BESIDE = re.compile(r"#.*— \S.{4,}")  # "as above" is the shortest honest one
EDGES = {row[0] for row in table("docs/floors.md", "May catch everything")}
WALL_WATCHERS = {(row[0], row[1]): row[2] for row in table("docs/floors.md", "May look at the wall")}
HOMES = {
    row[0]: (set(row[1].split(", ")), set(row[2].partition(":")[0].split(", ")))
    for row in table("docs/floors.md", "Libraries at home")
}
PURE_FILES = {row[0] for row in table("docs/floors.md", "Pure files")}
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + "X)\\b")


Rule = Callable[[Source], Iterator[str]]


def says_what_it_is(source: Source) -> Iterator[str]:
    """A module starts with the question that it answers."""
    if not ast.get_docstring(source.tree):
        yield f"{source.path}: no docstring at its head"


def fits_a_reader(source: Source) -> Iterator[str]:
    """A file is one idea, a function one screen."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{source.path}: {lines} lines, more than {FILE_LINES_MAX}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{source.path}: {node.name} has {length} lines, more than {FUNCTION_LINES_MAX}"


def catches_what_it_names(source: Source) -> Iterator[str]:
    """Whoever catches everything hides the next fault: only edges may, each time with its reason beside it."""
    lines = source.text.splitlines()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            swallows = not isinstance(node.body[-1], ast.Raise)
            is_broad = node.type is None or bool(BROAD & names_in(node.type))
        elif isinstance(node, ast.Call) and dotted(node.func) in ("suppress", "contextlib.suppress"):
            swallows, is_broad = True, any(BROAD & names_in(argument) for argument in node.args)
        else:
            continue
        if not (swallows and is_broad):
            continue
        if source.path not in EDGES:
            yield f"{source.path}:{node.lineno}: catches everything and is no edge (docs/floors.md lists who may)"
        elif not REASON_BESIDE.search(lines[node.lineno - 1]):
            yield f"{source.path}:{node.lineno}: catches everything; say why on that line, after a dash"


def speaks_through_the_journal(source: Source) -> Iterator[str]:
    """Only the command line writes to the terminal."""
    if source.path.startswith("mss/cli/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("print", "sys.stdout.write", "sys.stderr.write"):
            yield f"{source.path}:{node.lineno}: prints"


def is_told_time_and_chance(source: Source) -> Iterator[str]:
    """A day can be replayed in a second only if nobody looks at the wall."""
    for function, node in inside_functions(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if ".".join(name.split(".")[-2:]) in AMBIENT and (source.path, function) not in WALL_WATCHERS:
            yield f"{source.path}:{node.lineno}: {name} (a Clock or a Chance is an argument)"


def keeps_libraries_at_home(source: Source) -> Iterator[str]:
    """A library with a large surface is known in one place; elsewhere a name or two of it, as a type."""
    room = Path(source.path).parts[1]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            imported = [(alias.name.split(".")[0], "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported = [(node.module.split(".")[0], alias.name) for alias in node.names]
        else:
            continue
        for library, name in imported:
            home, visible = HOMES.get(library, ({room}, set()))
            if room not in home and name not in visible:
                yield f"{source.path}:{node.lineno}: {library} lives in {', '.join(sorted(home))}"


def is_finished(source: Source) -> Iterator[str]:
    """What is not done is an issue, not a remark."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if UNFINISHED.search(line):
            yield f"{source.path}:{number}: unfinished"


def is_pure_if_starred(source: Source) -> Iterator[str]:
    """Judges, parsers and composers: no socket, clock, database, file or event loop."""
    if source.path not in PURE_FILES and not source.path.startswith(("mss/formats/", "mss/model/")):
        return
    if source.path == "mss/model/clock.py":  # where the clock itself lives
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            imported = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {(node.module or "").split(".")[0]}
        elif isinstance(node, ast.Call) and dotted(node.func) == "open":
            imported = {"open"}
        else:
            continue
        for name in sorted(imported & (IMPURE | {"open"})):
            yield f"{source.path}:{node.lineno}: a pure file uses {name}"


RULES: tuple[Rule, ...] = (
    says_what_it_is,
    fits_a_reader,
    catches_what_it_names,
    speaks_through_the_journal,
    is_told_time_and_chance,
    keeps_libraries_at_home,
    is_finished,
    is_pure_if_starred,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule) -> None:
    """Every file of mss/ keeps every rule."""
    complaints = [complaint for source in sources("mss") for complaint in rule(source)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    ("rule", "path", "planted"),
    [
        (says_what_it_is, "mss/mail/intake.py", "x = 1\n"),
        (fits_a_reader, "mss/mail/intake.py", "x = 1\n" * (FILE_LINES_MAX + 1)),
        (fits_a_reader, "mss/mail/intake.py", "async def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX),
        (catches_what_it_names, "mss/mail/intake.py", "try:\n    f()\nexcept:\n    pass\n"),
        (catches_what_it_names, "mss/mail/intake.py", "try:\n    f()\nexcept (OSError, Exception):\n    log()\n"),
        (catches_what_it_names, "mss/mail/intake.py", "with contextlib.suppress(Exception):\n    f()\n"),
        (speaks_through_the_journal, "mss/mail/intake.py", "print('received')\n"),
        (is_told_time_and_chance, "mss/mail/intake.py", "import datetime\nnow = datetime.datetime.now()\n"),
        (is_told_time_and_chance, "mss/mail/intake.py", "import os\nkey = os.urandom(32)\n"),
        (keeps_libraries_at_home, "mss/record/service.py", "import sqlalchemy\n"),
        (keeps_libraries_at_home, "mss/record/service.py", "from sqlalchemy import Connection, select\n"),
        (is_finished, "mss/mail/intake.py", "# TO" + "DO: later\n"),
        (is_pure_if_starred, "mss/mail/policy.py", "import socket\n"),
        (is_pure_if_starred, "mss/formats/xdm.py", "from sqlalchemy import select\n"),
        (is_pure_if_starred, "mss/record/access.py", "text = open('rights').read()\n"),
    ],
)
def test_a_broken_rule_is_heard(rule: Rule, path: str, planted: str) -> None:
    """A rule that never complains protects nobody."""
    assert list(rule(Source(path, planted)))


def test_a_type_of_a_library_may_be_seen_elsewhere() -> None:
    """A unit of work is handed its Connection; naming that type builds no statement."""
    assert not list(keeps_libraries_at_home(Source("mss/record/service.py", "from sqlalchemy import Connection\n")))


def test_a_catch_that_raises_again_is_no_breach() -> None:
    """Cleaning up and passing the error on hides nothing."""
    tidy = "try:\n    f()\nexcept BaseException:\n    close()\n    raise\n"
    assert not list(catches_what_it_names(Source("mss/mail/intake.py", tidy)))


@pytest.mark.parametrize(
    ("line", "is_heard"),
    [
        ("except Exception:", True),
        ("except Exception:  # noqa: BLE001", True),
        ("except Exception:  # noqa: BLE001 — whoever waits must be answered", False),
    ],
)
def test_an_edge_says_why_it_catches_everything(line: str, is_heard: bool) -> None:
    """Being on the list is no licence to be silent about it."""
    source = Source(sorted(EDGES)[0], f"try:\n    f()\n{line}\n    log()\n")
    assert bool(list(catches_what_it_names(source))) is is_heard


def test_exceptions_to_the_rules_are_real_and_explained() -> None:
    """A row of docs/floors.md names what exists, and says why it may."""
    assert not [path for path in EDGES if not (CHECKOUT / path).is_file()], "remove the rows of files that are gone"
    for (path, function), reason in WALL_WATCHERS.items():
        names = {name for name, _ in inside_functions(parsed((CHECKOUT / path).read_text(encoding="utf-8")))}
        assert function in names, f"{path}: no {function}; remove its row"
        assert reason, f"{path}, {function}: say why"


def test_every_test_file_says_what_it_is() -> None:
    """Tests are read by people who wonder what is promised. An empty file promises nothing."""
    written = [source for source in sources("tests", "certs") if source.text.strip()]
    complaints = [complaint for source in written for complaint in says_what_it_is(source)]
    assert not complaints, "\n".join(complaints)


def test_the_floors_hold() -> None:
    """Higher imports lower, neighbours never import each other, every package has a floor."""
    done = _lint_imports(CHECKOUT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("mss/model/planted.py", "import mss.store\n"),
        ("mss/model/planted.py", "import aiosmtpd\n"),
        ("mss/attic/__init__.py", ""),
    ],
    ids=["upward", "foreign library", "package without a floor"],
)
def test_a_staircase_that_goes_up_is_refused(tmp_path: Path, path: str, planted: str) -> None:
    """The import contracts notice what they are there for."""
    shutil.copytree(CHECKOUT / "mss", tmp_path / "mss", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(planted)
    assert _lint_imports(tmp_path).returncode == 1


def test_the_page_of_floors_shows_the_floors_that_are_enforced() -> None:
    """docs/floors.md and pyproject.toml tell the same order."""
    page = (CHECKOUT / "docs/floors.md").read_text(encoding="utf-8")
    drawn = re.search(r"```floors\n(.*?)```", page, re.DOTALL)
    assert drawn
    layers = pyproject()["tool"]["importlinter"]["contracts"][0]["layers"]
    assert drawn.group(1).split("\n")[:-1] == [re.sub(r"[()]", "", layer) for layer in layers]


def test_every_reason_is_explained() -> None:
    """Whoever reads a reason in a list or a log finds what it means and what to do; once, and no dead rows."""
    explained = [row[0] for row in table("docs/reasons.md", "")]
    assert sorted(explained) == sorted(reason.value for reason in Reason)


def test_the_page_of_settings_is_current() -> None:
    """docs/configuration.md tells the settings that the code reads. `make pages` writes it anew."""
    assert settings_page.PAGE.read_text(encoding="utf-8") == settings_page.render(), "run `make pages`"


def test_every_dependency_has_its_line() -> None:
    """docs/decisions/0003 says why each dependency is there, and names none that is not."""
    decided = {normal(row[0]) for row in table("docs/decisions/0003-dependencies.md", "Runtime")}
    project = pyproject()["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    assert decided == {normal(requirement) for requirement in wanted}


@pytest.mark.parametrize("lock", ["core", "dev"])
def test_a_lock_pins_by_hash_and_names_no_host(lock: str) -> None:
    """What is installed is what was tried, wherever it is downloaded from."""
    text = (CHECKOUT / f"requirements/{lock}.lock").read_text(encoding="utf-8")
    for unwanted in ("://", "--index-url", "--extra-index-url", "--find-links", "--trusted-host"):
        assert unwanted not in text
    pinned = pins(text)
    assert pinned
    assert not [name for name, line in pinned.items() if "--hash=sha256:" not in line]


def test_the_locks_agree_and_are_complete() -> None:
    """Developers run what users run; nothing in pyproject.toml is left to chance."""
    core, dev = (pins((CHECKOUT / f"requirements/{name}.lock").read_text(encoding="utf-8")) for name in ("core", "dev"))
    differing = [name for name, pin in core.items() if dev.get(name) != pin]
    assert not differing
    assert {normal(requirement) for requirement in pyproject()["project"]["dependencies"]} <= core.keys()


def test_no_text_names_somebodys_machine() -> None:
    """A path of the author's machine is wrong on every other."""
    found = [
        f"{path}: {line.strip()[:80]}"
        for path in tracked()
        if (text := text_of(path)) and not path.startswith("requirements/")
        for line in text.splitlines()
        if MACHINE_PATH.search(line)
    ]
    assert not found, "\n".join(found)


def test_links_of_the_pages_lead_somewhere() -> None:
    """A reader who follows a link arrives."""
    dead = [
        f"{path} → {target}"
        for path in tracked()
        if path.endswith(".md")
        for target in re.findall(r"\]\(([^)#\s]+)", text_of(path) or "")
        if "://" not in target and not target.startswith("mailto:")
        if not (CHECKOUT / path).parent.joinpath(target).exists()
    ]
    assert not dead, "\n".join(dead)


@pytest.mark.skipif(not (CHECKOUT / "mss/assembly").is_dir(), reason="rooms are still being built")
def test_the_journey_names_what_exists() -> None:
    """Prose and code are in the same order; who follows the page finds each file, and in it the function named."""
    page = (CHECKOUT / "docs/journey.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_]+(?:/[a-z0-9_]+)*\.py)(?:: ([a-z_A-Z]+))?`", page))
    assert named
    lost = []
    for path, function in sorted(named):
        code = text_of(f"mss/{path}") if (CHECKOUT / "mss" / path).is_file() else None
        if code is None or (function and f"def {function}(" not in code):
            lost.append(f"{path} {function}")
    assert not lost, f"docs/journey.md names what does not exist: {lost}"


def test_the_package_script_brings_what_the_tests_require() -> None:
    """tests/kit/system-packages.sh and tests/kit/programs.py know the same programs."""
    script = (CHECKOUT / "tests/kit/system-packages.sh").read_text(encoding="utf-8")
    assert dict(re.findall(r"^([A-Za-z]+)\|([a-z0-9-]+)\|", script, re.MULTILINE)) == programs.PACKAGES


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    lint = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([lint, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, timeout=60)
