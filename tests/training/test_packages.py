"""Says so where the tests of training are left out."""

from __future__ import annotations

import pytest

from tests.training.conftest import MISSING


@pytest.mark.skipif(bool(MISSING), reason=f"training is not tested: {', '.join(MISSING)} missing")
def test_what_training_stands_on_is_there() -> None:
    assert not MISSING
