"""How plugins are named in a configuration: with their kind, or without it where the key says it. Pure."""

from __future__ import annotations

_KINDS = {
    "authalttypes": "auth",
    "jobsubmitplugins": "job_submit",
    "mcsplugin": "mcs",
    "nodefeaturesplugins": "node_features",
    "prepplugins": "prep",
    "slurmctldplugstack": "slurmctld",
    "storagetype": "accounting_storage",
}


def split(key: str, item: str) -> tuple[str, str]:
    """Kind and name of one item in the value of a key: ``lua`` of JobSubmitPlugins is job_submit and lua."""
    kind, slash, name = item.partition("/")
    return (kind, name) if slash else (_KINDS.get(key.lower(), ""), item)
