"""The command line of the verification: ``slurmrest verify`` and ``scripts/verify_slurmrestd.py``."""

from __future__ import annotations

import argparse
import math
import os
import stat
import sys
from typing import TYPE_CHECKING

from ..auth import jwt
from ..auth import minting as tokens
from ..command.token_options import STDIN, UsageError, read_secret, token_from_environment, token_from_file, user_in
from ..errors import SlurmrestError
from ..rest.client import ALLOWED, DEFAULT_TIMEOUT, Credentials, Target
from ..rest.session import NOT_ORDINARY
from ..rest.tls import Tls
from ..slurmrestd.address import DEFAULT_PORT
from .formats import (
    NAGIOS_UNKNOWN,
    nagios_code,
    nagios_unknown,
    render_junit,
    render_nagios,
    render_prometheus,
    write_file,
)
from .gateway import GATEWAY_CHECKS
from .html import render_html
from .listener_watch import watched
from .login import credentials_of
from .run import INSECURE, JobOptions, Options, Report, verify
from .table import TokenSource, render_curl, render_json, render_table

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, CHECK_FAILED, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"
SIGNED_LIFESPAN = 600  # seconds; more than a run needs, less than a leaked token is worth

DESCRIPTION = "Prove over HTTP that a slurmrestd works: what it serves, that it refuses bad tokens, that jobs run."
EPILOG = """\
A token comes from a file, an environment variable, standard input, scontrol or a signing key, never from an argument.
The statistics of slurmdbd need an administrator's token; every other check is content with an ordinary user's.

exit codes:
  0    every check passed or was skipped with a reason
  1    a check failed; cause and remedy are in the report
  2    could not run: bad arguments, no token
  130  interrupted
with --nagios: 0 OK, 1 WARNING (only a minor check failed, or --insecure), 2 CRITICAL, 3 UNKNOWN (could not run)

examples:
  scontrol token username=root lifespan=600 > token; chmod 600 token
  %(prog)s --token-file token
  %(prog)s --url http://rest:6820 --url unix:/run/slurmrestd/slurmrestd.socket --token-file token
  %(prog)s --token-file token --job --job-user alice
  %(prog)s --token-env SLURM_JWT --json
  scontrol token | %(prog)s --token-file - --no-accounting
  %(prog)s --scontrol --user root --url https://rest:6820 --cacert ca.pem --html report.html
  %(prog)s --gateway https://slurm.example.org --token-file token
  %(prog)s --gateway https://slurm.example.org --login alice --password-file password --job
  %(prog)s --key-file /var/lib/slurm/jwt/jwt_hs256.key --user root --job --job-user alice
  %(prog)s --token-file token --nagios
  %(prog)s --token-file token --show-curl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verification to `parser`, so that another command can carry them."""
    where = parser.add_argument_group("what to verify")
    where.add_argument(
        "--url",
        action="append",
        metavar="URL",
        help=f"a listener: {ALLOWED}; repeat it for each listener of the same slurmrestd (default: {DEFAULT_URL})",
    )
    where.add_argument(
        "--gateway",
        action="append",
        metavar="URL",
        help="a gateway, https://HOST:PORT: also prove what it does besides slurmrestd (without --url, of it alone)",
    )
    where.add_argument("--api-version", metavar="VERSION", help="such as v0.0.42 (default: the newest served)")
    where.add_argument(
        "--accounting",
        action=argparse.BooleanOptionalAction,
        help="demand slurmdbd, or leave it out (default: check it where slurmrestd serves /slurmdb/)",
    )
    where.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="for each request (default: %(default)g)",
    )
    where.add_argument(
        "--samples",
        type=int,
        default=Options.samples,
        metavar="N",
        help="answers that the latency is taken from; 200 or more give a 99th percentile (default: %(default)d)",
    )
    where.add_argument(
        "--idle-clients",
        type=int,
        default=0,
        metavar="N",
        help="hold N connections open and see whether another client is still served; real clients wait meanwhile "
        "where it reaches the limit (default: not tested)",
    )
    tls = parser.add_argument_group("https")
    tls.add_argument("--cacert", metavar="FILE", help="trust these authorities (PEM) instead of the host's")
    tls.add_argument("--cert", metavar="FILE", help="client certificate (PEM)")
    tls.add_argument("--key", metavar="FILE", help="its private key (PEM), where --cert does not hold it")
    tls.add_argument(
        "--insecure", action="store_true", help="do not check the certificate; whoever answers gets the tokens"
    )
    whom = parser.add_argument_group("as whom")
    who = whom.add_mutually_exclusive_group()
    who.add_argument(
        "--token-file", metavar="FILE", help="the token, or what 'scontrol token' prints; - is standard input"
    )
    who.add_argument("--token-env", metavar="NAME", help="name of the environment variable that holds the token")
    who.add_argument(
        "--key-file",
        metavar="FILE",
        help="sign a token of ten minutes with this key, which others must not be able to read",
    )
    who.add_argument(
        "--scontrol", action="store_true", help="ask 'scontrol token' on this host (for --user; default: for oneself)"
    )
    who.add_argument(
        "--login",
        metavar="NAME",
        help="log in at the --gateway as this user: with --password-file, or by the client certificate of --cert",
    )
    whom.add_argument("--password-file", metavar="FILE", help="the password of --login; - is standard input")
    whom.add_argument("--user", metavar="NAME", help="whose token it is (default: the user named in the token)")
    job = parser.add_argument_group("the job")
    job.add_argument("--job", action="store_true", help="submit a job as an ordinary user and follow it to its end")
    job.add_argument("--job-user", metavar="NAME", help="the ordinary user (default: the user of the token)")
    job.add_argument(
        "--job-token-file", metavar="FILE", help="that user's token (default: the first token, acting for the user)"
    )
    job.add_argument(
        "--job-timeout", type=_seconds, default=JobOptions.timeout, metavar="SECONDS", help="(default: %(default)g)"
    )
    job.add_argument(
        "--job-directory",
        default=JobOptions.directory,
        metavar="PATH",
        help="where the job writes (default: %(default)s)",
    )
    job.add_argument("--job-partition", metavar="NAME", help="(default: the cluster's default)")
    job.add_argument("--job-account", metavar="NAME", help="(default: the user's default)")
    output = parser.add_argument_group("output")
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    form.add_argument(
        "--nagios", action="store_true", help="plugin output and exit codes of Nagios and Icinga instead of the table"
    )
    output.add_argument("--html", metavar="FILE", help="also write a page to read, which needs no network")
    output.add_argument("--junit", metavar="FILE", help="also write JUnit XML, for continuous integration")
    output.add_argument(
        "--prometheus",
        metavar="FILE",
        help="also write metrics for the text-file collector of Prometheus' node_exporter",
    )
    output.add_argument(
        "--show-curl",
        action="store_true",
        help="also print the curl lines that ask the same, ready to paste (on standard error with --json, --nagios)",
    )


def build_parser(prog: str | None = None) -> argparse.ArgumentParser:
    """The parser of the command on its own."""
    parser = argparse.ArgumentParser(
        prog=prog, description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse `argv` (default: the command line), verify, print. Returns the exit code and does not raise SystemExit."""
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as end:
        return refused(sys.argv[1:] if argv is None else argv, end)
    return run(arguments)


def refused(argv: Sequence[str], end: SystemExit) -> int:
    """Exit code after argparse has ended the program and said why on standard error; with --nagios that of a plugin."""
    code = end.code if isinstance(end.code, int) else COULD_NOT_RUN
    if not code or "--nagios" not in argv:
        return code
    sys.stdout.write(nagios_unknown("could not run: bad arguments, see standard error"))
    return NAGIOS_UNKNOWN


def run(arguments: argparse.Namespace) -> int:
    """Verify as the parsed `arguments` say, print and write the report, and return the exit code."""
    try:
        gateways = [Target.parse(url, "--gateway") for url in arguments.gateway or ()]
        targets = [Target.parse(url, "--url") for url in arguments.url or ([] if gateways else [DEFAULT_URL])]
        options = _options(arguments)
        tls = _tls(arguments, [*targets, *gateways])
        context = tls.context()
        targets = watched(targets)
        mint = _Mint(arguments)
        if arguments.login:
            _judge_login(arguments, targets, gateways)
            logged_in = credentials_of(gateways[0], arguments.login, arguments.password_file, context)
            credentials, source = logged_in, TokenSource(logged_in.user)
        else:
            credentials, source = _credentials(arguments, mint)
        job_credentials, job_source = _job_credentials(arguments, mint, credentials, source)
        if tls.insecure:
            print(f"WARNING: {INSECURE}", file=sys.stderr)
        report = verify(
            targets,
            credentials,
            options,
            job_credentials=job_credentials,
            context=context,
            key=mint.key,
            gateways=gateways,
            gateway_checks=GATEWAY_CHECKS,
        )
        curl = render_curl(report, source, job_source, tls) if arguments.show_curl else ""
        _write_files(arguments, report)
    except SlurmrestError as error:
        return _could_not_run(arguments, f"could not run: {error}")
    except KeyboardInterrupt:
        return _could_not_run(arguments, "interrupted", INTERRUPTED)
    return _print(arguments, report, curl)


def _could_not_run(arguments: argparse.Namespace, words: str, code: int = COULD_NOT_RUN) -> int:
    if arguments.nagios:
        sys.stdout.write(nagios_unknown(words))
        return NAGIOS_UNKNOWN
    print(words, file=sys.stderr)
    return code


def _write_files(arguments: argparse.Namespace, report: Report) -> None:
    for path, render in (
        (arguments.html, render_html),
        (arguments.junit, render_junit),
        (arguments.prometheus, render_prometheus),
    ):
        if path:
            write_file(path, render(report))


def _print(arguments: argparse.Namespace, report: Report, curl: str) -> int:
    """The report on standard output, in the one form that was asked for; returns the exit code."""
    if arguments.json:
        sys.stdout.write(render_json(report))
    elif arguments.nagios:
        sys.stdout.write(render_nagios(report))
    else:
        sys.stdout.write(render_table(report, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    if curl:
        machine = arguments.json or arguments.nagios
        print(curl if machine else f"\n{curl}", end="", file=sys.stderr if machine else sys.stdout)
    if arguments.nagios:
        return nagios_code(report)
    return OK if report.ok else CHECK_FAILED


def _tls(arguments: argparse.Namespace, targets: Sequence[Target]) -> Tls:
    tls = Tls(arguments.cacert, arguments.cert, arguments.key, arguments.insecure)
    if tls != Tls() and all(target.scheme != "https" for target in targets):
        raise UsageError("--cacert, --cert, --key and --insecure belong to an https:// --url or --gateway.")
    if tls.key and not tls.cert:
        raise UsageError("--key is the private key of --cert, which is missing.")
    return tls


def _judge_login(arguments: argparse.Namespace, targets: Sequence[Target], gateways: Sequence[Target]) -> None:
    """Refuse what does not go with a login. Raises UsageError."""
    if targets or len(gateways) != 1:
        raise UsageError("--login is for one --gateway, and for nothing besides: each knows its own logins.")
    if bool(arguments.password_file) == bool(arguments.cert):
        raise UsageError("--login needs --password-file or --cert, one of them.")
    if arguments.show_curl or arguments.job_user or arguments.job_token_file:
        raise UsageError("--show-curl, --job-user and --job-token-file do not go with --login.")


def _options(arguments: argparse.Namespace) -> Options:
    job = None
    if arguments.job:
        job = JobOptions(arguments.job_timeout, arguments.job_directory, arguments.job_partition, arguments.job_account)
    elif arguments.job_user or arguments.job_token_file:
        raise UsageError("--job-user and --job-token-file belong to --job.")
    return Options(
        arguments.timeout, arguments.api_version, arguments.accounting, job, arguments.samples, arguments.idle_clients
    )


class _Mint:
    """What makes tokens for whomever they are wanted: the key file or scontrol; false when neither was given."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._key_file = str(arguments.key_file or "")
        self._scontrol = bool(arguments.scontrol)
        self.key = _key(self._key_file) if self._key_file else None

    def __bool__(self) -> bool:
        return self.key is not None or self._scontrol

    def token(self, user: str) -> tuple[Credentials, TokenSource]:
        """A fresh token of `user`; from scontrol, without a name, of whoever runs this."""
        if self.key is not None:
            if not user:
                raise UsageError("--key-file needs --user: whom shall the token name?")
            token = jwt.encode(jwt.claims_for(user, SIGNED_LIFESPAN), self.key)
        else:
            token = tokens.from_scontrol(user or None, SIGNED_LIFESPAN)
            user = user or user_in(token, "--user")
        return Credentials(user, token), TokenSource(user, key=self._key_file)


def _credentials(arguments: argparse.Namespace, mint: _Mint) -> tuple[Credentials, TokenSource]:
    """The token from where it was said to be, its user, and where a curl line finds it again."""
    if mint:
        return mint.token(arguments.user or "")
    if arguments.token_env:
        token = token_from_environment(arguments.token_env)
    elif arguments.token_file:
        token = token_from_file(arguments.token_file, "--token-file")
    else:
        raise UsageError(
            "there is no token.",
            "Give --token-file FILE, --token-env NAME, --scontrol, or --key-file FILE with --user NAME; see --help.",
        )
    user = arguments.user or user_in(token, "--user")
    return Credentials(user, token), TokenSource(user, _again(arguments.token_file), arguments.token_env or "")


def _job_credentials(
    arguments: argparse.Namespace, mint: _Mint, credentials: Credentials, source: TokenSource
) -> tuple[Credentials, TokenSource]:
    """The ordinary user who runs the job: with a token of its own, or by name beside the first token."""
    if arguments.login:
        return credentials, source
    file = arguments.job_token_file
    if file:
        if file == arguments.token_file and not _again(file):
            raise UsageError("--token-file and --job-token-file cannot both be standard input.")
        token = token_from_file(file, "--job-token-file")
        user = arguments.job_user or user_in(token, "--job-user")
        found = Credentials(user, token), TokenSource(user, _again(file))
    elif arguments.job_user and mint:
        found = mint.token(arguments.job_user)
    else:
        found = Credentials(arguments.job_user or credentials.user, credentials.token), source
    if arguments.job and found[0].user in NOT_ORDINARY:
        raise UsageError(
            f"the job would run as {found[0].user}, which proves nothing about an ordinary user.",
            "Give --job-user NAME (with an administrator's token) or --job-token-file FILE.",
        )
    return found


def _again(path: str | None) -> str:
    """The file when it can be read a second time, which standard input cannot."""
    return "" if path in (None, STDIN) else str(path)


def _key(path: str) -> jwt.Key:
    """The key in a file. Refuses one that others could read: it would be no secret."""
    data, mode = read_secret(path, "--key-file")
    if mode & stat.S_IRWXO:
        raise UsageError(
            f"--key-file {path}: mode {mode:04o} lets everybody on this host at the key.",
            f"chmod o= {path}, and make a new key: this one may be known.",
        )
    return jwt.Key(data)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
