import pytest
from i1_hooks.text import one_line


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("a\n  b\tc\r\n", "a b c"),
        ("a\u2028b\x85c\x0bd", "a b c d"),
        ("red\x1b[31m\x00\x7f", "red\\x1b[31m\\x00\\x7f"),
        ("a\udcffb\ud800", "a\\xffb\\ud800"),
        ("👩‍🚀 é", "👩‍🚀 é"),
        (ValueError("two\nlines"), "two lines"),
        (KeyError(), "KeyError"),
        ("", ""),
        (7, "7"),
    ],
)
def test_any_message_is_one_line_that_can_be_printed(message, line):
    assert one_line(message) == line
    assert one_line(message).encode().decode() == line
