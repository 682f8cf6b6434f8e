"""The question file: the yes-or-no questions about every prompt, and which depend on which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from i1_hooks import UserError

COLUMNS = (
    "item_id",
    "text",
    "keywords",
    "proposition_id",
    "dependency",
    "category_broad",
    "category_detailed",
    "tuple",
    "question_natural_language",
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question about the pictures of a prompt.

    Attributes:
        number: its number within the prompt.
        parents: the numbers of the questions that must hold for this one to count.
        text: what the judge is asked.
        category: the detailed category, as `attribute - color`.
    """

    number: int
    parents: tuple[int, ...]
    text: str
    category: str

    @property
    def broad_category(self) -> str:
        """The part of the category before the dash."""
        return self.category.partition("-")[0].strip()


def parse_questions(rows: Sequence[Mapping[str, str]], *, fixed: bool = False) -> dict[str, list[Question]]:
    """Returns the questions of each item in file order.

    The published reader skips the first row, and a second block of rows of an item replaces the first one.

    Args:
        rows: the file, by column name.
        fixed: keeps the first row and joins the blocks of an item.

    Raises:
        UserError: for a row without a column, or whose numbers are not whole numbers.
    """
    items: dict[str, list[Question]] = {}
    previous: str | None = None
    for line, row in enumerate(rows, 2):
        if line == 2 and not fixed:
            continue
        missing = [column for column in COLUMNS if row.get(column) is None]
        if missing:
            raise UserError(
                f"question file, line {line}: no column {missing[0]}; expected {', '.join(COLUMNS)}"
            )
        item = str(row["item_id"])
        if item not in items or (item != previous and not fixed):
            items[item] = []
        items[item].append(_question(row, line))
        previous = item
    return items


def _question(row: Mapping[str, str], line: int) -> Question:
    try:
        number = int(row["proposition_id"])
        parents = tuple(int(part) for part in str(row["dependency"]).split(","))
    except ValueError as error:
        raise UserError(
            f"question file, line {line}: proposition_id {row['proposition_id']!r} and dependency "
            f"{row['dependency']!r}: expected whole numbers, as 3 and 1, 2"
        ) from error
    return Question(
        number=number,
        parents=tuple(parent for parent in parents if parent != 0),
        text=str(row["question_natural_language"]),
        category=str(row["tuple"]).partition("(")[0].strip(),
    )
