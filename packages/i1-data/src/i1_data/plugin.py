"""The components of i1-data."""

from __future__ import annotations

from i1_hooks import Component, hookimpl


@hookimpl
def i1_commands() -> list[Component]:
    """Offers `i1 data`."""
    return [Component("data", "i1_data.commands.cli:main", "prepare and look at training data")]


@hookimpl
def i1_sources() -> list[Component]:
    """Offers procedural scenes, folders, manifests and record files."""
    return [
        Component(
            "array_record",
            "i1_data.sources.array_record:ArrayRecordSource",
            "ArrayRecord shards, as `i1 data prepare` writes them",
        ),
        Component(
            "scenes",
            "i1_data.scenes.source:ScenesSource",
            "procedural 64x64 pictures of objects, counts, colours, places, relations and words",
        ),
        Component(
            "image_folder",
            "i1_data.sources.image_folder:ImageFolderSource",
            "PNG, JPEG and WebP files with .txt captions or a metadata.jsonl",
        ),
        Component(
            "jsonl", "i1_data.sources.jsonl:JsonlSource", "image files that a JSON-lines manifest lists"
        ),
        Component(
            "parquet",
            "i1_data.sources.parquet:ParquetSource",
            "Parquet tables with encoded images and captions",
        ),
        Component(
            "tfrecord", "i1_data.sources.tfrecord:TfrecordSource", "TFRecord shards in the layout of TFDS"
        ),
        Component(
            "webdataset", "i1_data.sources.webdataset:WebdatasetSource", "tar files with images and captions"
        ),
    ]


@hookimpl
def i1_filters() -> list[Component]:
    """Offers filters on size, captions and readability."""
    return [
        Component("min_size", "i1_data.filters:MinSizeFilter", "drop images whose shorter edge is too small"),
        Component("has_caption", "i1_data.filters:HasCaptionFilter", "drop records without a caption"),
        Component(
            "readable", "i1_data.filters:ReadableFilter", "drop images that cannot be decoded, with a warning"
        ),
    ]


@hookimpl
def i1_captioners() -> list[Component]:
    """Offers the uniform draw and the first caption."""
    return [
        Component(
            "uniform", "i1_data.captioners:UniformCaptioner", "draw one of the captions on every visit"
        ),
        Component("first", "i1_data.captioners:FirstCaptioner", "always the first caption"),
    ]


@hookimpl
def i1_mixings() -> list[Component]:
    """Offers mixing by equal shares, size, capped size and given weights."""
    return [
        Component("equal", "i1_data.mixings:EqualMixing", "visit every source equally often"),
        Component("by_size", "i1_data.mixings:BySizeMixing", "visit every record equally often"),
        Component("capped", "i1_data.mixings:CappedMixing", "by size up to a threshold"),
        Component("weights", "i1_data.mixings:WeightsMixing", "given proportions, one per source"),
    ]
