"""Which plugins slurmrestd is told to load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PLUGIN_OPTIONS = {"-s": "openapi", "-d": "data_parser", "-a": "rest_auth"}
PLUGIN_VARIABLES = {
    "SLURMRESTD_OPENAPI_PLUGINS": "openapi",
    "SLURMRESTD_DATA_PARSER_PLUGINS": "data_parser",
    "SLURMRESTD_AUTH_TYPES": "rest_auth",
}


def asked_plugins(unit: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Origin, kind and name of each plugin that options and variables of a unit name."""
    named = [
        (PLUGIN_OPTIONS[item["flag"]], item["value"], item["origin"])
        for item in unit["options"]
        if item["flag"] in PLUGIN_OPTIONS
    ]
    for variable, kind in PLUGIN_VARIABLES.items():
        if variable in unit["environment"]:
            named.append((kind, unit["environment"][variable], unit["environment_origins"][variable]))
    for kind, value, origin in named:
        for name in (value or "").split(","):
            plain = name.strip().removeprefix(f"{kind}/").partition("+")[0]
            if plain:
                yield origin, kind, plain
