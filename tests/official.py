"""Where real model outputs with their official scores lie, on machines that have them."""

from pathlib import Path

import pytest

SCORERS = Path(__file__).resolve().parents[2] / "shared/data/scorers"

needs_scorers = pytest.mark.skipif(
    not SCORERS.is_dir(), reason=f"official scores are not here: no folder {SCORERS}"
)
