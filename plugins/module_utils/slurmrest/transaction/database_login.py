"""Whether a database lets slurmdbd in, where no sacctmgr is there with which slurmdbd could be asked.

It is tried as slurmdbd.conf says it, with the client library that slurmdbd has loaded, in a process of slurmdbd's
account: that is whose word the library is. The password goes there through a pipe, as that account reads it itself.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from ..host import programs
from ..host.numbers import whole
from ..host.private import private
from ..host.trust import roots_alone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host.proc import Account
    from ..slurm.conf import SlurmConf

SECONDS = 20.0
"""For the hosts of the database together."""

REFUSED = 3
"""How the process ends that was not let in; it says the reason."""

_MOST = 4096  # what any pipe takes at once

_LIBRARY = re.compile(r" (/\S*/lib(?:mariadb|mysqlclient|perconaserverclient)[^/\s]*\.so[^/\s]*)")

# As mysql_db_get_db_connection() of src/database/mysql_common.c. Either the server says no, or none is there (2002,
# 2003, 2005); what else the library has to say (numbers from 2000 on) is no word of the database's.
_LOGIN = """
import ctypes, json, os, sys
wanted = json.load(os.fdopen(int(sys.argv[2])))
library, text, pointer = ctypes.CDLL(sys.argv[1]), ctypes.c_char_p, ctypes.c_void_p
library.mysql_init.argtypes, library.mysql_init.restype = [pointer], pointer
library.mysql_options.argtypes = [pointer, ctypes.c_int, pointer]
library.mysql_real_connect.argtypes = [pointer, text, text, text, text, ctypes.c_uint, text, ctypes.c_ulong]
library.mysql_real_connect.restype = pointer
library.mysql_errno.argtypes, library.mysql_errno.restype = [pointer], ctypes.c_uint
library.mysql_error.argtypes, library.mysql_error.restype = [pointer], text
names = (wanted[name] for name in ("user", "password", "database"))
words = [word and word.encode("utf-8", "surrogateescape") for word in names]
said, known = [], True
for host in wanted["hosts"]:
    connection = library.mysql_init(None)
    library.mysql_options(connection, 0, ctypes.byref(ctypes.c_uint(5)))
    done = library.mysql_real_connect(connection, host.encode(), *words, wanted["port"], None, 1 << 16)
    number = library.mysql_errno(connection)
    if done or number == 1049:
        sys.exit(0)
    known = known and (number in (2002, 2003, 2005) or number < 2000 and number != 1040)
    said.append(f"{number} {library.mysql_error(connection).decode('utf-8', 'replace')}")
print("; ".join(said))
sys.exit(3 if known else 4)
"""
"""Gets the path of the library, and the pipe with what to log in with; a database that is not there would be made."""


class CannotTry(Exception):
    """The login cannot be tried; why."""


def refusal(conf: SlurmConf | None, running: Mapping[str, Any] | None, account: Account) -> str:
    """What the database says to who logs in as slurmdbd.conf has it; empty where it lets in.

    Args:
        conf: slurmdbd.conf, as ``account`` reads it.
        running: slurmdbd as :func:`..host.process.process` describes it.
        account: whose word that process is (:func:`..host.proc.all_the_while`).

    Raises:
        CannotTry: that is nothing that can be tried here.
    """
    if conf is None or running is None:
        raise CannotTry("slurmdbd.conf cannot be read, or its process not be looked at")
    wanted = _wanted(conf)
    maps = private(running["pid"], "maps", running["uid"], running["gid"])
    library = _LIBRARY.search(maps or "")
    if library is None:
        raise CannotTry("slurmdbd has no client library of its database loaded that is known here")
    if account[0] == 0 and not roots_alone(library[1]):
        raise CannotTry(f"{library[1]}, which slurmdbd has loaded, is not root's alone")
    who = programs.whom(*account) if account[0] and os.geteuid() == 0 else {}
    done = _tried(wanted, library[1], who)
    if done.returncode not in (0, REFUSED):
        said = " ".join(programs.words(done).splitlines()[-1:])
        raise CannotTry(f"its login cannot be tried: {said}")
    return done.stdout.strip() if done.returncode == REFUSED else ""


def _wanted(conf: SlurmConf) -> dict[str, Any]:
    """What to log in with. Raises CannotTry for what slurmdbd might do otherwise."""
    untried = [key for key in ("StorageParameters", "StoragePassScript") if conf.get(key)]
    if untried or not (conf.get("StorageType") or "").lower().endswith("mysql"):
        raise CannotTry(f"no login is tried with {' and '.join(untried) or 'another database than MySQL or MariaDB'}")
    user, port = conf.get("StorageUser"), whole(conf.get("StoragePort") or "3306")
    if not user or port is None:
        raise CannotTry("slurmdbd.conf has no StorageUser, or no number as StoragePort")
    return {
        "hosts": [conf.get("StorageHost") or "localhost", *filter(None, [conf.get("StorageBackupHost")])],
        "port": port,
        "user": user,
        "password": conf.get("StoragePass"),
        "database": conf.get("StorageLoc") or "slurm_acct_db",
    }


def _tried(wanted: Mapping[str, Any], library: str, who: Mapping[str, Any]) -> programs.Done[str]:
    text = json.dumps(wanted)
    if len(text) > _MOST:
        raise CannotTry("what slurmdbd.conf says of its database is too long")
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as pipe:
            pipe.write(text)
        words = [sys.executable or "python3", "-I", "-c", _LOGIN, library, str(reading)]
        return programs.run(words, limit=SECONDS, pass_fds=(reading,), **who)
    finally:
        os.close(reading)
