import io
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from i1_data import DataConfig, make_batches
from i1_data.captioners import CaptionerConfig, FirstCaptioner
from i1_data.filters import FilterConfig, HasCaptionFilter, MinSizeFilter, ReadableFilter
from i1_data.mixings import BySizeMixing, MixingConfig, WeightsMixing
from i1_data.pipeline import Batches
from i1_data.scenes.source import ScenesSource
from i1_data.sources import Record, SourceConfig
from i1_data.visits import SMALL
from i1_hooks import UserError, from_json, to_json
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Numbers(SourceConfig):
    """Record i is a picture of value i; every third has no captions, every fourth is broken where asked."""

    name: str = "n"
    size: int = 50
    broken: bool = False

    def build(self) -> "Numbers":
        return self

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Record:
        assert 0 <= index < self.size
        file = io.BytesIO()
        Image.new("RGB", (10, 8), (index, index, index)).save(file, format="png")
        image = b"broken" if self.broken and index % 4 == 0 else file.getvalue()
        captions = [] if index % 3 == 0 else [f"{self.name}{index}{letter}" for letter in "abcd"]
        return {"image": image, "captions": captions, "key": f"{self.name}{index}"}


DATA = DataConfig(sources=(Numbers(),), resolution=8)


def tokens(captions: list[str]) -> dict[str, np.ndarray]:
    return {"length": np.array([len(caption) for caption in captions])}


def open_batches(config: DataConfig = DATA, **changes: Any) -> Batches:
    return make_batches(config, **{"batch_size": 10, "seed": 1, "tokenize": tokens, **changes})


def take(batches: Batches, count: int) -> list[dict[str, Any]]:
    return [next(batches) for _ in range(count)]


def all_keys(batches: list[dict[str, Any]]) -> list[str]:
    return [key for batch in batches for key in batch["key"]]


def assert_same(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    assert [batch["key"] for batch in some] == [batch["key"] for batch in others]
    assert [batch["caption"] for batch in some] == [batch["caption"] for batch in others]
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["tokens"]["length"], other["tokens"]["length"])


def test_a_batch_holds_what_belongs_together() -> None:
    batch = next(open_batches())
    assert set(batch) == {"image", "tokens", "caption", "key"}
    assert batch["image"].shape == (10, 8, 8, 3)
    assert batch["image"].dtype == np.uint8
    for pixels, caption, key, length in zip(
        batch["image"], batch["caption"], batch["key"], batch["tokens"]["length"], strict=True
    ):
        assert (pixels == int(key[1:])).all()
        assert caption.startswith(key) if caption else int(key[1:]) % 3 == 0
        assert length == len(caption)


def test_every_epoch_shows_every_record_once_in_another_order() -> None:
    keys = all_keys(take(open_batches(), 15))
    epochs = [keys[:50], keys[50:100], keys[100:]]
    assert all(Counter(epoch) == Counter(f"n{i}" for i in range(50)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_large_sources_are_shuffled_too() -> None:
    keys = all_keys(take(open_batches(replace(DATA, sources=(ScenesSource(num_records=SMALL + 1),))), 2))
    numbers = [int(key.rpartition("-")[2]) for key in keys]
    assert len(set(numbers)) == 20
    assert numbers != sorted(numbers)
    assert max(numbers) > SMALL // 2


def test_a_cut_set_has_the_same_records_in_every_epoch_and_with_every_seed() -> None:
    cut = replace(DATA, max_records=10)
    plain = Counter({f"n{i}": 2 for i in range(0, 50, 5)})
    filtered = Counter({f"n{i}": 2 for i in (1, 5, 10, 16, 20, 25, 31, 35, 40, 46)})
    for seed in (1, 2):
        assert Counter(all_keys(take(open_batches(cut, seed=seed), 2))) == plain
        with_filter = open_batches(replace(cut, filters=(HasCaptionFilter(),)), seed=seed)
        assert Counter(all_keys(take(with_filter, 2))) == filtered
    assert_same(take(open_batches(replace(DATA, max_records=50)), 6), take(open_batches(), 6))
    by_size = replace(cut, sources=(Numbers(), Numbers(name="m", size=5)), mixing=BySizeMixing())
    keys = all_keys(take(open_batches(by_size), 3))
    assert Counter(key[0] for key in keys) == {"n": 20, "m": 10}
    with pytest.raises(UserError, match=r"made with max_records 10, the data now has None"):
        open_batches().set_state(open_batches(cut).get_state())
    with pytest.raises(UserError, match=r"data\.max_records must be at least 0, got -1"):
        replace(DATA, max_records=-1)


def test_captions_are_drawn_anew_on_every_visit() -> None:
    batches = open_batches()
    drawn: dict[str, set[str]] = {}
    for batch in take(batches, 100):
        for key, caption in zip(batch["key"], batch["caption"], strict=True):
            drawn.setdefault(key, set()).add(caption)
    assert drawn["n1"] == {"n1a", "n1b", "n1c", "n1d"}
    assert drawn["n3"] == {""}


@pytest.mark.parametrize(("num_threads", "prefetch"), [(0, 0), (0, 3), (1, 1), (5, 0), (5, 7)])
def test_threads_change_nothing(num_threads: int, prefetch: int) -> None:
    config = replace(DATA, num_threads=num_threads, prefetch=prefetch)
    assert_same(take(open_batches(config), 12), take(open_batches(), 12))


def test_another_seed_gives_another_stream() -> None:
    assert next(open_batches(seed=2))["key"] != next(open_batches())["key"]


def test_the_stream_stays_as_it_is() -> None:
    # A change of these values means that resumed runs would see other data than uninterrupted ones.
    batch = next(open_batches(replace(DATA, sources=(Numbers(), Numbers(name="m", size=7)))))
    assert batch["caption"] == ["", "", "n25d", "m1a", "n37a", "m4c", "n23d", "", "", ""]


@pytest.mark.parametrize("num_threads", [0, 1, 4])
@pytest.mark.parametrize("done", [0, 1, 7])
def test_resumed_equals_uninterrupted(num_threads: int, done: int) -> None:
    config = replace(
        DATA,
        sources=(Numbers(broken=True), Numbers(name="m", size=7)),
        filters=(ReadableFilter(), HasCaptionFilter()),
        num_threads=num_threads,
        prefetch=3,
    )
    whole = take(open_batches(config), done + 8)
    first = open_batches(config)
    assert_same(take(first, done), whole[:done])
    state = json.loads(json.dumps(first.get_state()))
    second = open_batches(config)
    take(second, 2)
    second.set_state(state)
    assert second.get_state() == state
    assert_same(take(second, 8), whole[done:])
    first.set_state(open_batches(config).get_state())
    assert_same(take(first, 2), whole[:2])


def test_a_state_counts_what_was_returned_not_what_was_prefetched() -> None:
    batches = open_batches(replace(DATA, prefetch=8))
    take(batches, 3)
    assert batches.get_state()["position"] == 30


def test_hosts_share_every_batch() -> None:
    whole = take(open_batches(), 7)
    shares = ([0, 5], [1, 2, 3, 4], [4, 9], [6, 7, 8, 9])  # in pieces, of unlike size, shared
    hosts = [take(open_batches(rows=rows), 7) for rows in shares]
    for step, batch in enumerate(whole):
        for rows, host in zip(shares, hosts, strict=True):
            assert host[step]["caption"] == [batch["caption"][row] for row in rows]
            np.testing.assert_array_equal(host[step]["image"], batch["image"][rows])


def test_a_position_carries_over_to_other_batch_sizes_and_hosts() -> None:
    before = open_batches()
    take(before, 3)
    after = open_batches(batch_size=4, rows=range(2, 4))
    after.set_state(before.get_state())
    following = all_keys(take(before, 2))
    assert next(after)["key"] == following[2:4]
    assert next(after)["key"] == following[6:8]
    assert after.get_state()["position"] == 38


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 5}, "seed"),
        ({"config": replace(DATA, sources=(Numbers(size=51),))}, "sizes"),
        ({"config": replace(DATA, mixing=WeightsMixing(weights=(2.0,)))}, "proportions"),
    ],
)
def test_a_state_of_other_data_is_refused(change: dict[str, Any], message: str) -> None:
    state = open_batches().get_state()
    batches = open_batches(**change)
    with pytest.raises(UserError, match=f"saved data position was made with {message}"):
        batches.set_state(state)
    assert len(next(batches)["key"]) == 10


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (0.5, 8.0, 1.25)])
def test_visits_follow_the_proportions(weights: tuple[float, ...]) -> None:
    sources = tuple(Numbers(name=name, size=size) for name, size in (("a", 3), ("b", 50), ("c", 20)))
    config = replace(DATA, sources=sources, mixing=WeightsMixing(weights=weights))
    visits = Counter(key[0] for batch in take(open_batches(config), 80) for key in batch["key"])
    for name, weight in zip("abc", weights, strict=True):
        assert abs(visits[name] - 800 * weight / sum(weights)) <= 3


def test_mixing_by_size_visits_every_record_equally_often() -> None:
    sources = (Numbers(name="a", size=10), Numbers(name="b", size=40))
    config = replace(DATA, sources=sources, mixing=BySizeMixing())
    visits = Counter(key for batch in take(open_batches(config), 25) for key in batch["key"])
    assert set(visits.values()) == {5}


def test_sources_of_one_kind_are_shuffled_apart() -> None:
    config = replace(DATA, sources=(Numbers(name="a"), Numbers(name="b")))
    keys = all_keys(take(open_batches(config), 10))
    orders = [[key[1:] for key in keys if key[0] == name] for name in "ab"]
    assert orders[0] != orders[1]


def test_filters_replace_dropped_records_by_others_of_the_same_source() -> None:
    sources = (Numbers(name="a"), Numbers(name="b", broken=True))
    config = replace(DATA, sources=sources, filters=(ReadableFilter(), HasCaptionFilter()))
    keys = all_keys(take(open_batches(config), 40))
    assert Counter(key[0] for key in keys) == {"a": 200, "b": 200}
    assert {int(key[1:]) for key in keys if key[0] == "b"} == {i for i in range(50) if i % 3 and i % 4}


def test_filters_that_leave_nothing_are_an_error() -> None:
    with pytest.raises(
        UserError, match=r"Numbers\(.*1000 records in a row were dropped by MinSizeFilter\(shorter_edge=9\)"
    ):
        next(open_batches(replace(DATA, filters=(MinSizeFilter(shorter_edge=9),))))


@pytest.mark.parametrize("num_threads", [0, 2])
def test_a_broken_image_is_an_error_that_names_source_and_record(num_threads: int) -> None:
    config = replace(DATA, sources=(Numbers(broken=True),), num_threads=num_threads)
    with pytest.raises(UserError, match=r"Numbers\(name='n'.*cannot decode image 'n\d+'"):
        take(open_batches(config), 5)


def test_an_error_of_the_tokenizer_reaches_the_caller() -> None:
    def refuse(captions: list[str]) -> None:
        raise UserError(f"too long: {len(captions)}")

    with pytest.raises(UserError, match=r"too long: [1-9]"):
        next(open_batches(tokenize=refuse))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 9, "rows": [8, 9]}, r"rows must be some of 0..8, got \[8, 9\]"),
        ({"rows": []}, "rows must be some of"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"config": replace(DATA, sources=(Numbers(size=0),))}, "holds no records"),
        ({"config": replace(DATA, mixing=WeightsMixing(weights=(1.0, 2.0)))}, "2 weights for 1 sources"),
    ],
)
def test_numbers_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_batches(**changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": ()}, "sources is empty"),
        ({"resolution": 0}, "resolution"),
        ({"num_threads": -1}, "num_threads"),
        ({"prefetch": -1}, "prefetch"),
    ],
)
def test_configurations_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(DATA, **change)


def test_a_configuration_survives_json() -> None:
    config = DataConfig(
        sources=(ScenesSource(seed=3),),
        mixing=WeightsMixing(weights=(2.0,)),
        filters=(MinSizeFilter(shorter_edge=9), HasCaptionFilter()),
        captioner=FirstCaptioner(),
        resolution=64,
    )
    assert from_json(DataConfig, to_json(config)) == config


def test_closing_ends_the_threads() -> None:
    batches = open_batches()
    next(batches)
    batches.close()
    with pytest.raises(ValueError, match="closed"):
        next(batches)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("num_threads", [0, 2])
@pytest.mark.parametrize("buckets", [(), ((16, 16), (16, 32))])
def test_the_smallest_numbers_work(size: int, num_threads: int, buckets: tuple[tuple[int, int], ...]) -> None:
    config = DataConfig(
        sources=(Numbers(size=size),), resolution=1, num_threads=num_threads, prefetch=1, buckets=buckets
    )
    batches = open_batches(config, batch_size=1)
    keys = all_keys(take(batches, 4))
    assert Counter(keys) == {f"n{i}": 4 // size for i in range(size)}
    again = open_batches(config, batch_size=1)
    again.set_state(batches.get_state())
    assert next(again)["key"] == next(batches)["key"]


def test_large_sources_have_batches_of_one() -> None:
    config = replace(DATA, sources=(ScenesSource(num_records=SMALL + 1), Numbers()))
    assert len(all_keys(take(open_batches(config, batch_size=1), 3))) == 3


def test_a_caption_that_cannot_be_tokenized_is_named() -> None:
    def refuse(captions: list[str]) -> None:
        if any(not caption or caption.endswith("c") for caption in captions):
            raise UserError("it holds a letter that has no token")

    with pytest.raises(UserError) as refused:
        take(open_batches(tokenize=refuse), 3)
    assert "\n" not in str(refused.value)
    named = str(refused.value)
    assert re.match(
        r"record 'n\d+' has no caption: it holds .*; add the filter 'has_caption'|caption 'n", named
    )
    config = replace(DATA, filters=(HasCaptionFilter(),))
    with pytest.raises(UserError, match=r"caption 'n\d+c' of record 'n\d+': it holds a letter"):
        take(open_batches(config, tokenize=refuse), 9)


@dataclass(frozen=True, kw_only=True)
class Liar(Numbers):
    change: str = ""

    def build(self) -> Any:
        return 3 if self.change == "source" else self

    def __getitem__(self, index: int) -> Any:
        record: Any = super().__getitem__(index)
        return {
            "list": [record],
            "no captions": {name: record[name] for name in ("image", "key")},
            "text": {**record, "captions": "a cat"},
            "numbers": {**record, "captions": [3]},
            "key": {**record, "key": index},
            "empty key": {**record, "key": ""},
            "floats": {**record, "image": np.zeros((4, 4, 3), np.float32)},
            "grey": {**record, "image": np.zeros((4, 4), np.uint8)},
            "path": {**record, "image": "a.png"},
        }[self.change]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("source", r"build\(\) returned int 3, expected an object with __len__ and __getitem__"),
        ("list", r"record \d+ returned list .*expected a mapping with image, captions and key"),
        ("no captions", r"record \d+ returned dict .*; captions is missing"),
        ("text", r"record \d+\['captions'\] returned str 'a cat', expected a list of strings"),
        ("numbers", r"record \d+\['captions'\] returned list of int 3, expected a list of strings"),
        ("key", r"record \d+\['key'\] returned int \d+, expected a string"),
        ("empty key", r"record \d+\['key'\] returned str '', expected a string that is not empty"),
        ("floats", r"record \d+\['image'\] returned float32 \(4, 4, 3\), expected uint8"),
        ("grey", r"record \d+\['image'\] returned uint8 \(4, 4\), expected uint8"),
        ("path", r"record \d+\['image'\] returned str 'a\.png', expected the bytes of a file or uint8"),
    ],
)
def test_a_source_that_lies_is_named(change: str, message: str) -> None:
    with pytest.raises(UserError, match=r"source 'Liar' \(.*\): " + message):
        next(open_batches(replace(DATA, sources=(Liar(change=change),))))


def test_rules_that_lie_are_named() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Keep(FilterConfig):
        def keep(self, record: Record) -> Any:
            return "yes"

    @dataclass(frozen=True, kw_only=True)
    class Caption(CaptionerConfig):
        def caption(self, captions: Any, rng: Any) -> Any:
            return list(captions)

    @dataclass(frozen=True, kw_only=True)
    class Mix(MixingConfig):
        given: Any

        def proportions(self, sizes: Any) -> Any:
            return self.given

    with pytest.raises(
        UserError, match=r"filter 'test_rules.*Keep' \(.*keep\(record 'n\d+'\) returned str 'yes'"
    ):
        next(open_batches(replace(DATA, filters=(Keep(),))))
    with pytest.raises(UserError, match=r"captioner '.*Caption' .*caption\(\.\.\.\) returned list"):
        next(open_batches(replace(DATA, captioner=Caption())))
    for given in ((), (1.0, 2.0), (0.0,), (-1.0,), (float("nan"),), ("a",), 3, None, (float("inf"),)):
        with pytest.raises(
            UserError, match=r"mixing '.*Mix' .*proportions\(\[50\]\) returned .*1 positive finite"
        ):
            open_batches(replace(DATA, mixing=Mix(given=given)))


@dataclass(frozen=True, kw_only=True)
class Holes(Numbers):
    def __getitem__(self, index: int) -> Record:
        if index % 2:
            raise UserError(f"record {index} is damaged; fetch it again")
        return super().__getitem__(index)


def test_records_that_cannot_be_read_are_left_out_where_that_was_chosen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(UserError, match=r"record \d+ is damaged; fetch it again; set strict=false to leave"):
        take(open_batches(replace(DATA, sources=(Holes(),))), 2)
    loose = replace(DATA, sources=(Holes(strict=False),), num_threads=0)
    keys = all_keys(take(open_batches(loose), 20))
    assert {int(key[1:]) % 2 for key in keys} == {0}
    warned = [record.message for record in caplog.records]
    assert len(warned) == len(set(warned)) > 10
    assert all(message.startswith("left out: record") for message in warned)
