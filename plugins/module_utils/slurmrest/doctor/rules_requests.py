"""Causes in a client's own request: its token, its user header, its URL, its method."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..rest.effect import changes
from .model import Cluster, Host, Rule, Sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Client = Mapping[str, Any]

QUICK_START = "rest_quickstart.html, Common Issues"
_REFUSING = (401, 403, 511)  # the last one is what slurmrestd makes of an authentication that failed
FRESH = "scontrol token username=USER lifespan=600 on the controller (unset SLURM_JWT first)"


def client_of(cluster: Cluster) -> Iterator[tuple[Host, Client]]:
    """The client's request, as it was judged on the first REST host that answers."""
    for host in cluster.rest:
        client = host.http.get("client")
        if client:
            yield host, client
            return


def _sent(client: Client) -> str:
    return f"{client['method']} {client['path']}" + (f" as {client['user']}" if client["user"] else "")


def _answered(host: Host, client: Client) -> list[str]:
    answer = client["answer"]
    if not answer:
        return []
    return [f"GET {host.http['url']}{answer['path']} with this token: {answer['status']} {answer['words']}".rstrip()]


def _rule(judge: Callable[[Host, Client], str], remedy: str) -> Callable[[Cluster], Iterator[Sign]]:
    """A rule from a judge that gives the cause in words, or nothing."""

    def look(cluster: Cluster) -> Iterator[Sign]:
        for host, client in client_of(cluster):
            cause = judge(host, client)
            if cause:
                version = client.get("version") or "vX"
                newest = ((host.http.get("served") or {}).get("slurm") or [version])[-1]
                text = remedy.format(method=client["method"], twin=client.get("twin"), newest=newest)
                yield Sign(host.name, cause, [_sent(client), *_answered(host, client)], text)

    return look


def _no_token(_host: Host, client: Client) -> str:
    return "" if client["token"] else "The request carries no token: 401, Authentication does not apply to request."


def _expired(_host: Host, client: Client) -> str:
    token = client["token"] or {}
    if token.get("expiry_fault"):
        return f"The token of the client cannot be good: {token['expiry_fault']}."
    left = token.get("seconds_left")
    return f"The token of the client expired {-left:.0f} s ago." if left is not None and left < 0 else ""


def _wrong(host: Host, client: Client) -> str:
    """Whatever else makes slurmctld refuse this token while it takes a fresh one."""
    token, answer = client["token"], client["answer"]
    if not token or _expired(host, client) or _no_user(host, client):
        return ""
    if not token["jwt"]:
        return f"What the client sends as a token is none ({token['words']})."
    if not _refuses(answer) or not (host.http.get("diag") or {}).get("good"):
        return ""
    if client["user"] and token["user"] and client["user"] != token["user"]:
        return f"The token is {token['user']}'s, and the request claims to come from {client['user']}."
    return "The token is signed with another key than slurmctld's, or was changed on the way."


def _refuses(answer: Client | None) -> bool:
    """Whether an answer is about who asks: none at all, or one about something else, blames no token.

    Older releases say no more than that it failed.
    """
    if not answer or answer["good"] or answer["status"] is None:
        return False
    return answer["status"] in _REFUSING or bool(re.search(r"(?i)authenti|Unspecified error", answer["words"]))


def _no_user(host: Host, client: Client) -> str:
    release = host.release
    if client["token"] and release and release.user_header_required and not client["user"]:
        return "This release wants X-SLURM-USER-NAME beside the token, and the request has none: 401."
    return ""


def _characters(_host: Host, client: Client) -> str:
    bad = " ".join(client["bad_characters"])
    return f"The URL holds characters that must be escaped: {bad}" if bad else ""


def _version(host: Host, client: Client) -> str:
    served = host.http.get("served") or {}
    family = "slurmdb" if client["path"].startswith("/slurmdb/") else "slurm"
    version, known = client.get("version"), served.get(family) or []
    if version and known and version not in known:
        return f"{version} is not served by this release; it serves {', '.join(known)}."
    return ""


def _family(host: Host, client: Client) -> str:
    if client.get("twin") and not client.get("methods") and not _version(host, client):
        return f"The URL belongs to the other family: {client['twin']} exists."
    return ""


def _method(_host: Host, client: Client) -> str:
    methods = client.get("methods")
    if methods and client["method"] not in methods:
        return f"The URL exists, but not for {client['method']}: it takes {', '.join(methods)}."
    return ""


def _unknown(host: Host, client: Client) -> str:
    known = client.get("methods") is None or client["methods"]
    if known or _version(host, client) or _family(host, client) or client["bad_characters"]:
        return ""
    return "slurmrestd has no such URL."


_FAMILY = {"/slurm/": "diag", "/slurmdb/": "clusters"}
_JUDGES = (_no_token, _expired, _wrong, _no_user, _characters, _version, _family, _method, _unknown)


def _unexplained(cluster: Cluster) -> Iterator[Sign]:
    """Nothing is wrong with it that can be seen from outside, and yet it is said to fail, or does."""
    for host, client in client_of(cluster):
        repeated, family = client.get("repeated"), client["path"][: client["path"].find("/", 1) + 1]
        behind = host.http.get(_FAMILY.get(family, "diag"))
        if any(judge(host, client) for judge in _JUDGES) or (behind and not behind["good"]):
            continue
        if repeated and repeated["good"]:
            continue
        if repeated:
            words = f"{repeated['status'] or repeated['kind']} {repeated['words']}".rstrip()
            cause, seen = "The request fails here, too, and slurmrestd says why.", f"repeated here: {words}"
            remedy = "Do what the answer says: it is about what is asked for, or about what its user may do."
        elif client["answer"] and not client["answer"]["good"]:
            cause = "slurmctld does not answer this client, and answers root with a fresh token."
            seen, remedy = "not repeated", "See journalctl -u slurmctld, and the answer that is quoted."
        elif changes(client["method"], client["path"]) and client.get("methods"):
            cause = (
                "Token, user header, URL and method are right, so what decides is its body, or what its user may do. "
                "It was not repeated, for it would change something."
            )
            seen, remedy = (
                "not repeated",
                "See errors[] and warnings[] of the answer that the client got; docs/users.md.",
            )
        else:
            continue
        yield Sign(host.name, cause, [_sent(client), *_answered(host, client), seen], remedy)


_CLIENT = "what is sent is the client's"

RULES = (
    Rule(
        "request-fails",
        "The request itself is refused",
        f"{QUICK_START}; rest_api.html",
        _unexplained,
        by_hand=_CLIENT,
    ),
    Rule(
        "request-token-missing",
        "The client sends no token",
        QUICK_START,
        _rule(_no_token, f"Send X-SLURM-USER-NAME and X-SLURM-USER-TOKEN; a token: {FRESH}"),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-token-expired",
        "The client's token has expired",
        QUICK_START,
        _rule(_expired, f"A new one: {FRESH}"),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-token-wrong",
        "The client's token is refused",
        QUICK_START,
        _rule(_wrong, f"A new one: {FRESH}"),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-user-missing",
        "The client does not say who it is",
        "rest.shtml, Authentication",
        _rule(_no_user, "Send X-SLURM-USER-NAME: USER beside the token."),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-character",
        "The URL is not escaped",
        QUICK_START,
        _rule(_characters, "Escape them by percent signs, such as %2F for a slash and %3A for the colons of a time."),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-version",
        "The API version is not served",
        f"{QUICK_START}; rest_clients.html, API versions",
        _rule(_version, "Ask for {newest}, or for another version that is served."),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-family",
        "The URL belongs to the other daemon",
        QUICK_START,
        _rule(_family, "Ask for {twin}"),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-method",
        "The URL does not take this method",
        QUICK_START,
        _rule(_method, "See /openapi/v3 for the method."),
        by_hand=_CLIENT,
    ),
    Rule(
        "request-url",
        "There is no such URL",
        QUICK_START,
        _rule(_unknown, "See /openapi/v3 for all URLs."),
        by_hand=_CLIENT,
    ),
)
