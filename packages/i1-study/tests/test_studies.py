from i1_data.pipeline import make_batches
from i1_hooks.testing import check_import, check_plugin
from i1_scenes.vocabulary import CATEGORIES
from i1_study import plugin
from i1_study.data_axes import SIZES, MixingStudy
from i1_study.model_axes import AdalnStudy, AdapterStudy, BackboneStudy, LongSkipStudy, PredictionStudy
from i1_study.testing import StudySuite


def test_the_plugin_conforms():
    check_plugin(plugin)


def test_importing_the_package_imports_nothing_heavy():
    check_import("i1_study")
    check_import("i1_study.plugin")


class TestAdapter(StudySuite):
    component = AdapterStudy()


class TestLongSkip(StudySuite):
    component = LongSkipStudy()


class TestAdaln(StudySuite):
    component = AdalnStudy()


class TestBackbone(StudySuite):
    component = BackboneStudy()


class TestPrediction(StudySuite):
    component = PredictionStudy()


class TestMixing(StudySuite):
    component = MixingStudy()


def test_every_published_difference_has_one_direction():
    directions = {}
    for study in (AdapterStudy(), LongSkipStudy(), BackboneStudy(), MixingStudy()):
        first, *others = study.arms()
        for arm in others:
            directions[arm.name] = study.published().direction(arm.name, first.name)
    assert directions == {
        "1 block": "higher",
        "2 blocks": "higher",
        "long skips": "higher",
        "single": "mixed",
        "dual": "higher",
        "equal": "higher",
    }


def test_sets_are_categories_and_their_weights_differ():
    by_size, equal = (arm.recipe for arm in MixingStudy().arms())
    sizes = [source.num_records for source in by_size.data.sources]
    assert sizes == [SIZES[category] for category in CATEGORIES]
    batches = make_batches(equal.data, batch_size=14, seed=0, tokenize=len)
    try:
        keys = next(batches)["key"]
    finally:
        batches.close()
    assert sorted(key.split("-")[1] for key in keys) == sorted("1234567" * 2)
    assert by_size.data.mixing.proportions(sizes)[CATEGORIES.index("colors")] / sum(sizes) > 0.6
