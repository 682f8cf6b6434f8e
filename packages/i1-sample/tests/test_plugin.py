from pathlib import Path

import pytest
from i1_hooks import UserError
from i1_hooks.testing import check_plugin
from i1_sample import plugin, weights


def test_every_component() -> None:
    check_plugin(plugin)


def test_absent_weights_are_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(UserError, match="i1 train scenes"):
        weights.scenes()
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "config.json").write_text("{}")
    assert weights.scenes() == tmp_path / "scenes"
