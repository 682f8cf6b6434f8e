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
    """Offers filters on images and captions."""
    return [
        Component("min_size", "i1_data.filters:MinSizeFilter", "drop images whose shorter edge is too small"),
        Component("has_caption", "i1_data.filters:HasCaptionFilter", "drop records without a caption"),
        Component("aspect", "i1_data.filters:AspectFilter", "drop images that are too long for their height"),
        Component(
            "bytes_per_pixel",
            "i1_data.filters:BytesPerPixelFilter",
            "drop files with few bytes for their pixels",
        ),
        Component("flat", "i1_data.filters:FlatFilter", "drop images of hardly more than one grey value"),
        Component(
            "caption_words",
            "i1_data.filters:CaptionWordsFilter",
            "drop records by the words of their captions",
        ),
        Component(
            "caption_pattern",
            "i1_data.filters:CaptionPatternFilter",
            "keep or drop captions by a regular expression",
        ),
        Component(
            "subsample", "i1_data.filters:SubsampleFilter", "keep a share that is fixed by the records' keys"
        ),
        Component(
            "readable", "i1_data.filters:ReadableFilter", "drop images that cannot be decoded, with a warning"
        ),
    ]


@hookimpl
def i1_captioners() -> list[Component]:
    """Offers draws and fixed choices among captions."""
    return [
        Component(
            "uniform", "i1_data.captioners:UniformCaptioner", "draw one of the captions on every visit"
        ),
        Component("first", "i1_data.captioners:FirstCaptioner", "always the first caption"),
        Component("longest", "i1_data.captioners:LongestCaptioner", "always the longest caption"),
        Component("shortest", "i1_data.captioners:ShortestCaptioner", "always the shortest caption"),
        Component(
            "length_mix", "i1_data.captioners:LengthMixCaptioner", "the longest in a share of the visits"
        ),
    ]


@hookimpl
def i1_mixings() -> list[Component]:
    """Offers mixing by equal shares, sizes and given weights."""
    return [
        Component("equal", "i1_data.mixings:EqualMixing", "visit every source equally often"),
        Component("by_size", "i1_data.mixings:BySizeMixing", "visit every record equally often"),
        Component("capped", "i1_data.mixings:CappedMixing", "by size up to a threshold"),
        Component("temperature", "i1_data.mixings:TemperatureMixing", "by size, flattened by a temperature"),
        Component("weights", "i1_data.mixings:WeightsMixing", "given proportions, one per source"),
    ]
