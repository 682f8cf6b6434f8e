"""The nouns of captions and prompts."""

from __future__ import annotations


def with_article(noun_phrase: str) -> str:
    """Returns the phrase with its indefinite article.

    Example:
        >>> with_article("orange circle")
        'an orange circle'
    """
    return f"{'an' if noun_phrase[0] in 'aeiou' else 'a'} {noun_phrase}"


def plural(shape: str) -> str:
    """Returns the plural of a shape's name.

    Example:
        >>> plural("cross")
        'crosses'
    """
    return f"{shape}es" if shape.endswith("s") else f"{shape}s"
