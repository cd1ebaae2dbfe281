"""The commands of a cluster's users: ``slurmrest token``, ``slurmrest submit`` and ``slurmrest job``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import posixpath
import pwd
import re
import signal
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..auth import bearer, jwt
from ..auth import minting as tokens
from ..command.token_options import UsageError, token_from_environment, token_from_file, user_in
from ..errors import InputError, SlurmrestError
from ..rest.client import ALLOWED, DEFAULT_TIMEOUT, ClientError, Credentials, Target
from ..rest.payloads import job_submission
from ..slurmrestd.address import DEFAULT_PORT
from . import batch, document
from .access import Access, RefusedError
from .jobs import Job, cancel, follow, listing, records, signal_name, submit

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    Commands = _SubParsersAction[argparse.ArgumentParser]

OK, FAILED, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 130
TOKEN_VARIABLE = "SLURM_JWT"  # noqa: S105 - the name of a variable
URL_VARIABLE = "SLURMREST_URL"
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
LIST_TIMEOUT = 120.0  # seconds; 10,000 jobs took 34
_MAX_SCRIPT = 4 * 1024 * 1024  # bytes; Slurm's own default bound (max_script_size)

HOW_TOKENS_END = """\
exit codes:
  0  there is a token; inspect: it can be used
  1  no token was to be had; inspect: it has expired, names no user, or has a bad signature
  2  bad arguments, or inspect was given no token

examples:
  %(prog)s --output ~/.slurm-token            for oneself, half an hour, into a private file
  export $(%(prog)s)                          into the environment, as with scontrol token
  %(prog)s --header --output ~/.slurm-header  for: curl -H @$HOME/.slurm-header …
  sudo %(prog)s --key-file KEY --user alice   signed with the key, on the host that has it
  %(prog)s inspect --token-file ~/.slurm-token
"""
HOW_JOBS_END = """\
exit codes:
  0  submitted; with --wait: COMPLETED
  1  refused, or nothing answers
  2  bad arguments, an unusable script, or no token
  130  interrupted; with --wait: the job goes on
  with --wait also the job's result:
  N    the exit code of the script      128+N  the script was ended by signal N
  124  its time was up                  125    any other end: cancelled, node failure, out of memory, not launched
  --json tells a 1 or 2 of the script from those above.

The script's #SBATCH lines count as with sbatch, below the options given here; slurmrestd itself does not read them.
What has no place here is refused, but mail and words to sbatch itself are named and ignored. The job does not get this
environment but PATH, USER, LOGNAME and,
where you are the user of the token, HOME; more with --export and --env.
"""


def add_token_command(commands: Commands) -> None:
    """Add ``token`` and ``token inspect``."""
    parser = commands.add_parser(
        "token",
        help="get a token, or look into one",
        description="Get a token of one's own from slurmctld (through scontrol), or sign one where the key is.",
        epilog=HOW_TOKENS_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--user", metavar="NAME", help="whose (default: your own; another's only as root or SlurmUser)")
    parser.add_argument(
        "--lifespan",
        default=str(jwt.DEFAULT_LIFESPAN),
        metavar="SECONDS",
        help=f"at most {tokens.LONGEST} without --long (default: %(default)s)",
    )
    parser.add_argument(
        "--long", action="store_true", help=f"allow more than {tokens.LONGEST} seconds, and --lifespan infinite"
    )
    parser.add_argument(
        "--key-file", metavar="FILE", help="sign it with this key, which nobody but root and SlurmUser may read"
    )
    parser.add_argument(
        "--output", metavar="FILE", help="write it there, readable by you alone, instead of printing it"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--plain", dest="form", action="store_const", const="plain", help="the token alone")
    form.add_argument(
        "--header", dest="form", action="store_const", const="header", help="the two header lines, for curl -H @FILE"
    )
    parser.set_defaults(face=run_token, form="export")
    actions = parser.add_subparsers(dest="action", metavar="inspect")
    look = actions.add_parser(
        "inspect",
        help="show what a token says",
        description="Show claims, remaining time and, with the key, whether the signature is good.",
        epilog=HOW_TOKENS_END.partition("\nexamples")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_token_sources(look, f"(default: the variable {TOKEN_VARIABLE})")
    look.add_argument("--key-file", dest="verify_key", metavar="FILE", help="check the signature with this key")
    look.add_argument("--json", action="store_true", help="JSON on standard output")
    look.set_defaults(face=run_inspect)


def add_submit_command(commands: Commands) -> None:
    """Add ``submit``."""
    parser = commands.add_parser(
        "submit",
        help="submit a batch script over REST",
        description="Submit a batch script over REST, in the newest API version that is served.",
        epilog=HOW_JOBS_END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("script", metavar="SCRIPT", help="the script, which begins with #!; - is standard input")
    job = parser.add_argument_group("the job, as with sbatch")
    for option in batch.OPTIONS:
        names = ([f"-{option.short}"] if option.short else []) + [f"--{option.name}"]
        how: dict[str, Any] = {"metavar": option.metavar}
        if option.takes == "no":
            how = {"action": "store_const", "const": ""}
        elif option.takes == "optional":
            how = {"nargs": "?", "const": "", "metavar": (option.metavar or "").strip("[]")}
        job.add_argument(*names, dest=option.key, help=option.help, **how)
    job.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="a variable of the job; repeat it for more"
    )
    job.add_argument(
        "--export",
        default="",
        metavar="NAMES",
        help="variables of this environment for the job, between commas; or ALL",
    )
    job.add_argument("--wait", action="store_true", help="follow the job to its end and exit with its result")
    _add_access(parser)
    parser.set_defaults(face=run_submit)


def add_job_command(commands: Commands) -> None:
    """Add ``job show``, ``job cancel`` and ``job list``."""
    parser = commands.add_parser("job", help="show, cancel and list jobs over REST")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, words, face in (("show", "show jobs", run_show), ("cancel", "cancel jobs", run_cancel)):
        one = actions.add_parser(action, help=words, description=f"{words.capitalize()}. Exit code 1 when one fails.")
        one.add_argument("jobs", nargs="+", type=_job_id, metavar="ID", help="such as 42, or 42_3: a task of an array")
        if action == "cancel":
            one.add_argument("--signal", metavar="NAME", help="send it this signal, such as USR1, instead of ending it")
        _add_access(one)
        one.set_defaults(face=face)
    many = actions.add_parser("list", help="list your jobs", description="List the jobs that slurmctld still knows.")
    many.add_argument("--all", action="store_true", help="of all users, as far as the cluster shows them")
    _add_access(many)
    many.set_defaults(face=run_list, timeout=LIST_TIMEOUT)


def add_commands(commands: Commands) -> None:
    """Add all commands of users."""
    add_token_command(commands)
    add_submit_command(commands)
    add_job_command(commands)
    add_document_command(commands)


def add_document_command(commands: Commands) -> None:
    """Add ``openapi``."""
    parser = document.add_command(commands)
    _add_access(parser)
    parser.set_defaults(face=run_document)


def _add_token_sources(parser: Any, default: str) -> None:
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--token-file", metavar="FILE", help=f"the token's file, - for standard input {default}")
    who.add_argument("--token-env", metavar="NAME", help="name of the environment variable that holds the token")


def _add_access(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("slurmrestd")
    where.add_argument(
        "--url",
        metavar="URL",
        help=f"{ALLOWED} (default: the variable {URL_VARIABLE}, or http://127.0.0.1:{DEFAULT_PORT})",
    )
    where.add_argument("--api-version", metavar="VERSION", help="such as v0.0.42 (default: the newest served)")
    where.add_argument(
        "--timeout",
        type=float,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="for each request (default: %(default)g)",
    )
    _add_token_sources(where, f"(default: the variable {TOKEN_VARIABLE}, or a new token from scontrol)")
    where.add_argument("--user", metavar="NAME", help="for whom to act (default: the user named in the token)")
    where.add_argument("--json", action="store_true", help="JSON on standard output")


def build_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """The parser of these commands on their own."""
    parser = argparse.ArgumentParser(prog=prog, description="Use a Slurm cluster over REST.")
    add_commands(parser.add_subparsers(dest="command", metavar="COMMAND", required=True))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on its own; returns the exit code and does not raise SystemExit."""
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else CANNOT_RUN
    return run(arguments)


def run(arguments: argparse.Namespace) -> int:
    """Do what the parsed arguments say, and return the exit code."""
    try:
        return int(arguments.face(arguments))
    except (InputError, UsageError, batch.ScriptError) as error:
        return _say(str(error), CANNOT_RUN)
    except SlurmrestError as error:
        wants_one = isinstance(error, tokens.NoTokenError) and arguments.face is not run_token
        return _say(str(error), CANNOT_RUN if wants_one else FAILED)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader has gone: that is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def run_token(arguments: argparse.Namespace) -> int:
    """Make a token, and print or write it."""
    seconds = tokens.lifespan(arguments.lifespan, long=arguments.long)
    if arguments.key_file:
        if not arguments.user:
            raise UsageError("--key-file needs --user: whom shall the token name?")
        token = tokens.signed(arguments.key_file, arguments.user, seconds)
    else:
        token = tokens.from_scontrol(arguments.user, seconds)
    text = tokens.render(token, arguments.user or jwt.inspect(token).user, arguments.form)
    if arguments.output:
        tokens.write_private(arguments.output, text)
        found = jwt.inspect(token)
        _say(f"{arguments.output}: a token of {found.user}, good until {_clock(found.expires)}")
    else:
        sys.stdout.write(text)
    return OK


def run_inspect(arguments: argparse.Namespace) -> int:
    """Show what a token says."""
    token = _given_token(arguments)
    if token is None:
        raise UsageError("there is no token.", f"Give --token-file or --token-env, or set {TOKEN_VARIABLE}.")
    key = tokens.read_key(arguments.verify_key) if arguments.verify_key else None
    try:
        found = tokens.inspection(token, key)
    except bearer.TokenError as error:
        raise UsageError(f"{error.message}.") from None
    if arguments.json:
        _json(found)
    else:
        left = found["remaining"]
        if left is None:
            rests = _plain(found["expiry_fault"])
        else:
            rests = f"expired {_span(-left)} ago" if found["expired"] else f"{_span(left)} left"
        print(f"user        {_plain(found['user']) or 'none'}")
        print(f"expires     {_clock(found['expires']) if left is not None else 'at no time'} ({rests})")
        print(f"algorithm   {_plain(found['algorithm']) or 'none'}")
        if found["foreign_type"]:
            print(f"type        {_plain(found['foreign_type'])}, which libjwt before 1.12 refuses")
        print(f"signature   {found['signature']}")
        print(f"claims      {json.dumps(found['claims'], ensure_ascii=True)}")
        for remark in found["remarks"]:
            print(f"note        {remark}")
    return OK if found["usable"] else FAILED


def run_submit(arguments: argparse.Namespace) -> int:
    """Submit a script and, when asked for, follow it to its end."""
    given = {
        option.key: option.read(value, f"--{option.name}")
        for option in batch.OPTIONS
        if (value := getattr(arguments, option.key)) is not None
    }
    script = batch.read(_script_text(arguments.script), ignore_pbs="ignore_pbs" in given)
    options = batch.merged(script.options, given)
    access = _access(arguments)
    for line in script.ignored:
        _say(f"ignored in the script: {line}")
    body = job_submission(
        access.api,
        name=options.get("job_name") or _job_name(arguments.script),
        script=script.text,
        directory=_directory(options.get("chdir")),
        environment=environment_of(
            arguments.env, arguments.export, access.user, os.environ, {TOKEN_VARIABLE, arguments.token_env}
        ),
        more=batch.fields(access.api, options),
    )
    submitted = submit(access, body)
    for note in submitted.notes:
        _say(f"job {submitted.id}: {note}")
    if not arguments.json:
        print(f"Submitted batch job {submitted.id}", flush=True)
    end = _follow(access, submitted.id) if arguments.wait else None
    if arguments.json:
        _json(
            {
                "job_id": submitted.id,
                "api_version": access.version,
                "notes": list(submitted.notes),
                "ignored": list(script.ignored),
                "job": end.as_dict() if end else None,
            }
        )
    return end.result if end else OK


def run_show(arguments: argparse.Namespace) -> int:
    """Show jobs."""
    access = _access(arguments)
    seen = [_seen(access, job_id) for job_id in arguments.jobs]
    found = [job for jobs in seen for job in jobs]
    if arguments.json:
        _json([job.as_dict() for job in found])
    elif found:
        print("\n\n".join(_shown(job) for job in found))
    return OK if all(seen) else FAILED


def run_cancel(arguments: argparse.Namespace) -> int:
    """Cancel jobs."""
    if arguments.signal:
        signal_name(arguments.signal)
    access = _access(arguments)
    done: list[dict[str, Any]] = []
    for job_id in arguments.jobs:
        try:
            note, cancelled = cancel(access, job_id, arguments.signal), True
        except RefusedError as error:
            note, cancelled = str(error), False
        done.append({"job_id": int(job_id) if job_id.isdigit() else job_id, "cancelled": cancelled, "note": note})
        if not cancelled or note:
            _say(note if note.startswith(f"job {job_id} ") else f"job {job_id}: {note}")
    if arguments.json:
        _json(done)
    return OK if all(entry["cancelled"] for entry in done) else FAILED


def run_list(arguments: argparse.Namespace) -> int:
    """List jobs: one's own, or all."""
    access = _access(arguments)
    jobs = [job for job in listing(access) if arguments.all or _is_of(job, access.user)]
    if arguments.json:
        _json([job.as_dict() for job in jobs])
        return OK
    rows = [("ID", "NAME", "USER", "STATE", "REASON", "PARTITION", "NODES")]
    rows += [
        (
            job.label,
            job.name,
            job.user or str(job.user_id),
            job.state,
            "" if job.reason == "None" else job.reason,
            job.partition,
            job.nodes,
        )
        for job in jobs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(_plain("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip()))
    return OK


def run_document(arguments: argparse.Namespace) -> int:
    """Write the OpenAPI document of one API version."""
    if arguments.json and not arguments.output:
        raise UsageError("--json needs --output: the document itself is JSON on standard output.")
    how = {"repair": arguments.repair, "short_names": arguments.short_names, "output": arguments.output}
    told = document.written(_access(arguments), **how)
    for repair in told["repairs"]:
        _say(f"{repair['id']}: {repair['count']} × {repair['text']} (first: {repair['first']})")
    if arguments.repair and not told["repairs"]:
        _say("nothing had to be repaired")
    if arguments.json:
        _json(told)
    return OK


def environment_of(
    pairs: Sequence[str],
    export: str,
    user: str,
    own: Mapping[str, str],
    tokens: Collection[str | None] = (TOKEN_VARIABLE,),
) -> dict[str, str]:
    """The job's environment: a PATH and who one is, then `export` from `own`, then `pairs`. InputError for a bad name.

    The variables of `tokens` never go along: whoever sees the job's environment could use one.
    """
    found = {"PATH": DEFAULT_PATH, "USER": user, "LOGNAME": user}
    with contextlib.suppress(KeyError):
        me = pwd.getpwuid(os.geteuid())
        if me.pw_name == user:
            found["HOME"] = me.pw_dir
    if export == "ALL":
        found.update({name: value for name, value in own.items() if _NAME.match(name)})
    else:
        for name in filter(None, export.split(",")):
            if name not in own:
                raise InputError("--export", name, "names of variables that are set here, or ALL")
            found[name] = own[name]
    found = {name: value for name, value in found.items() if name not in tokens}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not _NAME.match(name) or "\0" in value:
            raise InputError("--env", pair, "NAME=VALUE")
        found[name] = value
    return found


def _seen(access: Access, job_id: str) -> list[Job]:
    """The records of a job, or none after saying why it cannot be shown."""
    try:
        return records(access, job_id)
    except RefusedError as error:
        _say(f"job {job_id}: {error}")
        return []


def _follow(access: Access, job_id: int) -> Job:
    """Tell of a job's states on standard error until it has ended."""
    begin = time.monotonic()
    end = None

    def trouble(words: str) -> None:
        _say(f"job {job_id}: {words} Trying again.")

    try:
        for end in follow(access, job_id, trouble=trouble):
            _say(f"job {job_id}: {time.monotonic() - begin:6.1f} s  {end}")
    except KeyboardInterrupt:
        _say(f"job {job_id} goes on; cancel it with: slurmrest job cancel {job_id}")
        raise
    except SlurmrestError:
        _say(f"job {job_id} may go on; it could not be followed to its end")
        raise
    if end is None:
        raise RefusedError(f"job {job_id} was not seen")
    return end


def _shown(job: Job) -> str:
    lines = [("job", f"{job.label} {job.name}"), ("state", str(job)), ("user", job.user or str(job.user_id))]
    lines += [("partition", job.partition), ("account", job.account), ("directory", job.directory)]
    lines += [("output", job.output)]
    lines += [(word, _clock(when)) for word, when in (("submitted", job.submitted), ("started", job.started)) if when]
    if job.over:
        lines += [("ended", _clock(job.ended)), ("result", str(job.result))]
    if job.time_limit is not None:
        lines.append(("time limit", f"{job.time_limit} minutes"))
    return "\n".join(f"{word:<12}{_plain(value)}" for word, value in lines if value)


def _is_of(job: Job, user: str) -> bool:
    """Whether it is the user's; slurmrestd's host need not know names, then the number counts."""
    if job.user:
        return job.user == user
    try:
        return job.user_id == pwd.getpwnam(user).pw_uid
    except KeyError:
        return True  # neither side can tell: rather too many than none


def _access(arguments: argparse.Namespace) -> Access:
    """The way to slurmrestd that the options say, with a token from where they say."""
    url = arguments.url or os.environ.get(URL_VARIABLE) or f"http://127.0.0.1:{DEFAULT_PORT}"
    target = Target.parse(url, "--url" if arguments.url else URL_VARIABLE)
    token = _given_token(arguments) or tokens.from_scontrol(None, jwt.DEFAULT_LIFESPAN)
    user = arguments.user or user_in(token, "--user")
    return Access(target, Credentials(user, token), arguments.api_version, arguments.timeout)


def _given_token(arguments: argparse.Namespace) -> bearer.Token | None:
    if arguments.token_file:
        return token_from_file(arguments.token_file, "--token-file")
    if arguments.token_env:
        return token_from_environment(arguments.token_env)
    return token_from_environment(TOKEN_VARIABLE) if os.environ.get(TOKEN_VARIABLE) else None


def _script_text(path: str) -> str:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_MAX_SCRIPT + 1)
        else:
            with Path(path).open("rb") as stream:
                data = stream.read(_MAX_SCRIPT + 1)
        if len(data) > _MAX_SCRIPT:
            raise batch.ScriptError(f"{path}: more than {_MAX_SCRIPT} bytes, this is no script")
        return data.decode("utf-8")
    except OSError as error:
        raise batch.ScriptError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise batch.ScriptError(f"{path}: this is no text in UTF-8, which is all that JSON can carry") from None


def _job_name(path: str) -> str:
    return "sbatch" if path == "-" else batch.printable(posixpath.basename(path), "name of the script")


def _directory(given: str | None) -> str:
    """The job's working directory; a relative one counts from here, as with sbatch."""
    try:
        return os.path.abspath(given or os.getcwd())
    except FileNotFoundError:
        raise InputError("--chdir", given or ".", "an absolute path, since the current directory is gone") from None


def _job_id(text: str) -> str:
    number, _, task = text.partition("_")
    parts = (number, task) if "_" in text else (number,)
    if not all(part.isascii() and part.isdigit() for part in parts) or int(number) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not the number of a job, such as 42, or of a task, such as 42_3")
    return text


def _clock(instant: float | None) -> str:
    if instant is None:
        return "never"
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(instant))
    except (OverflowError, ValueError, OSError):
        return f"{instant:.0f} seconds after 1970"


def _span(seconds: float) -> str:
    """A length of time in its two largest units."""
    rest = int(seconds)
    parts = []
    for name, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, rest = divmod(rest, length)
        if amount:
            parts.append(f"{amount} {name}")
    return " ".join(parts[:2]) or "0 s"


def _json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _say(words: str, code: int = OK) -> int:
    """Speak to the person: one line on standard error without control characters. Returns `code`."""
    print(_plain(words), file=sys.stderr, flush=True)
    return code


def _plain(words: str) -> str:
    """Words for a terminal: a job's name or a token's user may hold control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in words)


__all__ = ["ClientError", "add_commands", "environment_of", "main", "run"]
