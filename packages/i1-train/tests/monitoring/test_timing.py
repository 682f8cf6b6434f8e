import json

import pytest
from i1_train.monitoring.timing import is_due

KINDS = {"default": {}, "nofirst": {"first": False}, "nolast": {"last": False}}


@pytest.mark.golden(pattern="itstime.json")
def test_recorded_steps(golden_file):
    recorded = json.loads(golden_file.read_text())
    for kind, options in KINDS.items():
        for case, expected in recorded[kind].items():
            every, total = map(int, case.split(","))
            found = [step for step in range(1, total + 1) if is_due(step, every, total, **options)]
            assert found == expected, (kind, case)
