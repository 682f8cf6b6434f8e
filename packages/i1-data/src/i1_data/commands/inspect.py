"""`i1 data inspect`: what sources hold, as numbers and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from i1_hooks import CommandParser, UserError, from_dict, get_registry
from i1_hooks.files import user_path, write_atomically
from i1_hooks.text import one_line

from i1_data.commands.components import SOURCE_HELP, parse_source
from i1_data.inspection.measure import Measured, measure, percentiles
from i1_data.inspection.page import render_page
from i1_data.mixings import MixingConfig, check_proportions
from i1_data.reading import open_source
from i1_data.visits import make_visits


def main(argv: Sequence[str]) -> int:
    """Runs `i1 data inspect`; returns 1 when too many captions are cut off, otherwise 0.

    Raises:
        UserError: for a mistake on the command line, and a source or tokenizer that cannot be read.
    """
    parser = CommandParser(
        prog="i1 data inspect",
        description="Print sizes, caption lengths and mixture shares; --output adds a page with pictures.",
    )
    add = parser.add_argument
    add("sources", metavar="SOURCE", nargs="+", help=SOURCE_HELP)
    add("--output", metavar="F", help="write a page, such as page.html")
    add("--records", type=int, default=1000, metavar="N", help="measured in each source (default: 1000)")
    add("--pictures", type=int, default=48, metavar="N", help="shown on the page (default: 48)")
    mixings = ", ".join(get_registry().components("mixings"))
    add("--mixing", default="equal", metavar="NAME", help=f"{mixings} (default: equal)")
    add("--visits", type=int, default=10_000, metavar="N", help="whose sources are counted (default: 10000)")
    add("--tokenizer", metavar="F", help="tokenizer.json of the text encoder, to count tokens")
    add("--max-tokens", type=int, default=256, metavar="N", help="tokens that it takes (default: 256)")
    add(
        "--max-cut",
        type=float,
        default=0.05,
        metavar="S",
        help="share of captions allowed to be longer (default: 0.05)",
    )
    arguments = parser.parse_args(argv)
    for name in ("records", "pictures", "visits", "max_tokens"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {getattr(arguments, name)}")
    count_tokens = _token_counter(arguments.tokenizer) if arguments.tokenizer else None
    configs = [parse_source(text, strict=False) for text in arguments.sources]
    opened = [open_source(config) for config in configs]
    found = Measured()
    for config, source in zip(configs, opened, strict=True):
        part = measure(
            config,
            source,
            num_records=arguments.records,
            num_pictures=-(-arguments.pictures // len(configs)),
            count_tokens=count_tokens,
        )
        _add(found, part)
    shares = _shares(
        arguments.mixing, arguments.sources, [len(source) for source in opened], arguments.visits
    )
    print(f"{sum(map(len, opened))} records, {found.records} measured, {len(found.unreadable)} unreadable")
    for key, reason in found.unreadable[:10]:
        print(one_line(f"  {key}: {reason}"))
    for name, values in (
        ("height", found.heights),
        ("width", found.widths),
        ("captions per record", found.captions),
        ("words per caption", found.words),
        ("tokens per caption", found.tokens),
    ):
        if values:
            print(f"{name}: {', '.join(f'{key} {value}' for key, value in percentiles(values).items())}")
    for name, asked, seen in shares:
        print(f"{name}: asked for {asked:.2%}, observed {seen:.2%} of {arguments.visits} visits")
    if arguments.output:
        page = render_page(", ".join(arguments.sources), found, shares)
        print(write_atomically(user_path(arguments.output), page))
    if count_tokens is None:
        return 0
    cut = found.share_cut(arguments.max_tokens)
    print(f"{cut:.2%} of the captions have more than {arguments.max_tokens} tokens")
    return 1 if cut > arguments.max_cut else 0


def _token_counter(path: str) -> Callable[[Sequence[str]], list[int]]:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise UserError("tokenizers is not installed; pip install tokenizers") from error
    if not user_path(path).is_file():
        raise UserError(f"--tokenizer: no file {path!r}; name a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(user_path(path)))
    except Exception as error:  # the library raises this class itself
        raise UserError(f"--tokenizer: {path!r} is no tokenizer: {error}") from error
    return lambda captions: [len(found.ids) for found in tokenizer.encode_batch(list(captions))]


def _add(found: Measured, part: Measured) -> None:
    found.records += part.records
    for name in ("heights", "widths", "captions", "words", "tokens", "unreadable", "pictures"):
        getattr(found, name).extend(getattr(part, name))


def _shares(
    mixing: str, names: Sequence[str], sizes: Sequence[int], num_visits: int
) -> list[tuple[str, float, float]]:
    """Returns name, asked-for and observed share of each source; nothing for a single one."""
    if len(names) == 1:
        return []
    config: MixingConfig = from_dict(MixingConfig, {"component": mixing})
    proportions = check_proportions(config, sizes)
    visits: Any = make_visits(sizes, proportions, 0)
    seen = Counter(visits[number][0] for number in range(num_visits))
    return [
        (name, share / sum(proportions), seen[number] / num_visits)
        for number, (name, share) in enumerate(zip(names, proportions, strict=True))
    ]
