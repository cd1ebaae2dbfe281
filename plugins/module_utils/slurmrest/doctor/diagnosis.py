"""Which signs are causes and which are their consequences.

Every rule names the rules that see no more than its consequences. A sign that another sign explains is not a finding of
its own: it is told as a consequence. What nothing explains is a finding, which is how a fault that no rule knows is
still reported: by the rule that sees its symptom, with the daemon's own words.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..redaction import CONTROL, redacted
from .remedies import addressed, for_people
from .rules_between_daemons import RULES as BETWEEN_DAEMONS
from .rules_cluster import RULES as CLUSTER
from .rules_cluster import SYMPTOMS
from .rules_conf import RULES as CONF
from .rules_confinement import RULES as CONFINEMENT
from .rules_controllers import RULES as CONTROLLERS
from .rules_database import RULES as DATABASE
from .rules_differences import RULES as DIFFERENCES
from .rules_gateway import RULES as GATEWAY
from .rules_installed import RULES as INSTALLED
from .rules_key_place import RULES as KEY_PLACE
from .rules_keys import RULES as KEYS
from .rules_listeners import RULES as LISTENERS
from .rules_munge import RULES as MUNGE
from .rules_permitted import RULES as PERMITTED
from .rules_plugins import RULES as PLUGINS
from .rules_ports import RULES as PORTS
from .rules_renumbered import RULES as RENUMBERED
from .rules_requests import RULES as REQUESTS
from .rules_service import RULES as SERVICE
from .rules_start import RULES as START
from .rules_state import RULES as STATE
from .rules_systemd import RULES as SYSTEMD
from .rules_units import RULES as UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .model import Cluster, Rule, Sign

SCHEMA = 1
"""Version of the JSON shape; rises when a key is renamed or gone."""

RULES: tuple[Rule, ...] = (
    *UNITS,
    *START,
    *SYSTEMD,
    *CONF,
    *PORTS,
    *CONFINEMENT,
    *LISTENERS,
    *INSTALLED,
    *PLUGINS,
    *SERVICE,
    *RENUMBERED,
    *KEYS,
    *KEY_PLACE,
    *STATE,
    *CONTROLLERS,
    *MUNGE,
    *DATABASE,
    *CLUSTER,
    *DIFFERENCES,
    *BETWEEN_DAEMONS,
    *GATEWAY,
    *PERMITTED,
    *REQUESTS,
    *SYMPTOMS,
)
"""In the order in which equally weighty causes are reported."""


@dataclass(frozen=True)
class Finding:
    """One cause, with all hosts where it was seen."""

    id: str
    title: str
    cause: str
    evidence: Sequence[str]
    consequences: Sequence[str]
    remedy: str
    by_hand: str
    documentation: str
    host: str
    passing: bool

    def __post_init__(self) -> None:
        # All quote logs, files and answers.
        object.__setattr__(self, "cause", redacted(self.cause))
        object.__setattr__(self, "evidence", [redacted(text) for text in self.evidence])
        object.__setattr__(self, "consequences", [redacted(text) for text in self.consequences])
        object.__setattr__(self, "remedy", CONTROL.sub("\N{REPLACEMENT CHARACTER}", self.remedy))


@dataclass(frozen=True)
class Diagnosis:
    """The causes, most likely first; none for a healthy cluster."""

    slurm_version: str | None
    findings: Sequence[Finding]

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        findings = [asdict(finding) for finding in self.findings]
        for finding in findings:
            del finding["passing"]
        return {
            "schema": SCHEMA,
            "healthy": self.healthy,
            "slurm_version": self.slurm_version,
            "findings": findings,
        }


def diagnose(cluster: Cluster) -> Diagnosis:
    """Name the causes; before a deployment only those that it does not mend and would break over."""
    rules = [rule for rule in RULES if rule.preflight or not cluster.preflight]
    seen = [(rule, sign) for rule in rules for sign in rule.look(cluster)]
    roots = _roots(seen)
    findings = [_finding(rule, [sign for other, sign in roots if other is rule], seen) for rule, _ in roots]
    unique = {finding.id: finding for finding in findings}.values()
    return Diagnosis(cluster.version, sorted(unique, key=lambda finding: -bool(finding.consequences)))


def catalogue() -> list[dict[str, str]]:
    """Every finding there can be, in the order of the report."""
    return [{name: getattr(rule, name) for name in ("id", "title", "documentation", "by_hand")} for rule in RULES]


def _explains(cause: tuple[Rule, Sign], other: tuple[Rule, Sign]) -> bool:
    """Whether one sign is a direct consequence of another."""
    (rule, sign), (other_rule, other_sign) = cause, other
    if rule is other_rule or not _fits(rule, other_sign):
        return False
    targets = rule.explains if sign.explains is None else sign.explains
    return other_rule.id in targets and (other_rule.anywhere or rule.anywhere or sign.host == other_sign.host)


def _fits(rule: Rule, sign: Sign) -> bool:
    """Whether a daemon's own words, where it ended with some, allow this reason."""
    return not sign.ended or bool(rule.fatals and re.search(rule.fatals, "\n".join(sign.ended)))


def _roots(seen: Sequence[tuple[Rule, Sign]]) -> list[tuple[Rule, Sign]]:
    return [one for one in seen if not any(_explains(cause, one) for cause in seen)]


def _consequences(root: tuple[Rule, Sign], seen: Sequence[tuple[Rule, Sign]]) -> list[tuple[Rule, Sign]]:
    """All that follows from a sign, near things first."""
    found: list[tuple[Rule, Sign]] = []
    queue = [root]
    while queue:
        cause = queue.pop(0)
        for other in seen:
            if other not in found and other != root and _explains(cause, other):
                found.append(other)
                queue.append(other)
    return found


def _finding(rule: Rule, signs: Sequence[Sign], seen: Sequence[tuple[Rule, Sign]]) -> Finding:
    many = len({sign.host for sign in signs}) > 1
    remedy = _remedy(signs)
    consequences = [
        f"{sign.host}: {other.title}" + (f" ({sign.evidence[0]})" if sign.evidence else "")
        for one in signs
        for other, sign in _consequences((rule, one), seen)
        if other is not rule
    ]
    return Finding(
        id=rule.id,
        title=rule.title,
        cause=_join(sign.cause for sign in signs),
        evidence=list(dict.fromkeys(f"{one.host}: {text}" if many else text for one in signs for text in one.evidence)),
        consequences=list(dict.fromkeys(consequences)),
        remedy=remedy,
        by_hand=rule.by_hand if for_people(remedy) else "",
        documentation=rule.documentation,
        host=", ".join(dict.fromkeys(sign.host for sign in signs)),
        passing=rule.passing,
    )


def _remedy(signs: Sequence[Sign]) -> str:
    """One for all hosts; where they differ, each says for which it is."""
    hosts: dict[str, list[str]] = {}
    for sign in signs:
        hosts.setdefault(sign.remedy, []).append(sign.host)
    many = len({sign.host for sign in signs}) > 1
    if len(hosts) == 1 or not (many or any(map(addressed, hosts))):
        return _join(hosts)
    return _join(f"On {' and '.join(dict.fromkeys(names))}: {remedy}" for remedy, names in hosts.items())


def _join(texts: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(texts))


def passing_only(report: Diagnosis) -> bool:
    """Whether a cluster that has just started could show all of this."""
    return bool(report.findings) and all(finding.passing for finding in report.findings)


def rules_by_id() -> Mapping[str, Rule]:
    """For tests and documents."""
    return {rule.id: rule for rule in RULES}
