"""The house of docs/architecture.md: storeys, names, sizes, and what must not be in the repository.

Each rule is a function that returns what breaks it, and is itself tried on something that does.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

STOREYS = (
    ("cli",),
    ("mount",),
    ("views",),
    ("pipeline",),
    ("recognise",),
    ("catalog",),
    ("vault",),
    ("remote",),
    ("crypto",),
    ("model",),
    ("errors",),
    ("__init__",),
)
"""From the roof to the cellar. A module imports from its own storey and from below."""

ONLY_IN = {
    "pyfuse3": "mount",
    "lmdb": "catalog",
    "click": "cli",
    "ai_edge_litert": "recognise",
    "tflite_runtime": "recognise",
    "google": "recognise",
    "PIL": "recognise",
    "pillow_heif": "recognise",
    "mnemonic": "vault",
    "dropbox": "remote",
    "requests": "remote",
}
"""Libraries that stand behind one door: replacing one touches one room."""

IN_ONE_THREAD_OF_THOUGHT = {"asyncio", "trio", "threading", "socket", "subprocess", "pathlib", "os"}
"""What the pure storey does without: no I/O, no waiting."""

LONGEST_MODULE = 400
NO_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}


def modules() -> list[Path]:
    """Return every module of tagfs."""
    return sorted((ROOT / "tagfs").rglob("*.py"))


def sources() -> list[Path]:
    """Return every file of the repository that git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:  # a copy without its history
        hidden = {".git", ".venv", "__pycache__"}
        paths = [p for p in ROOT.rglob("*") if not any(_is_cache(n, hidden) for n in p.parts)]
    return sorted(path for path in paths if path.is_file())


def _is_cache(part: str, hidden: set[str]) -> bool:
    return part in hidden or part.endswith(("_cache", ".egg-info")) or part == ".hypothesis"


def room(module: str) -> str:
    """Return the room of a dotted module name: tagfs.crypto.kdf is in crypto."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def storey(of: str) -> int:
    """Return how far below the roof a room is."""
    for number, rooms in enumerate(STOREYS):
        if of in rooms:
            return number
    raise AssertionError(f"the room {of} has no storey: add it to STOREYS")


def dotted(path: Path) -> str:
    """Return the name that a file is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(name: str, source: str, is_package: bool = False) -> Iterator[str]:
    """Yield the dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = name.split(".")[: (1 if is_package else 0) - node.level or None]
                base = ".".join([*above, *filter(None, [base])])
            # ``from tagfs import remote`` names a room only together with what it imports.
            yield from (f"{base}.{alias.name}" for alias in node.names)


def climbs(name: str, imported: Iterable[str]) -> list[str]:
    """Return the imports of a module that lead to a higher storey."""
    mine = storey(room(name))
    return [
        other
        for other in imported
        if other.split(".")[0] == "tagfs"
        and not other.startswith("tagfs.__")
        and storey(room(other)) < mine
    ]


def strays(name: str, imported: Iterable[str]) -> list[str]:
    """Return the libraries that a module imports outside the room that they belong to."""
    return [
        other
        for other in imported
        if ONLY_IN.get(other.split(".")[0], room(name)) != room(name)
        or (room(name) == "crypto" and other.split(".")[0] in IN_ONE_THREAD_OF_THOUGHT)
    ]


def everybody() -> list[tuple[str, list[str]]]:
    """Return each module with its imports."""
    return [
        (dotted(path), list(imports(dotted(path), path.read_text(), path.stem == "__init__")))
        for path in modules()
    ]


def test_no_module_imports_from_a_storey_above_its_own() -> None:
    assert {name: up for name, found in everybody() if (up := climbs(name, found))} == {}


def test_libraries_stay_in_their_room() -> None:
    assert {name: out for name, found in everybody() if (out := strays(name, found))} == {}


def test_the_rules_for_imports_can_be_broken() -> None:
    source = (
        "import trio\nfrom tagfs import views\nfrom tagfs.model import Part\n"
        "def f():\n    from ..mount import handles\n"
    )
    found = list(imports("tagfs.crypto.kdf", source))
    assert climbs("tagfs.crypto.kdf", found) == ["tagfs.views", "tagfs.mount.handles"]
    assert strays("tagfs.crypto.kdf", found) == ["trio"]
    assert strays("tagfs.views.tree", ["lmdb"]) == ["lmdb"]
    assert climbs("tagfs.model", ["tagfs.crypto.kdf"]) == ["tagfs.crypto.kdf"]
    assert climbs("tagfs.cli.main", found) == []


def test_every_library_that_is_imported_is_declared_and_explained() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    optional = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for lines in optional.values() for line in lines)]
    declared = {re.split(r"[<>=\[; ]", line)[0].lower() for line in wanted}
    called = {"PIL": "pillow", "ai_edge_litert": "ai-edge-litert", "pillow_heif": "pillow-heif"}
    called["google"] = "protobuf"  # google.protobuf; nothing else of that name is used
    explained = (ROOT / "docs/dependencies.md").read_text().lower()
    accepted = {"tflite_runtime"}  # where it is installed instead of ai_edge_litert
    imported = {other.split(".")[0] for _, found in everybody() for other in found}
    others = {n for n in imported - accepted if n not in sys.stdlib_module_names and n != "tagfs"}
    assert {called.get(name, name).lower() for name in others} <= declared
    assert {name for name in declared if f"`{name}`" not in explained} == set()
    locked = (ROOT / "requirements/test.txt").read_text()
    assert {name for name in declared if not re.search(rf"(?m)^{name}==", locked)} == set()


def test_no_module_is_called_by_a_name_that_says_nothing() -> None:
    vague = [
        p for p in sources() if p.suffix == ".py" and NO_NAMES & set(re.split(r"[_.]", p.name))
    ]
    assert vague == []


def test_modules_can_be_read_at_one_sitting() -> None:
    lengths = {dotted(path): len(path.read_text().splitlines()) for path in modules()}
    assert {n: lines for n, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_every_module_says_in_its_first_sentence_what_it_is() -> None:
    silent = []
    for path in modules():
        if not path.read_text().strip():
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        first = docstring.split("\n\n")[0]
        if not re.search(r"[.:]$", first) or len(first) < 20:
            silent.append(dotted(path))
    assert silent == []


# Written in pieces, so that this file does not break its own rules.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.$}~*/])/(?:"
    "work|root|opt|mnt"
    r")/\w|/home/[a-z]+\w*/",
    "a host of a package registry": r"(?:" + r"py" + r"pi|pythonhosted|npmjs|deb\.debian|"
    r"security\.debian|archive\.ubuntu)" + r"\.(?:org|com|net)",
    "a password or key": r"-----BEGIN [A-Z ]*PRIVATE " + "KEY",
    "a paper that is not in the repository": r"\b(?:" + "facts|design|style|contracts" + r")\.md\b",
}


def breaches(text: str) -> list[str]:
    """Return what a text says that the repository must not."""
    return [what for what, pattern in FORBIDDEN.items() if re.search(pattern, text)]


def test_nothing_of_one_machine_is_in_the_repository() -> None:
    found = {}
    for path in sources():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if told := breaches(text):
            found[str(path.relative_to(ROOT))] = told
    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        "see " + "/wo" + "rk/main",
        "--index-url https://" + "py" + "pi.org/simple",
        "as fac" + "ts.md says",
        "HOME=/ho" + "me/anna/x",
        "-----BEGIN PRIVATE K" + "EY-----",
    ],
)
def test_the_rules_for_texts_can_be_broken(text: str) -> None:
    assert breaches(text)


def test_the_rules_for_texts_leave_ordinary_ones_alone() -> None:
    for text in ("cp -r ~/Pictures/root/x y", "/usr/bin/python3", "$HOME/work/x", "docs/format.md"):
        assert breaches(text) == []


def named_tests(text: str) -> set[str]:
    """Return the tests and files of tests that a text names in backquotes."""
    quoted = " ".join(re.findall(r"`([^`]+)`", text))
    return set(re.findall(r"\btest_\w+", quoted))


def test_every_test_that_the_documents_name_is_there() -> None:
    there = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    for path in (ROOT / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    assert named_tests("`tests/a/test_x.py::test_y`, `…::test_z`, test_not") == {
        "test_x",
        "test_y",
        "test_z",
    }
    for document in sorted((ROOT / "docs").glob("*.md")):
        assert named_tests(document.read_text()) - there == set(), document.name
