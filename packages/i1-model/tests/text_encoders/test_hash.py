import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_model.testing.text_encoders import TextEncoderSuite
from i1_model.text_encoders.hash import HashEncoder, hash_channels, split_prompt, token_id


class TestHash(TextEncoderSuite):
    component = HashEncoder()


class TestNarrowHash(TextEncoderSuite):
    component = HashEncoder(num_tokens=24, width=16)


def texts(prompt: str) -> list[str]:
    return [text for text, _ in split_prompt(prompt)]


def test_words_are_lower_cased_and_punctuation_stands_alone() -> None:
    assert texts("A Red-ish circle, isn't it?") == ["a", "red-ish", "circle", ",", "isn't", "it", "?"]
    assert texts("  été  3 stars.") == ["été", "3", "stars", "."]


def test_quoted_text_is_spelled_with_places() -> None:
    assert split_prompt('say "Ab c".') == [
        ("say", 0),
        ('"', 0),
        ("A", 1),
        ("b", 2),
        (" ", 3),
        ("c", 4),
        ('"', 0),
        (".", 0),
    ]
    assert texts("“Hi”") == ['"', "H", "i", '"']
    assert split_prompt('5" of Snow') == [("5", 0), ('"', 0), ("of", 0), ("snow", 0)]


IDS = [105023697, 3552868849, 1678401550, 706259793, 2906001689, 3552868849]
ROW = [
    -1.29339,
    1.045425,
    0.8119884,
    1.229848,
    0.2756482,
    0.9658238,
    0.4963744,
    0.1272304,
    -0.6863528,
    1.690946,
    -1.434822,
    1.704393,
    0.1995738,
    -1.400061,
    1.285941,
    -0.5885205,
]


def test_ids_are_pinned() -> None:
    tokens = HashEncoder().build().tokenize(['a "Cat"'])
    assert tokens["ids"].dtype == np.uint32
    assert tokens["ids"][0, :7].tolist() == [*IDS, 0]
    assert tokens["mask"][0].sum() == len(IDS)
    assert tokens["spelling"][0, :7].tolist() == [0, 0, 1, 2, 3, 0, 0]


def test_embeddings_are_pinned() -> None:
    encoder = HashEncoder(width=16).build()
    row = encoder.encode(encoder.params, encoder.tokenize(['a "Cat"']))[0, 3]
    np.testing.assert_allclose(row, ROW, atol=2e-6)


def test_ids_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    code = "from i1_model.text_encoders.hash import token_id; print(token_id('circle', False))"
    for seed in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(result.stdout) == token_id("circle", False)


def test_a_spelled_letter_is_not_the_word_and_keeps_its_case() -> None:
    assert len({token_id("a", False), token_id("a", True), token_id("A", True)}) == 3


def test_hashed_channels_have_zero_mean_unit_variance_and_no_correlation() -> None:
    values = np.asarray(hash_channels(jnp.arange(4096, dtype=jnp.uint32), 96))
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    correlation = np.corrcoef(values.T) - np.eye(96)
    assert np.abs(correlation).max() < 0.1


def test_the_same_word_differs_by_place_and_masked_places_are_not_zero() -> None:
    encoder = HashEncoder().build()
    embeddings = np.asarray(encoder.encode({}, encoder.tokenize(["star star"])))[0]
    np.testing.assert_array_equal(embeddings[0, :96], embeddings[1, :96])
    assert np.abs(embeddings[0, 96:] - embeddings[1, 96:]).max() > 0.1
    np.testing.assert_array_equal(embeddings[2:, :96], np.broadcast_to(embeddings[2, :96], (30, 96)))
    assert 0.9 < embeddings[2:].std() < 1.1


@pytest.mark.parametrize("prompt", ["", "   ", "\n"])
def test_an_empty_prompt_has_no_valid_token(prompt: str) -> None:
    encoder = HashEncoder().build()
    tokens = encoder.tokenize(["a star", prompt])
    np.testing.assert_array_equal(tokens["mask"].sum(axis=1), [2, 0])
    assert np.isfinite(encoder.encode({}, tokens)).all()


@pytest.mark.parametrize(("word", "shown"), [("star ", "star star"), ("🙂", "🙂🙂"), ("été, ", "été, été")])
def test_a_long_prompt_is_refused_with_its_text_and_the_ways_out(word: str, shown: str) -> None:
    encoder = HashEncoder(num_tokens=3)
    prompt = word * 4 if word != "🙂" else '"🙂🙂🙂🙂"'
    count = len(split_prompt(prompt))
    with pytest.raises(UserError) as caught:
        encoder.build().tokenize(["a star", prompt])
    message = str(caught.value)
    assert shown in message
    assert f"has {count} tokens, the hash encoder takes at most 3: shorten it by {count - 3} (" in message
    # Each of the three ways out works.
    kept = encoder.build().tokenize([" ".join(text for text, _ in split_prompt(prompt)[:3]).replace('"', "")])
    assert kept["mask"].any()
    assert HashEncoder(num_tokens=count).build().tokenize([prompt])["mask"].all()
    assert "truncation=true" in message
    assert HashEncoder(num_tokens=3, truncation=True).build().tokenize([prompt])["mask"].all()


def test_truncation_keeps_the_first_tokens_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    whole = HashEncoder(num_tokens=8).build().tokenize(['say "abcd" now'])
    assert not caplog.records
    cut = HashEncoder(num_tokens=5, truncation=True).build().tokenize(['say "abcd" now', "a"])
    for name in ("ids", "mask", "spelling"):
        np.testing.assert_array_equal(cut[name][0], whole[name][0, :5])
    (record,) = caplog.records
    assert record.getMessage() == (
        "1 of 2 prompts cut to 5 tokens; most was lost, 3 tokens, by 'say \"abcd\" now'"
    )


@pytest.mark.parametrize("count", [3, 4])
def test_the_budget_itself_is_allowed(count: int) -> None:
    prompt = " ".join(["star"] * count)
    if count == 3:
        assert HashEncoder(num_tokens=3).build().tokenize([prompt])["mask"].all()
    else:
        with pytest.raises(UserError, match="has 4 tokens"):
            HashEncoder(num_tokens=3).build().tokenize([prompt])


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 24), ("width", 0), ("width", 2**16 + 16), ("num_tokens", 0), ("num_tokens", 2**16 + 1)],
)
def test_bad_fields_are_refused(field: str, value: int) -> None:
    with pytest.raises(UserError, match=f"{field} must be .* got {value}"):
        HashEncoder(**{field: value})
