#!/usr/bin/env python3
"""Draw the engine as rooms and arrows, from its imports: numbers, and the picture in docs/architecture.md.

A room is what lies directly in plugins/module_utils/slurmrest: a package, or a file beside the packages. An arrow goes
from a room to one that it imports, wherever the import stands: Ansible ships a file for an import inside a function or
under TYPE_CHECKING, too. A floor is one more than the highest floor below. What enters the engine stands on top.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
ENGINE = Path("plugins", "module_utils", "slurmrest")
ENTRIES = ("plugins/modules", "plugins/action", "plugins/filter", "src/slurmrest_toolkit")
"""Folders whose files enter the engine, each drawn as one room."""

Graph = dict[str, set[str]]
"""From each name to those that it imports."""


class UnknownImportError(Exception):
    """An import of the engine that leads nowhere; the message names file and line."""


@dataclass(frozen=True)
class Module:
    """One file: its dotted name below the engine ("" is the engine itself), and where it is."""

    name: str
    path: Path

    @property
    def package(self) -> str:
        """The dotted name that a relative import of this file starts from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


def modules(engine: Path) -> dict[str, Module]:
    """Return the files of the engine by dotted name."""
    found = {}
    for path in sorted(engine.rglob("*.py")):
        parts = path.relative_to(engine).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


def engine_name(node: ast.ImportFrom, package: str | None) -> str | None:
    """Return what an import statement is from, as a dotted name below the engine; None for anything else.

    Args:
        node: the statement.
        package: dotted name of the package it stands in; None outside the engine.
    """
    module = node.module or ""
    if package is not None and node.level:
        parts = package.split(".") if package else []
        above = parts[: len(parts) - node.level + 1]
        return ".".join([*above, *([module] if module else [])])
    # From outside: slurmrest.jwt, or ..module_utils.slurmrest.jwt of a plugin.
    head, found, rest = f".{module}.".partition(".slurmrest.")
    if not found or (package is None and head not in ("", ".module_utils")):
        return None
    return rest.strip(".")


def imports(path: Path, package: str | None, known: Mapping[str, Module]) -> Iterator[str]:
    """Yield the dotted names of the engine's files that a file imports.

    Raises UnknownImportError where there is no such file.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        name = engine_name(node, package)
        if name is None:
            continue
        if name not in known:
            message = f"{path}:{node.lineno}: there is no {name!r} in the engine"
            raise UnknownImportError(message)
        inside = {f"{name}.{alias.name}".lstrip(".") for alias in node.names}
        yield from inside & known.keys()
        if inside - known.keys():
            yield name


def files(root: Path) -> Graph:
    """Return the engine's files with what each imports; a package that only holds its docstring is not among them."""
    known = modules(root / ENGINE)
    graph = {name: set(imports(module.path, module.package, known)) - {name} for name, module in known.items()}
    imported = set().union(*graph.values())
    return {
        name: found
        for name, found in graph.items()
        if known[name].path.name != "__init__.py" or found or name in imported
    }


def rooms(graph: Graph) -> Graph:
    """Return the same by room; what a room imports of itself is no arrow."""
    found: Graph = {}
    for name, imported in graph.items():
        room = name.partition(".")[0]
        found.setdefault(room, set()).update(other.partition(".")[0] for other in imported)
    return {room: others - {room} for room, others in found.items()}


def entries(root: Path) -> Graph:
    """Return the folders that enter the engine with the rooms they import."""
    known = modules(root / ENGINE)
    found = {
        folder: {
            name.partition(".")[0]
            for path in sorted((root / folder).rglob("*.py"))
            for name in imports(path, None, known)
        }
        for folder in ENTRIES
    }
    return {folder: imported for folder, imported in found.items() if imported}


def shipped(root: Path) -> dict[str, dict[str, int]]:
    """Return what Ansible puts beside each module for a host: bytes of the engine's files, by their dotted names.

    Wholly, whatever a module uses of them, with the packages that they are in; the module itself is not counted, and
    nothing of Ansible's own.
    """
    known = modules(root / ENGINE)
    graph = {name: set(imports(module.path, module.package, known)) for name, module in known.items()}
    found = {}
    for path in sorted((root / ENTRIES[0]).glob("*.py")):
        taken: set[str] = set()
        for name in imports(path, None, known):
            taken |= {name} | reachable(graph, name)
        taken |= {above for name in taken for above in packages(name)}
        found[path.stem] = {name or "slurmrest": known[name].path.stat().st_size for name in sorted(taken)}
    return found


def packages(name: str) -> set[str]:
    """Return the dotted names of all that a file is in; "" is the engine itself."""
    parts = name.split(".")
    return {".".join(parts[:length]) for length in range(len(parts))}


def reachable(graph: Graph, start: str) -> set[str]:
    """Return all that a name imports, directly or through others; itself only on a circle."""
    seen: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return seen


def circles(graph: Graph) -> list[list[str]]:
    """Return the groups of names that import each other in a circle."""
    below = {name: reachable(graph, name) for name in graph}
    groups = {
        tuple(sorted(other for other in below[name] if name in below[other])) for name in graph if name in below[name]
    }
    return sorted(map(list, groups))


def floors(graph: Graph) -> dict[str, int]:
    """Return the floor of each name, 1 for what imports nothing; a circle stands on one floor."""
    below = {name: reachable(graph, name) for name in graph}
    found: dict[str, int] = {}
    for name in sorted(graph, key=lambda name: len(below[name] - {name})):
        lower = [found[other] for other in below[name] if name not in below[other] and other in found]
        found[name] = 1 + max(lower, default=0)
    return found


def layers(root: Path) -> list[set[str]]:
    """Return the declared floors, the highest first, from the contract in pyproject.toml; none where it has none."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"].get("importlinter", {}).get("contracts", [])
    declared: list[str] = next((contract["layers"] for contract in contracts if contract["type"] == "layers"), [])
    return [set(layer.replace("|", " ").replace(":", " ").split()) for layer in declared]


def upward(graph: Graph, declared: Sequence[set[str]]) -> list[str]:
    """Return the arrows that go to the same or a higher declared floor, as "room -> room"."""
    height = {room: -number for number, layer in enumerate(declared) for room in layer}
    arrows = ((room, other) for room, found in graph.items() for other in found)
    return sorted(
        f"{room} -> {other}"
        for room, other in arrows
        if room in height and other in height and height[other] >= height[room]
    )


def essential(graph: Graph) -> Graph:
    """Return the arrows that no other path implies."""
    return {
        name: {other for other in found if not any(other in reachable(graph, third) for third in found - {other})}
        for name, found in graph.items()
    }


def count(graph: Graph) -> tuple[int, int, int, int]:
    """Return how many names, floors, arrows and circles there are."""
    return len(graph), max(floors(graph).values(), default=0), sum(map(len, graph.values())), len(circles(graph))


def numbers(root: Path) -> str:
    """Return the lines that say how the engine is built."""
    by_file = files(root)
    by_room = rooms(by_file)
    lines = [
        "{:<6} {:>3} on {:>2} floors, {:>3} arrows, {} circles".format(what, *count(graph))
        for what, graph in (("rooms", by_room), ("files", by_file))
    ]
    lines += [f"circle: {' '.join(names)}" for graph in (by_room, by_file) for names in circles(graph)]
    declared = layers(root)
    climbing = upward(by_room, declared)
    lines += [f"arrows upward: {len(climbing) if declared else 'no floors are declared'}", *climbing]
    return "\n".join(lines)


def purpose(root: Path, room: str) -> str:
    """Return the first line of a room's docstring."""
    module = modules(root / ENGINE)[room]
    words = ast.get_docstring(ast.parse(module.path.read_text(encoding="utf-8"))) or ""
    return words.partition("\n")[0]


def picture(root: Path) -> str:
    """Return the block of docs/architecture.md: numbers, picture, and a line for each room."""
    graph = rooms(files(root))
    everything = {**graph, **entries(root)}
    height = floors(graph)
    top = max(height.values()) + 1
    said = "{} rooms on {} floors, {} arrows, {} circles.".format(*count(graph))
    lines = [
        f"{said} An arrow that a longer way implies is not drawn.",
        "",
        "```mermaid",
        "flowchart TD",
    ]
    for floor in range(top, 0, -1):
        names = sorted(name for name in everything if height.get(name, top) == floor)
        lines += [f'  subgraph floor{floor}["{"what enters" if floor == top else f"floor {floor}"}"]']
        lines += [f'    {node(name)}["{name}"]' for name in names]
        lines += ["  end"]
    lines += [
        f"  {node(name)} --> {node(o)}" for name, found in sorted(essential(everything).items()) for o in sorted(found)
    ]
    lines += ["```", "", "| room | what it holds | imports |", "| --- | --- | --- |"]
    for name in sorted(graph, key=lambda name: (height[name], name)):
        lines += [f"| `{name}` | {purpose(root, name)} | {', '.join(sorted(graph[name])) or 'nothing'} |"]
    return "\n".join(lines)


def node(name: str) -> str:
    """Return a name as Mermaid takes it for a node."""
    return "room_" + name.replace("/", "_")


def main(argv: Sequence[str]) -> int:
    """Print the numbers; 1 where a circle or an arrow upward is among them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--picture", action="store_true", help="print the picture, too")
    parser.add_argument("--shipped", action="store_true", help="print what each Ansible module ships to hosts instead")
    parser.add_argument("--root", type=Path, default=ROOT, help="another tree to draw (this one)")
    arguments = parser.parse_args(argv)
    if arguments.shipped:
        for name, sizes in shipped(arguments.root).items():
            print(f"{name:<21} {len(sizes):>3} files {sum(sizes.values()):>7} bytes")
        return 0
    print(numbers(arguments.root))
    if arguments.picture:
        print(picture(arguments.root))
    by_file = files(arguments.root)
    wrong = circles(by_file) or circles(rooms(by_file)) or upward(rooms(by_file), layers(arguments.root))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
