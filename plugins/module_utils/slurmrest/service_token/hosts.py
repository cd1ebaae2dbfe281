"""What Ansible does for service tokens on the hosts at both ends: judge, have keys, have a token fetched now."""

from __future__ import annotations

import fnmatch
import glob
import os
import posixpath
import pwd
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import SlurmrestError
from ..host import files, programs
from ..host.identity import account_facts
from ..host.numbers import whole
from ..host.programs import Run
from ..slurmrestd.problem import HIDDEN_DIRECTORIES, Problem, sandbox_problems
from ..systemd import security
from ..systemd.systemctl import Systemd
from . import fetch

SERVICE = "slurmrest-token.service"
HOME = "/var/lib/slurmrest-token"
HOMES = "/var/lib/slurmrest-token-users"
AUTHORIZED_KEYS = ".ssh/authorized_keys"
"""Where the account that fetches lives, and on controllers those that the tokens are for, each below HOMES."""

LIFESPANS = range(600, 86401)
SHORTEST_INTERVAL = 30
RUNS_IN_A_LIFE = 6
"""Seconds of a token's life and between two runs of the timer; four runs fall into the last two thirds of a life."""

USER = "slurmrest_token_user"
OWNER = "slurmrest_token_owner"
ACCOUNT = "slurmrest_token_account"
LIFESPAN = "slurmrest_token_lifespan"
INTERVAL = "slurmrest_token_interval"
PATH = "slurmrest_token_path"
FROM = "slurmrest_token_from"
TEXTFILES = "slurmrest_token_textfile_directory"
PYTHON = "slurmrest_token_python"
SANDBOX = "slurmrest_token_sandbox"
CONTROLLERS = "slurm_common_controllers"

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_PATH = re.compile(r"/[A-Za-z0-9_.@+~/-]*[A-Za-z0-9_@+~-]")
_PATTERN = re.compile(r"!?[A-Za-z0-9.:*?/_-]+")
_PUBLIC_KEY = re.compile(r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{60,}={0,2}")
_KEY_BYTES = 4096
_SHARED = ("root", "nobody", "nogroup", "slurm", "munge")
_AN_ACCOUNT = "a name of lower-case letters, digits, '-' and '_', at most 32 long"
_AN_OWN_ONE = "an account of its own, used by nothing else"
_SHELLS_THAT_REFUSE = ("nologin", "false")


def consumer_problems(variables: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with the variables of a host that uses a token; looks at the host, changes nothing."""
    judges = (_accounts, _times, _places, _sources, _programs, _sandbox)
    return [problem for judge in judges for problem in judge(variables)]


def controller_problems(
    consumers: Sequence[Mapping[str, Any]],
    slurm_user: str,
    parameters: Mapping[str, str | None],
    sshd: Mapping[str, Sequence[str]],
) -> list[Problem]:
    """Why this controller cannot serve tokens for these consumers.

    Args:
        consumers: ``name``, ``user``, ``lifespan`` (seconds) and ``public_key`` of each.
        slurm_user: SlurmUser.
        parameters: AuthAltParameters of slurm.conf, by name.
        sshd: what :func:`sshd_settings` gave.
    """
    found = list(_sshd_problems(sshd))
    if "disable_token_creation" in parameters:
        found.append(
            Problem(
                "AuthAltParameters",
                "disable_token_creation",
                "a slurm.conf without it",
                "the account of the token asks for its own token, and this option forbids that to all but root and "
                "SlurmUser",
                "Take the option out, or give the service a token by other means.",
            )
        )
    longest = whole(parameters.get("max_token_lifespan") or "")
    for consumer in consumers:
        if longest is not None and int(consumer["lifespan"]) > longest:
            allowed = f"at most {longest} (max_token_lifespan in AuthAltParameters)"
            found.append(Problem(LIFESPAN, consumer["lifespan"], allowed, "slurmctld would refuse it"))
        found += _minting_account(consumer["user"], slurm_user, sshd)
        key = consumer.get("public_key", "")
        if key and not _PUBLIC_KEY.fullmatch(key):
            allowed = f"type and key, as {consumer['name']} made it"
            found.append(Problem("public_key", key, allowed, "authorized_keys would get something else from there"))
    return found


def sshd_settings(user: str = "root", run: Run = programs.run) -> dict[str, list[str]]:
    """What sshd does for a user, by keyword in lower case. Raises SlurmrestError when there is no working sshd."""
    program = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:/usr/bin")
    if program is None:
        raise SlurmrestError("there is no sshd on this host.", "Install it: a token is fetched through ssh.")
    done = run([program, "-T", "-C", f"user={user},host=localhost,addr=127.0.0.1"])
    if done.returncode:
        raise SlurmrestError(f"sshd -T: {programs.words(done)}")
    settings: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _blank, value = line.partition(" ")
        settings.setdefault(keyword.lower(), []).append(value)
    return settings


def host_keys(settings: Mapping[str, Sequence[str]]) -> list[str]:
    """Type and key of every public host key of this host. Raises SlurmrestError when there is none."""
    found = [
        " ".join(files.read(f"{path}.pub").decode("ascii").split()[:2])
        for path in settings.get("hostkey") or glob.glob("/etc/ssh/ssh_host_*_key")
        if os.path.exists(f"{path}.pub")
    ]
    if not found:
        raise SlurmrestError("no public host key of this host was found.", "See HostKey in sshd_config.")
    return found


def key_pair(account: str, *, check: bool = False) -> tuple[bool, str]:
    """Have a key pair for the account that fetches: ed25519, or ECDSA where FIPS mode forbids that.

    Returns whether it was made, and the public key's line; in check mode the line is empty while there is none. Below
    its home the account itself does everything: what it may have put there cannot lead root anywhere. Raises
    SlurmrestError when the key cannot be made.
    """
    path = os.path.join(HOME, fetch.KEY)
    line = _public_key(account, path)
    if line or check:
        return not line, line
    entry = pwd.getpwnam(account)
    files.make_directory(HOME, entry.pw_uid, entry.pw_gid, _mode(HOME))
    kind = "ecdsa" if security.security().fips else "ed25519"
    code, output, errors = _as(account, ["sh", "-c", _MAKE_KEY, kind, account, path])
    line = _public_key(account, path)
    if code or not line:
        raise SlurmrestError(f"no key could be made in {posixpath.dirname(path)}: {(errors or output).strip()}")
    return True, line


_MAKE_KEY = """umask 077
mkdir -p "${2%/*}" && rm -f "$2" "$2.pub" && exec ssh-keygen -q -t "$0" -N '' -C "$1" -f "$2" </dev/null"""


def _mode(directory: str) -> int:
    """The permissions of a directory as it is, or of a new one."""
    return stat.S_IMODE(os.stat(directory).st_mode) if os.path.isdir(directory) else 0o755


def _public_key(account: str, path: str) -> str:
    """Type and key where both halves are there, else nothing."""
    # No more than a key has: the account may have put anything there.
    code, text, _errors = _as(account, ["sh", "-c", f'test -s "$0" && exec head -c {_KEY_BYTES} "$0.pub"', path])
    line = " ".join(text.split()[:2])
    return line if code == 0 and _PUBLIC_KEY.fullmatch(line) else ""


def _as(account: str, command: Sequence[str]) -> tuple[int, str, str]:
    """Run a command as an account: exit code, output and errors; 127 where there is no such account yet."""
    try:
        entry = pwd.getpwnam(account)
    except KeyError:
        return 127, "", f"there is no account {account}"
    who: dict[str, Any] = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    done = programs.run(command, cwd="/", **who)
    return done.returncode, done.stdout, done.stderr


def labels_needed() -> str:
    """What is to be said of a controller with SELinux: sshd reads keys only under a label that homes elsewhere have."""
    selinux = security.security().selinux
    pattern = f"{HOMES}/[^/]+/{posixpath.dirname(AUTHORIZED_KEYS)}(/.*)?"
    return selinux and (
        f"SELinux is {selinux}: sshd reads the keys below {HOMES} when they have its label. Once: semanage fcontext -a "
        f"-t ssh_home_t '{pattern}'; after each new {USER}: restorecon -R {HOMES}."
    )


def kept(names: Iterable[str]) -> dict[str, list[str]]:
    """The lines of the keys of these hosts, by account: they were not looked at in this run, and nothing is known."""
    absent = set(names)
    found: dict[str, list[str]] = {}
    for path in glob.glob(os.path.join(HOMES, "*", AUTHORIZED_KEYS)):
        user = path[len(HOMES) + 1 :].partition("/")[0]
        lines = [line for line in files.read(path).decode().splitlines() if line.startswith("restrict,")]
        mine = [line for line in lines if line.rpartition(" ")[2] in absent]
        if mine:
            found[user] = mine
    return found


def withdrawn(users: Sequence[str]) -> list[str]:
    """Paths of authorized_keys that no consumer needs any longer."""
    wanted = {os.path.join(HOMES, user, AUTHORIZED_KEYS) for user in users}
    return sorted(set(glob.glob(os.path.join(HOMES, "*", AUTHORIZED_KEYS))) - wanted)


def renew_now(*, demand: bool, check: bool = False, run: Run = programs.run) -> tuple[bool, int]:
    """Have a good token in place, or a new one where that is demanded, through the unit that does it anyway.

    Returns whether it is (in check mode: would be) a new one, and the seconds that it lives. Raises SlurmrestError with
    the unit's own words when there is none.
    """
    settings = fetch.FetchSettings.read() if os.path.exists(fetch.CONFIG) else None
    before = fetch.read_record(settings) if settings else None
    if settings is None or check:
        fresh = settings is not None and fetch.reason_to_renew(settings, before, time.time()) is None
        return demand or not fresh, 0
    mark = settings.below(fetch.DEMAND)
    if demand:
        code, _output, errors = _as(settings.account, ["touch", mark])
        if code:
            raise SlurmrestError(f"{mark} cannot be written: {errors.strip()}")
    systemd = Systemd(run)
    began = time.time()
    # A run that had begun already may have looked before the mark was there.
    for _attempt in range(2):
        try:
            systemd.command("start", SERVICE)
        except SlurmrestError:
            words = systemd.journal(SERVICE, began) or "it said nothing"
            raise SlurmrestError(f"{SERVICE} failed: {words}") from None
        if not os.path.exists(mark):
            break
    after = fetch.read_record(settings)
    if after is None or fetch.reason_to_renew(settings, after, time.time()) is not None:
        raise SlurmrestError(f"{SERVICE} left no good token: {systemd.journal(SERVICE, began)}")
    return after != before, int(after.remaining(time.time()))


def _accounts(variables: Mapping[str, Any]) -> Iterator[Problem]:
    for name in (USER, ACCOUNT, OWNER):
        value = variables.get(name)
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            yield Problem(name, value, _AN_ACCOUNT, "it is no name of an account")
            return
    user, account, owner = variables[USER], variables[ACCOUNT], variables[OWNER]
    shared = {*_SHARED, variables.get("slurm_common_slurm_user"), variables.get("slurm_common_slurmrestd_user")}
    for name, value in ((USER, user), (ACCOUNT, account)):
        if value in shared:
            yield Problem(name, value, _AN_OWN_ONE, "a token, or the key that gets one, would carry more rights")
    if account in (user, owner):
        other = USER if account == user else OWNER
        yield Problem(ACCOUNT, account, f"another account than {other}", "the key that gets tokens is its own secret")
    if not account_facts(owner)["exists"]:
        remedy = "Install the service that uses the token first."
        yield Problem(OWNER, owner, "an account of this host", "there is no such account", remedy)
    facts = account_facts(account)
    if facts["exists"] and (facts["uid"] == 0 or facts["home"] != HOME):
        yield Problem(ACCOUNT, account, f"{_AN_OWN_ONE}, at home in {HOME}", f"it exists with the home {facts['home']}")


def _times(variables: Mapping[str, Any]) -> Iterator[Problem]:
    lifespan, interval = variables.get(LIFESPAN), variables.get(INTERVAL)
    if not _number(lifespan) or int(str(lifespan)) not in LIFESPANS:
        yield Problem(LIFESPAN, lifespan, f"{LIFESPANS[0]} to {LIFESPANS[-1]} seconds", "a token cannot be taken back")
        return
    longest = int(str(lifespan)) // RUNS_IN_A_LIFE
    if not _number(interval) or not SHORTEST_INTERVAL <= int(str(interval)) <= longest:
        allowed = f"{SHORTEST_INTERVAL} to {longest} seconds, a sixth of {LIFESPAN}"
        yield Problem(INTERVAL, interval, allowed, "a failed renewal needs time for further attempts")


def _places(variables: Mapping[str, Any]) -> Iterator[Problem]:
    path = variables.get(PATH)
    if not isinstance(path, str) or not _PATH.fullmatch(path) or ".." in path.split("/"):
        yield Problem(PATH, path, "an absolute path of a file, without blanks", "it is none")
        return
    if any(path.startswith(f"{hidden}/") for hidden in HIDDEN_DIRECTORIES):
        allowed = f"a path outside {', '.join(HIDDEN_DIRECTORIES)}"
        yield Problem(PATH, path, allowed, "the unit that writes it does not see this directory")
    directory = os.path.dirname(path)
    account = account_facts(str(variables.get(ACCOUNT)))
    if os.path.isdir(directory) and os.stat(directory).st_uid != account["uid"]:
        allowed = f"a file in a directory of its own, which the role makes, such as {HOME}/token"
        yield Problem(PATH, path, allowed, f"{directory} is there and does not belong to {variables.get(ACCOUNT)}")
    if os.path.isdir(path):
        yield Problem(PATH, path, "the path of a file", "it is a directory")
    textfiles = variables.get(TEXTFILES)
    if textfiles and not (isinstance(textfiles, str) and os.path.isabs(textfiles) and os.path.isdir(textfiles)):
        yield Problem(TEXTFILES, textfiles, "a directory of this host, or nothing", "there is no such directory")


def _sources(variables: Mapping[str, Any]) -> Iterator[Problem]:
    if not variables.get(CONTROLLERS):
        yield Problem(
            CONTROLLERS, variables.get(CONTROLLERS), "inventory names of the controllers", "tokens come there"
        )
    patterns = variables.get(FROM)
    if not isinstance(patterns, list) or not all(isinstance(one, str) and _PATTERN.fullmatch(one) for one in patterns):
        yield Problem(FROM, patterns, "a list of host patterns as in sshd(8), from=", "it is none")


def _programs(variables: Mapping[str, Any]) -> Iterator[Problem]:
    python = variables.get(PYTHON)
    if not isinstance(python, str) or not os.path.isabs(python) or not os.access(python, os.X_OK):
        yield Problem(PYTHON, python, "the absolute path of a Python, 3.9 or later", "it cannot be run")
    if shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        yield Problem("ssh", "", "OpenSSH's client on this host", "it is not there", "Install openssh-client(s).")


def _sandbox(variables: Mapping[str, Any]) -> Iterator[Problem]:
    yield from sandbox_problems(SANDBOX, variables.get(SANDBOX))


def _minting_account(user: str, slurm_user: str, sshd: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    facts = account_facts(user)
    home = os.path.join(HOMES, user)
    if user in (*_SHARED, slurm_user) or facts["uid"] == 0:
        yield Problem(USER, user, _AN_OWN_ONE, "its token would be an administrator's")
    elif facts["exists"] and facts["home"] != home:
        remedy = "Name another one; the role creates it. A directory service may provide it with that home."
        yield Problem(USER, user, f"{_AN_OWN_ONE}, at home in {home}", f"its home is {facts['home']}", remedy)
    elif facts["exists"] and os.path.basename(facts["shell"]) in _SHELLS_THAT_REFUSE:
        yield Problem(USER, user, "an account with a shell", f"sshd runs the forced command through {facts['shell']}")
    if os.path.isdir(home) and _writable_by_others(home):
        yield Problem(USER, user, f"{home} that only root may change", "the account could lift its own restriction")
    for keyword, refused in (("denyusers", True), ("allowusers", False)):
        patterns = [one.partition("@")[0] for value in sshd.get(keyword, ()) for one in value.split()]
        if patterns and any(fnmatch.fnmatch(user, one) for one in patterns) == refused:
            yield Problem(USER, user, f"what {keyword} in sshd_config lets in", f"{keyword} is {' '.join(patterns)}")


def _sshd_problems(sshd: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    if sshd.get("pubkeyauthentication", ["yes"])[0] != "yes":
        yield Problem("PubkeyAuthentication", "no", "yes (in sshd_config)", "tokens are fetched with a key")
    if sshd.get("usepam", ["yes"])[0] != "yes":
        yield Problem("UsePAM", "no", "yes (in sshd_config)", "without it, sshd lets nobody in who has no password")
    files = " ".join(sshd.get("authorizedkeysfile", [AUTHORIZED_KEYS])).split()
    if not {AUTHORIZED_KEYS, f"%h/{AUTHORIZED_KEYS}"} & set(files):
        yield Problem(
            "AuthorizedKeysFile", " ".join(files), f"a list with {AUTHORIZED_KEYS} in it", "the key goes there"
        )


def _writable_by_others(directory: str) -> bool:
    for path in (directory, os.path.join(directory, os.path.dirname(AUTHORIZED_KEYS))):
        if os.path.isdir(path):
            status = os.stat(path)
            if status.st_uid != 0 or stat.S_IMODE(status.st_mode) & 0o022:
                return True
    return False


def _number(value: object) -> bool:
    return not isinstance(value, bool) and str(value).isascii() and str(value).isdigit()


def refuse(problems: Sequence[Problem]) -> None:
    """Raise SlurmrestError with all problems at once, or do nothing when there are none."""
    if problems:
        raise SlurmrestError("Nothing was changed. " + "\n".join(map(str, problems)))
