"""What the Python of the collection may use, and that modules are documented as they are."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import yaml

from tests.meta import tree

if TYPE_CHECKING:
    from pathlib import Path

MODULES = tree.ROOT / "plugins" / "modules"
ACTIONS = tree.ROOT / "plugins" / "action"
SOURCES = sorted(tree.ENGINE.glob("**/*.py"))
PRINTING = ("command",)
NEWER = {"annotationlib", "compression", "tomllib"}
GONE = {
    *(
        "aifc",
        "asynchat",
        "asyncore",
        "audioop",
        "cgi",
        "cgitb",
        "chunk",
        "crypt",
        "distutils",
        "imghdr",
        "imp",
        "mailcap",
    ),
    *(
        "msilib",
        "nis",
        "nntplib",
        "ossaudiodev",
        "pipes",
        "smtpd",
        "sndhdr",
        "spwd",
        "sunau",
        "telnetlib",
        "uu",
        "xdrlib",
    ),
}
NOT_IN_ALL_PYTHONS = NEWER | GONE
"""Of the standard library, what came after Python 3.9 or went before 3.14."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(tree.ENGINE)))
def test_engine_needs_the_standard_library_only(path: Path) -> None:
    """The engine runs on any host, so it imports what Python 3.9 to 3.14 have, and its own modules relatively."""
    foreign = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            foreign += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            foreign.append(str(node.module))
    allowed = sys.stdlib_module_names - NOT_IN_ALL_PYTHONS
    assert [name for name in foreign if name.split(".")[0] not in allowed] == []


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.stem not in PRINTING], ids=lambda path: str(path.relative_to(tree.ENGINE))
)
def test_engine_speaks_through_its_faces(path: Path) -> None:
    """Only the command line and the report print."""
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    assert [call for call in calls if isinstance(call, ast.Name) and call.id == "print"] == []


POINTER = re.compile(r":(?:class|data|func|meth|mod):`~?(\.+)([\w.]+)`")


def pointed_at(path: Path, dots: str, dotted: str) -> bool:
    """Whether what a docstring names relatively is a room, a file, or a word in it."""
    place = path.parents[len(dots) - 1]
    names = dotted.split(".")
    while names and (place / names[0]).is_dir():
        place /= names.pop(0)
    file = place / f"{names[0]}.py" if names else place / "__init__.py"
    return file.is_file() and all(re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")) for name in names[1:2])


@pytest.mark.parametrize("path", sorted(tree.ENGINE.rglob("*.py")), ids=lambda path: str(path.relative_to(tree.ENGINE)))
def test_what_docstrings_point_at_is_there(path: Path) -> None:
    """A file that is renamed takes the words about it along."""
    found = POINTER.findall(path.read_text(encoding="utf-8"))
    assert [dots + dotted for dots, dotted in found if not pointed_at(path, dots, dotted)] == []


def test_programs_are_run_in_one_place() -> None:
    """A time limit and an environment of its own: nothing of the collection starts a program past host/programs.py."""
    plugins = tree.ROOT / "plugins"
    ways = re.compile(
        r"\b(?:import subprocess|from subprocess|os\.(?:system|popen|spawn\w*|exec\w+|posix_spawn\w*)|run_command)\b"
    )
    found = {str(path.relative_to(plugins)) for path in plugins.glob("**/*.py") if ways.search(path.read_text())}
    assert found == {"module_utils/slurmrest/host/programs.py"}


class Captured(Exception):
    """Ends a module where it would start to work."""


def argument_spec(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the module hands to AnsibleModule."""
    module = importlib.import_module(f"ansible_collections.slurmrest.toolkit.plugins.modules.{name}")

    def capture(*_: object, **arguments: Any) -> NoReturn:
        raise Captured(arguments)

    monkeypatch.setattr(module, "AnsibleModule", capture)
    with pytest.raises(Captured) as caught:
        module.main()
    arguments: dict[str, Any] = caught.value.args[0]
    return arguments


def documentation(path: Path) -> dict[str, Any]:
    """Return the parsed DOCUMENTATION, EXAMPLES and RETURN of a module."""
    found = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("DOCUMENTATION", "EXAMPLES", "RETURN"):
                assert isinstance(node.value, ast.Constant)
                found[name] = yaml.safe_load(str(node.value.value))
    return found


def fragments(name: str) -> str:
    """Return what plugins/doc_fragments/NAME.py says."""
    module = importlib.import_module(f"ansible_collections.slurmrest.toolkit.plugins.doc_fragments.{name}")
    text: str = module.ModuleDocFragment.DOCUMENTATION
    return text


def same(documented: dict[str, Any], spec: dict[str, Any], where: str) -> None:
    """Assert that options are documented as they are."""
    assert set(documented) == set(spec), where
    for name, option in spec.items():
        said = documented[name]
        here = f"{where}.{name}"
        assert said.get("description"), here
        for key, otherwise in (
            ("type", "str"),
            ("required", False),
            ("default", None),
            ("elements", None),
            ("choices", None),
        ):
            assert said.get(key, otherwise) == option.get(key, otherwise), f"{here}: {key}"
        same(said.get("suboptions") or {}, option.get("options") or {}, here)


@pytest.mark.parametrize("path", tree.MODULES, ids=lambda path: path.stem)
def test_module_documentation(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three documents parse, and the options are those of the module."""
    documents = documentation(path)
    assert set(documents) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    assert documents["DOCUMENTATION"]["module"] == path.stem
    assert documents["DOCUMENTATION"]["short_description"]
    assert any(f"slurmrest.toolkit.{path.stem}" in task for task in documents["EXAMPLES"])
    arguments = argument_spec(path.stem, monkeypatch)
    options = dict(documents["DOCUMENTATION"].get("options") or {})
    for name in documents["DOCUMENTATION"].get("extends_documentation_fragment", ()):
        collection, _dot, fragment = name.rpartition(".")
        assert collection == "slurmrest.toolkit"
        options.update(yaml.safe_load(fragments(fragment))["options"])
    same(options, arguments["argument_spec"], path.stem)
    assert arguments["supports_check_mode"] is True


@pytest.mark.parametrize("path", tree.MODULES, ids=lambda path: path.stem)
def test_module_is_an_entry_file(path: Path) -> None:
    """Knowledge is in the engine; a module translates."""
    first_code = next(n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef | ast.ClassDef))
    code = path.read_text().splitlines()[first_code.lineno - 1 :]
    assert len(code) <= 120


@pytest.mark.parametrize("path", tree.MODULES, ids=lambda path: path.stem)
def test_what_carries_a_secret_travels_in_private(path: Path) -> None:
    """Without pipelining Ansible puts parameters into files on both sides; plugin_utils/peer.py sees to it."""
    secret = r'"(content|old|new|\w*token)": \{"type": "str", "no_log": True'
    if not re.search(secret, path.read_text(encoding="utf-8")):
        return
    name = f"slurmrest.toolkit.{path.stem}"
    tasks = [file for file in tree.files() if file.startswith(("roles/", "playbooks/")) and file.endswith(".yml")]
    if tree.matches(rf"\b{name}:", tuple(tasks)):
        assert (ACTIONS / path.name).exists(), "a task hands a secret over"
    callers = [text for text in (action.read_text() for action in ACTIONS.glob("*.py")) if f'"{name}"' in text]
    assert callers
    assert [text for text in callers if "_execute_module" in text] == []


def assigned_parameters(source: str) -> list[str]:
    """Return the assignments into a module's parameters, which Ansible shows with its result whatever they hold."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign)]
    aliases = [node.targets for node in nodes if ast.unparse(node.value) == "module.params"]
    known = {"module.params", *(ast.unparse(target) for targets in aliases for target in targets)}
    items = [(node, target) for node in nodes for target in node.targets if isinstance(target, ast.Subscript)]
    return [ast.unparse(node) for node, target in items if ast.unparse(target.value) in known]


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.py")), ids=lambda path: path.stem)
def test_modules_leave_their_parameters_as_they_were_given(path: Path) -> None:
    """A token that a module makes itself is no argument that Ansible censors: in the parameters it would be shown."""
    assert assigned_parameters(path.read_text(encoding="utf-8")) == []


def test_assigned_parameters_are_found() -> None:
    source = "wanted = module.params\nother = dict(module.params)\nwanted['token'] = x\nother['token'] = x\n"
    assert assigned_parameters(source) == ["wanted['token'] = x"]
    assert assigned_parameters("module.params['token'] = x") == ["module.params['token'] = x"]
