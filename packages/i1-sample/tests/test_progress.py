import sys

import pytest
from i1_sample.progress import loading_bar


def test_a_terminal_sees_the_part_and_its_bytes(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with loading_bar("denoiser [red]{x}") as show:
        assert show is not None
        assert capsys.readouterr().err == ""
        show(1_000_000, 4_000_000)
    seen = capsys.readouterr().err
    assert "loading denoiser [red]{x}" in seen
    assert "1.0/4.0 MB" in seen


def test_nothing_is_shown_elsewhere(capsys) -> None:
    with loading_bar("denoiser") as show:
        assert show is None
    assert capsys.readouterr().err == ""
