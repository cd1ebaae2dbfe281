"""What can be proven without the key that signs tokens, and without a job: by a host that is asked to."""

from __future__ import annotations

from . import capacity, checks, refusals

CHECKS = (*checks.CHECKS, *refusals.TOKENS, *refusals.REQUESTS, *capacity.CHECKS)
"""In the order of the report."""
