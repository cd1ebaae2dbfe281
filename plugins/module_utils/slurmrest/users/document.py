"""``slurmrest openapi``: one API version of the document, as generators of clients can use it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..host import files, reading
from ..rest import openapi
from .access import RefusedError

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from .access import Access

    Commands = _SubParsersAction[argparse.ArgumentParser]

HOW_IT_ENDS = """\
exit codes:
  0  the document is there
  1  refused, or nothing answers
  2  bad arguments, or no token

Repairs are named and counted on standard error. Without --repair the document is the daemon's own, cut to one version.

examples:
  %(prog)s --url http://rest:6820 --token-file token --repair --output openapi.json
  %(prog)s --api-version v0.0.42 --repair >openapi.json
"""


def add_command(commands: Commands) -> argparse.ArgumentParser:
    """Add ``openapi`` without the options that say where slurmrestd is, and as whom."""
    parser = commands.add_parser(
        "openapi",
        help="write the OpenAPI document of one API version, repaired for generators",
        description="Write the OpenAPI document of one API version, with what it refers to and nothing else.",
        epilog=HOW_IT_ENDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--repair",
        action="store_true",
        help="mend what OpenAPI 3.0 forbids and what real answers contradict, and say what that was",
    )
    parser.add_argument(
        "--short-names",
        action="store_true",
        help="call schemas job_info instead of v0.0.42_job_info: generators make folders of dots",
    )
    parser.add_argument("--output", metavar="FILE", help="write it there instead of printing it")
    return parser


def _of_one_version(
    access: Access, *, repair: bool, short_names: bool
) -> tuple[str, Mapping[str, Any], tuple[openapi.Repair, ...]]:
    whole = access.document()
    version = access.wanted or (openapi.versions(whole) or ("",))[-1]
    document: Mapping[str, Any] = openapi.one_version(whole, version)
    repairs: tuple[openapi.Repair, ...] = ()
    if repair:
        document, repairs = openapi.repaired(document)
    return version, openapi.short_names(document) if short_names else document, repairs


def written(access: Access, *, repair: bool, short_names: bool, output: str | None) -> dict[str, Any]:
    """Write the document to a file, or to standard output; returns what ``--json`` prints.

    Raises InputError for a version that is not served or a file that cannot be written, RefusedError, ClientError.
    """
    try:
        version, document, repairs = _of_one_version(access, repair=repair, short_names=short_names)
    except InputError:
        raise
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise RefusedError(f"what came as the OpenAPI document of slurmrestd is none ({error!r})") from None
    text = json.dumps(document, indent=2) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            files.write(output, text.encode(), os.geteuid(), os.getegid(), 0o644)
        except reading.UnsafePath as error:
            raise InputError("--output", output, "a file of yours", error.message) from None
        except OSError as error:
            raise InputError("--output", output, "a file that can be written", error.strerror or str(error)) from None
    return {
        "api_version": version,
        "paths": len(document["paths"]),
        "repairs": [{"id": one.id, "count": one.count, "text": one.text, "first": one.first} for one in repairs],
    }
