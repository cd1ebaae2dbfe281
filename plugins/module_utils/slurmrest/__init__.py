"""The engine of slurmrest-toolkit: what slurmrestd needs on a host, decided from evidence.

Standard library only, Python 3.9 and later: the Ansible modules carry it to any host. Functions are pure unless the
module says otherwise; I/O lives in ``detect``, ``transaction`` and ``client``.
"""

from __future__ import annotations
