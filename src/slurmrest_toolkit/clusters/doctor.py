"""``slurmrest doctor``: playbooks/doctor.yml against a test cluster, and its report."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmrest.doctor.this_host import LocalRequest

from slurmrest_toolkit.ansible_runs import playbooks
from slurmrest_toolkit.support.errors import ClusterFailedError

if TYPE_CHECKING:
    from slurmrest_toolkit.clusters.state import Cluster
    from slurmrest_toolkit.support.progress import Progress


@dataclass(frozen=True)
class ClientRequest:
    """A request that does not work for a client: ``GET /slurm/…/diag``, the user header, the file of its token."""

    line: str
    user: str = ""
    token_file: str = ""

    def variables(self) -> dict[str, str]:
        """Return the playbook's variable.

        Raises:
            InputError: the line is no method and path.
        """
        request = LocalRequest.parse(self.line, self.user).variables()
        return {**request, **({"token_file": str(Path(self.token_file).absolute())} if self.token_file else {})}


def examine(
    cluster: Cluster, progress: Progress, *, client: ClientRequest | None = None, evidence: str | None = None
) -> dict[str, Any]:
    """Run the playbook and return the report.

    Args:
        cluster: the test cluster.
        progress: shows what is going on.
        client: a request to be explained.
        evidence: file that takes the evidence.

    Raises:
        InputError: the request is none.
        ClusterFailedError: the playbook came to no report.
    """
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "report.json"
        variables: dict[str, Any] = {"slurmrest_doctor_report": str(file)}
        if client is not None:
            variables["slurmrest_doctor_request"] = client.variables()
        if evidence is not None:
            variables["slurmrest_doctor_evidence"] = str(Path(evidence).absolute())
        progress.phase("doctor", f"looking at {', '.join(node.name for node in cluster.nodes)}")
        try:
            playbooks.run(
                cluster.directory / "inventory" / "hosts.yml",
                ["doctor.yml"],
                cluster.directory / "logs" / "doctor.log",
                arguments=["--extra-vars", json.dumps(variables)],
                on_playbook=lambda _name: None,
                on_task=progress.update,
            )
        except ClusterFailedError:
            if not file.exists():  # otherwise it failed because it found something
                raise
        progress.finish()
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return report
