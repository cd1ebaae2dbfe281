"""What came of slurm.conf on the controller that leads, and what the rest of the run can do by that."""

from __future__ import annotations

from dataclasses import dataclass

MERGED, LEFT = "merged", "left"


@dataclass(frozen=True)
class ConfOutcome:
    """What role slurm_conf has done there.

    Attributes:
        planned: whether it has compared its lines with a file of the site.
        left: whether that file lacks some which it may not write without consent, since a daemon would restart.
        changed: whether it has changed files; in check mode, whether it would.
    """

    planned: bool = False
    left: bool = False
    changed: bool = False

    @property
    def word(self) -> str:
        """``left`` to the site; ``merged``, in check mode as it would be; nothing where the site has no such file."""
        if self.left:
            return LEFT
        return MERGED if self.planned else ""

    def provable(self, *, service_changed: bool, check: bool) -> bool:
        """Return whether a REST host can be proven to work: tokens are accepted, and nothing is still to be changed.

        Args:
            service_changed: whether the host's own service was changed; in check mode, whether it would be.
            check: whether the run only says what it would change.
        """
        return not self.left and not (check and (self.changed or service_changed))
