"""Every role keeps the same shape, and its variables are declared once and described."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from slurmrest.slurmrestd import preflight

from tests.meta import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENTRY_POINTS = [
    (role, name) for role in tree.ROLES for name in tree.load(role / "meta" / "argument_specs.yml")["argument_specs"]
]
PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "path": str,
    "raw": object,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}
NOT_A_TASK_KEYWORD = re.compile(r"^[a-z_]+(\.[a-z_]+)+$")

PLACES = [
    path
    for where in (tree.ROOT / "roles", tree.ROOT / "playbooks")
    for path in sorted(where.rglob("*.*"))
    if path.is_file() and path.parent.name not in ("meta", "defaults") and path.name != "README.md"
]
"""Where something is done with variables."""

each_role = pytest.mark.parametrize("role", tree.ROLES, ids=lambda role: role.name)


def options(role: Path, entry_point: str) -> dict[str, Any]:
    """Return the options of one entry point."""
    spec = tree.load(role / "meta" / "argument_specs.yml")["argument_specs"][entry_point]
    return dict(spec.get("options") or {})


def all_options(role: Path) -> dict[str, Any]:
    """Return the options of all entry points together."""
    return {key: value for other, name in ENTRY_POINTS if other == role for key, value in options(role, name).items()}


def defaults(role: Path) -> dict[str, Any]:
    """Return the variables of defaults/main.yml; a role without variables has no such file."""
    path = role / "defaults" / "main.yml"
    return dict(tree.load(path)) if path.exists() else {}


def is_static(value: object) -> bool:
    """Tell whether a value holds no template."""
    if isinstance(value, dict):
        return all(map(is_static, value.values()))
    if isinstance(value, list):
        return all(map(is_static, value))
    return not (isinstance(value, str) and ("{{" in value or "{%" in value))


def every_option(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (path, option) for each option and those nested in it."""
    for name, option in options.items():
        yield prefix + name, option
        yield from every_option(option.get("options") or {}, f"{prefix}{name}.")


@each_role
@pytest.mark.parametrize("name", ["tasks/main.yml", "meta/argument_specs.yml", "meta/main.yml", "README.md"])
def test_shape(role: Path, name: str) -> None:
    """The files that every role has."""
    assert (role / name).is_file()


@each_role
def test_a_variable_does_something(role: Path) -> None:
    """What can be set, and is described, is named where something is done with it."""
    used = {word for path in PLACES for word in re.findall(r"\b[a-z]\w+\b(?!:)", path.read_text())}
    assert set(defaults(role)) - used == set()


def test_an_option_of_the_unit_is_set_by_its_variable_alone() -> None:
    """What slurmrestd_service writes on the command line is refused in slurmrestd_service_extra_options."""
    variables = tree.load(tree.ROOT / "roles" / "slurmrestd_service" / "vars" / "main.yml")
    flags = re.findall(r"'(--?[a-z-]+)',", variables["__slurmrestd_service_arguments"])
    assert len(flags) > 5
    assert set(flags) <= set(preflight._OTHER_OPTIONS)


@each_role
def test_defaults_are_the_options(role: Path) -> None:
    """What may be set has a default or is required, and the defaults hold nothing else."""
    optional = {name for name, option in all_options(role).items() if not option.get("required")}
    assert set(defaults(role)) == optional


@pytest.mark.parametrize(("role", "entry_point"), ENTRY_POINTS, ids=lambda value: getattr(value, "name", value))
def test_entry_point(role: Path, entry_point: str) -> None:
    """An entry point is a task file; its static defaults are stated equally, and derived ones in words only."""
    assert (role / "tasks" / f"{entry_point}.yml").is_file()
    values = defaults(role)
    for name, option in options(role, entry_point).items():
        if option.get("required"):
            assert "default" not in option, name
        elif is_static(values[name]):
            assert option.get("default") == values[name], name
        else:
            assert "default" not in option, f"{name} is derived: describe its default"


@pytest.mark.parametrize(("role", "entry_point"), ENTRY_POINTS, ids=lambda value: getattr(value, "name", value))
def test_options_are_described_and_typed(role: Path, entry_point: str) -> None:
    """Each option says what it does, and its default is of its type and among its choices."""
    for name, option in every_option(options(role, entry_point)):
        assert option.get("description"), name
        assert option.get("type") in PYTHON_TYPES, name
        assert is_static(option), f"{name}: a spec is data; a template in it would be run"
        assert option["type"] != "list" or "elements" in option, name
        if option.get("default") is not None:
            assert isinstance(option["default"], PYTHON_TYPES[option["type"]]), name
            assert option["default"] in option.get("choices", [option["default"]]), name


@each_role
def test_each_default_says_why(role: Path) -> None:
    """The line above a default is a comment; a required variable stands there as a comment."""
    path = role / "defaults" / "main.yml"
    lines = path.read_text().splitlines() if path.exists() else []
    silent = [line for before, line in pairwise(lines) if line[:1].isalpha() and before[:1] != "#"]
    assert silent == []
    required = [name for name, option in all_options(role).items() if option.get("required")]
    assert [name for name in required if not any(line.startswith(f"# {name}:") for line in lines)] == []


@each_role
def test_variables_carry_the_name_of_a_role(role: Path) -> None:
    """A variable begins with its role's name, or with the project's where several roles share it."""
    assert [name for name in all_options(role) if not name.startswith((f"{role.name}_", "slurmrest_", "slurm_"))] == []


@each_role
def test_roles_use_builtin_and_own_modules_only(role: Path) -> None:
    """ansible-core alone deploys."""
    allowed = ("ansible.builtin.", "slurmrest.toolkit.")

    def modules(node: object) -> Iterator[str]:
        if isinstance(node, list):
            for child in node:
                yield from modules(child)
        elif isinstance(node, dict):
            yield from (key for key in node if NOT_A_TASK_KEYWORD.match(str(key)))
            for section in ("block", "rescue", "always"):
                yield from modules(node.get(section))

    used = {name for path in role.glob("[th]a*s/**/*.yml") for name in modules(tree.load(path))}
    assert used
    assert [name for name in used if not name.startswith(allowed)] == []


TEMPLATES = [path for path in tree.ROOT.glob("roles/*/templates/**/*") if path.is_file()]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_says_who_wrote_the_file(path: Path) -> None:
    """An administrator who opens the file sees that it is managed."""
    assert path.suffix == ".j2"
    assert path.read_text().splitlines()[0] == "{{ ansible_managed | comment }}"


def test_what_is_written_has_an_order() -> None:
    """Ansible's filters on sets give another order in every run: a file that they make would never stay as it is."""
    names = tuple(name for name in tree.files() if name.startswith("roles/slurmrestd_service/") or name.endswith(".j2"))
    assert tree.matches(r"\|\s*(union|intersect|difference|symmetric_difference)\(", names) == []


def test_one_refusal_ends_a_deployment() -> None:
    """Where one of several REST hosts is refused, no controller is restarted for the others."""
    plays = tree.load(tree.ROOT / "playbooks" / "deploy.yml")
    refusing = [play for play in plays if play["name"].startswith("Refuse")]
    assert len(refusing) == 1
    # Of no controller the filter makes an empty text (tests/unit/test_filter_serving.py).
    none = "{{ [] | slurmrest.toolkit.serving_controller({}) | length }}"
    assert [play["max_fail_percentage"] for play in refusing] == [none]


ROOTS_OWN: dict[str, set[str]] = {
    "slurm_packages": {
        "{{ __slurm_packages_place }}",
        "{{ __slurm_packages_place }}/{{ slurm_packages_item | basename }}",
    },
    "slurmrest_gateway": {"{{ __slurmrest_gateway_key_directory }}", "{{ __slurmrest_gateway_run }}"},
    "slurmrest_token": {"{{ slurmrest_token_textfile_directory }}/slurmrest_token.prom"},
}
"""What Ansible's own modules write or remove, by role: directories of root's, and a link that gets no owner or mode."""

FILE_MODULES = re.compile(r"ansible\.builtin\.(assemble|blockinfile|copy|file|get_url|lineinfile|replace|template)")


@each_role
def test_files_where_others_may_own_the_way_are_the_engine_s(role: Path) -> None:
    """Ansible's modules follow a link that another account has put there; host_transaction and its like do not."""

    def touched(node: object) -> Iterator[str]:
        if isinstance(node, list):
            for child in node:
                yield from touched(child)
        elif isinstance(node, dict):
            for key, value in node.items():
                if FILE_MODULES.match(str(key)):
                    yield str(value.get("path") or value.get("dest"))
            for section in ("block", "rescue", "always"):
                yield from touched(node.get(section))

    found = {name for path in role.glob("[th]a*s/**/*.yml") for name in touched(tree.load(path))}
    assert found == ROOTS_OWN.get(role.name, set())


COMMANDS = re.compile(r"ansible\.builtin\.(command|shell|raw|script|expect)")


@each_role
def test_programs_of_tasks_have_a_time_limit(role: Path) -> None:
    """Ansible waits for ever for a program; the engine has limits (module_utils/slurmrest/host/programs.py)."""
    shared = {
        name: str(value)
        for path in tree.ROOT.glob("roles/*/vars/main.yml")
        for name, value in (tree.load(path) or {}).items()
    }

    def run(node: object) -> Iterator[str]:
        if isinstance(node, list):
            for child in node:
                yield from run(child)
        elif isinstance(node, dict):
            yield from (str(value) for key, value in node.items() if COMMANDS.match(str(key)))
            for section in ("block", "rescue", "always"):
                yield from run(node.get(section))

    for text in (text for path in role.glob("[th]a*s/**/*.yml") for text in run(tree.load(path))):
        named = [shared[name] for name in re.findall(r"__\w+", text) if name in shared]
        assert any(re.search(r"\btimeout\b", one) for one in [text, *named]), text
