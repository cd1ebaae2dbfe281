"""What a doctor wants to see of a gateway's host: nginx with our file, its identity service, the way to slurmrestd.

Nothing is changed. The gateway is asked as a client without credentials would; slurmctld with a token of the account
nobody, where the gateway has a key to sign one. What comes back holds neither tokens nor keys.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import posixpath
import re
import socket
import ssl
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..auth.jwks import JwksError, parse
from ..auth.rs256 import KeyFormatError, PrivateKey
from ..errors import InputError
from ..host import certificate, files, programs
from ..host.access import directories_above, may, ownership
from ..host.identity import group_name, owner_name
from ..host.logins import IDENTITY_KEY_PATH, IDENTITY_SETTINGS, IDENTITY_SOCKET, KEY_NAME
from ..host.network import connect
from ..host.proc import read_text
from ..host.reading import UnsafePath, read_beginning
from ..redaction import redacted
from ..rest.client import ClientError, Target, cut_off, request
from ..rest.key_trial import said_of
from ..slurmrestd import listeners
from ..systemd import show

SITE = "/etc/nginx/conf.d/zz-slurmrest-gateway.conf"
MAIN = "/etc/nginx/nginx.conf"
ACCESS_LOG = "/var/log/nginx/slurmrest-gateway.access.log"
UNITS = ("nginx.service", "slurmrest-identity.socket", "slurmrest-identity.service", "slurmrest-pam.socket")
LOOP_SECONDS = 120.0
"""How far back refusals are counted."""

_PATH = "/slurm/"
_LOG_BYTES = 256 * 1024
_PATIENCE = 5.0
_PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,Result,MainPID,LimitNOFILESoft,NeedDaemonReload"


def look() -> dict[str, Any] | None:
    """Everything that the rules want to know of this host's gateway; None where there is none."""
    text = read_text(SITE)
    if text is None:
        return None
    told = _told(text)
    shown = programs.run(show.command(UNITS, _PROPERTIES), limit=programs.LOOKING_SECONDS).stdout
    units = {name: _unit(fields) for name, fields in show.by_unit(shown).items()}
    workers = list(_workers(units.get("nginx.service", {}).get("pid", 0)))
    account = _account(workers)
    return {
        "site": SITE,
        "told": told,
        "units": units,
        "account": account,
        "certificate": _certificate(told),
        "served": _served(told),
        "hosts": [_host(name, account) for name in told["hosts"]],
        "identity": _identity(told["hosts"]) if told["logins"] else None,
        "places": [_place(path) for path in told["places"]],
        "connections": _connections(),
        "files": min((worker["files"] for worker in workers), default=0),
        "refused": _refused(),
        "said": _said(),
    }


def kids(path: str) -> dict[str, Any] | None:
    """The names of the keys in a set that a controller loads; None where it loads none."""
    if not path:
        return None
    try:
        found = parse(files.read(path), path)
    except (OSError, UnsafePath, JwksError) as error:
        return {"path": path, "kids": [], "error": str(error)}
    return {"path": path, "kids": [key.kid for key in found.keys], "error": ""}


def _told(text: str) -> dict[str, Any]:
    """What our file says. Its form is the template's."""

    def one(pattern: str) -> str:
        found = re.search(pattern, text)
        return found[1] if found else ""

    hosts = re.search(r"(?ms)^upstream slurmrest_hosts \{\n(.*?)^\}", text)
    cache = one(r"proxy_cache_path (\S+)")
    run = one(r"server unix:(\S+)/inner\.socket;")
    return {
        "name": one(r"(?m)^ +listen \S+ ssl(?:.|\n)*?server_name (\S+);"),
        "listen": re.findall(r"(?m)^ +listen (\S+) ssl", text),
        "certificate": one(r"(?m)^ +ssl_certificate (\S+);"),
        "key": one(r"(?m)^ +ssl_certificate_key (\S+);"),
        "revision": one(r"X-Slurmrest-Gateway ([0-9a-f]+)"),
        "hosts": re.findall(r"(?m)^ +server (\S+) max_fails", hosts[1]) if hosts else [],
        "logins": "upstream slurmrest_gateway_identity" in text,
        "places": [path for path in (run, cache) if path],
        "cache": cache,
    }


def _unit(fields: Mapping[str, str]) -> dict[str, Any]:
    return {
        "load": fields.get("LoadState", "not-found"),
        "active": fields.get("ActiveState", "inactive"),
        "enabled": show.enabled(fields),
        "result": fields.get("Result", ""),
        "pid": show.number(fields, "MainPID"),
    }


def _workers(main: int) -> Iterator[dict[str, Any]]:
    """The processes that nginx answers with: account, groups, and how many files each may open."""
    for path in glob.glob("/proc/[0-9]*/status") if main else ():
        lines = (line.partition(":") for line in (read_text(path) or "").splitlines())
        fields = {name: value.split() for name, _, value in lines}
        if fields.get("PPid") != [str(main)]:
            continue
        limits = read_text(posixpath.join(posixpath.dirname(path), "limits")) or ""
        most = re.search(r"(?m)^Max open files +(\d+)", limits)
        yield {
            "uid": int(fields["Uid"][1]),
            "gid": int(fields["Gid"][1]),
            "gids": [int(word) for word in fields.get("Groups", [])],
            "files": int(most[1]) if most else 0,
        }


def _account(workers: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The account and the groups that a worker has, whatever /etc/group says by now."""
    if not workers:
        return None
    one = workers[0]
    same = {key: one[key] for key in ("uid", "gid", "gids")}
    return {"name": owner_name(one["uid"]), "group": group_name(one["gid"]), "exists": True, **same}


def _certificate(told: Mapping[str, Any]) -> dict[str, Any]:
    """The certificate in its file as a client would judge it, and how many days it has."""
    found: dict[str, Any] = {"path": told["certificate"], "error": "", "days": None, "until": ""}
    try:
        labels = ("the certificate", "its key", "the name")
        found["until"] = certificate.judge(told["certificate"], told["key"], told["name"], labels)
        found["days"] = round((ssl.cert_time_to_seconds(found["until"]) - time.time()) / 86400, 1)
    except InputError as error:
        found["error"] = error.reason or error.message
    return found


def _served(told: Mapping[str, Any]) -> dict[str, Any]:
    """What nginx answers over TLS to a client without credentials, and whether its certificate is that of the file."""
    found: dict[str, Any] = {"address": "", "error": "", "status": None, "revision": "", "same_certificate": None}
    for address in told["listen"]:
        port = int(address.rpartition(":")[2])
        where = "::1" if address.startswith("[") else address.rpartition(":")[0]
        found["address"] = f"{'127.0.0.1' if where == '0.0.0.0' else where}:{port}"  # noqa: S104 - compared
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                socket.create_connection((found["address"].rpartition(":")[0], port), _PATIENCE) as plain,
                context.wrap_socket(plain, server_hostname=told["name"], do_handshake_on_connect=False) as tls,
                cut_off(tls, _PATIENCE),  # nginx may be down, and somebody else there
            ):
                tls.do_handshake()
                der = tls.getpeercert(binary_form=True) or b""
                tls.sendall(f"GET {_PATH} HTTP/1.0\r\nHost: {told['name']}\r\n\r\n".encode())
                head = tls.recv(65536).decode("latin-1")
        except OSError as error:
            found["error"] = error.strerror or str(error)
            return found
        status = re.match(r"HTTP/1\.[01] (\d{3})", head)
        revision = re.search(r"(?im)^X-Slurmrest-Gateway: (\S+)", head)
        found.update(status=int(status[1]) if status else None, revision=revision[1] if revision else "")
        found["same_certificate"] = _print(der) == _of_file(told["certificate"])
        break
    return found


def _print(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _of_file(path: str) -> str:
    with contextlib.suppress(OSError, ValueError):
        text = read_text(path) or ""
        begin, end = text.index("-----BEGIN CERTIFICATE-----"), text.index("-----END CERTIFICATE-----")
        return _print(ssl.PEM_cert_to_DER_cert(text[begin:end] + "-----END CERTIFICATE-----\n"))
    return ""


def _host(name: str, account: Mapping[str, Any] | None) -> dict[str, Any]:
    """One slurmrestd as nginx reaches it: why there is no connection, and whether nginx' account may use a socket."""
    entry = listeners.parse(name)
    if entry.kind != "unix":
        tried = connect(entry.host, entry.port)
        return {"host": name, "error": tried["error"], "closed": "", "from": _source(tried)}
    closed = ""
    try:
        if account and not all(may(above, account, 1) for above in directories_above(entry.path)):
            closed = posixpath.dirname(entry.path)
        elif account and not may(ownership(entry.path), account, 2):
            closed = entry.path
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(_PATIENCE)
            asked.connect(entry.path)
    except OSError as error:
        return {"host": name, "error": error.strerror or str(error), "closed": closed}
    return {"host": name, "error": "", "closed": closed}


def _source(tried: Mapping[str, Any]) -> str:
    """Whence packets go to where there was no connection; empty where there is no way. Nothing is sent."""
    for address in tried["addresses"] if tried["error"] else ():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((address, 1))
            return str(asked.getsockname()[0])
    return ""


def _identity(hosts: Sequence[str]) -> dict[str, Any]:
    """The identity service: which key it signs with, which its file holds, and what slurmctld says of that one."""
    found: dict[str, Any] = {"signs": "", "error": "", "key": "", "holds": "", "said": "", "answered": False}
    try:
        answer = request(Target.parse(f"unix:{IDENTITY_SOCKET}"), "GET", IDENTITY_KEY_PATH, timeout=_PATIENCE)
        found["signs"] = str(answer.json()["kid"]) if answer.status == 200 else ""
    except (ClientError, ValueError, KeyError, TypeError) as error:
        found["error"] = str(error)
    try:
        settings = json.loads(files.read(IDENTITY_SETTINGS))
        found.update(key=str(settings["key"]), kind=str(settings["identity"]), seconds=int(settings["token_seconds"]))
        key = PrivateKey.load(files.read(found["key"]).decode("ascii", "replace"), KEY_NAME)
        found["holds"] = key.public.kid
        said, found["answered"] = said_of(key, hosts)
        found["said"] = redacted(said)
    except (OSError, ValueError, KeyError, TypeError, UnsafePath, KeyFormatError) as error:
        found["no_key"] = str(error)
    return found


def _place(path: str) -> dict[str, Any]:
    """A directory of nginx': whose, and for whom."""
    try:
        status = os.lstat(path)
    except OSError as error:
        return {"path": path, "exists": False, "error": error.strerror or str(error)}
    return {
        "path": path,
        "exists": stat.S_ISDIR(status.st_mode),
        "owner": owner_name(status.st_uid),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
    }


def _connections() -> int:
    """How many connections a worker may have, as nginx.conf says."""
    found = re.search(r"(?m)^\s*worker_connections\s+(\d+)\s*;", read_text(MAIN) or "")
    return int(found[1]) if found else 512


def _refused() -> list[dict[str, Any]]:
    """Who was refused (401) lately, the most often first: address, how often, and how many other answers there were."""
    content = read_beginning(ACCESS_LOG, _LOG_BYTES, end=True)
    counted: dict[str, dict[str, Any]] = {}
    for line in (content or b"").decode("utf-8", "replace").splitlines():
        # nginx' account, which is not root, may have written anything there.
        with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
            entry = json.loads(line)
            when = time.mktime(time.strptime(entry["time"][:19], "%Y-%m-%dT%H:%M:%S"))
            if time.time() - when > LOOP_SECONDS:
                continue
            client = redacted(str(entry["client"]))[:200]
            one = counted.setdefault(client, {"client": client, "refused": 0, "others": 0, "path": ""})
            if entry["status"] == 401:
                one.update(refused=one["refused"] + 1, path=redacted(str(entry["path"]))[:200])
            else:
                one["others"] += 1
    return sorted((one for one in counted.values() if one["refused"]), key=lambda one: -one["refused"])[:5]


def _said() -> list[str]:
    """What nginx said last against its configuration, or where it could not do what that says."""
    command = ["journalctl", "--no-pager", "--quiet", "--unit=nginx.service", "--lines=60", "--output=cat"]
    lines = programs.run(command, limit=programs.LOOKING_SECONDS).stdout.splitlines()
    return [redacted(line.strip())[:300] for line in lines if re.search(r"\[(emerg|alert)\]", line)][-2:]
