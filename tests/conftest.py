"""What all tests share: the engine on the path, on every Python that runs them, and how long hypothesis searches."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugins" / "module_utils"))

with suppress(ImportError):  # a Python of a managed host may be without it
    from hypothesis import settings

    # Other work shares the processor with the tests: a slow example is no failure.
    settings.register_profile("quick", deadline=None)
    settings.register_profile("thorough", parent=settings.get_profile("quick"), max_examples=2000)
    settings.load_profile("quick")
