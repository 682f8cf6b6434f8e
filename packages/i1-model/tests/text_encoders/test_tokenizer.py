"""Ids from a tokenizer.json: padding, cutting, fixed tokens."""

import logging

import pytest
from encoder_folders import write_tokenizer
from i1_hooks import UserError
from i1_model.text_encoders.tokenizer import PromptTokenizer, read_tokenizer

pytest.importorskip("tokenizers", reason="needs the extra text")


@pytest.fixture
def tokenizer(tmp_path):
    write_tokenizer(tmp_path)
    return read_tokenizer(tmp_path)


def test_right_padding_and_empty_prompts(tokenizer):
    tokens = PromptTokenizer(tokenizer, 5)(["a red circle", "", "two stars two stars a"])
    assert tokens["ids"].tolist() == [[3, 4, 5, 0, 0], [0, 0, 0, 0, 0], [6, 7, 6, 7, 3]]
    assert tokens["mask"].sum(axis=1).tolist() == [3, 0, 5]
    assert set(tokens) == {"ids", "mask"}


def test_only_the_prompt_is_cut_and_the_loss_is_said(tokenizer, caplog):
    cut = PromptTokenizer(tokenizer, 4, before=[9], after=[1], pad_id=2, dropped=[9, 10])
    with caplog.at_level(logging.WARNING):
        tokens = cut(["a red circle two stars", "blue", "a red circle"])
    assert tokens["ids"].tolist() == [[9, 3, 4, 1], [9, 8, 1, 2], [9, 3, 4, 1]]
    assert tokens["mask"].tolist() == [[True] * 4, [True, True, True, False], [True] * 4]
    assert tokens["dropped"].tolist() == [[9, 10]] * 3
    assert caplog.messages == [
        "2 of 3 prompts cut to 4 tokens; most was lost, 3 tokens, by 'a red circle two stars'"
    ]


def test_without_truncation_a_long_prompt_is_refused(tokenizer):
    strict = PromptTokenizer(tokenizer, 4, before=[9], after=[1], truncation=False)
    assert strict(["a red"])["mask"].all()
    with pytest.raises(UserError) as caught:
        strict(["a red", "a red circle"])
    assert str(caught.value) == (
        "prompt 'a red circle' has 3 tokens, the text encoder takes at most 2: shorten it, set num_tokens "
        "higher, or set truncation=true to cut it"
    )


def test_no_warning_without_loss(tokenizer, caplog):
    PromptTokenizer(tokenizer, 3)(["a red circle"])
    assert not caplog.messages


def test_no_room_for_a_prompt(tokenizer):
    with pytest.raises(UserError, match="num_tokens 2 leaves no room for a prompt besides 2 fixed tokens"):
        PromptTokenizer(tokenizer, 2, before=[9], after=[1])


def test_absent_and_broken_files(tmp_path):
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="truncated or not a tokenizer"):
        read_tokenizer(tmp_path)
