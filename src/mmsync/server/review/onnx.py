"""ONNX models: the graph's inputs as fields, its outputs as category and output type.

The signature is read from the protobuf framing, which needs no package and, skipping over weights, no memory. Where
the package ``onnx`` is installed (extra ``onnx``) it also parses and checks models that are not very large.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from mmsync.server.review.found import Field, Review, Unfit
from mmsync.server.review.onnx_check import check_model
from mmsync.server.review.onnx_graph import FLOAT, GraphReader, Value
from mmsync.server.review.protobuf import NotProtobuf, Span

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["review_onnx"]


def review_onnx(path: Path) -> Review:
    """The signature of a model.

    Raises:
        Unfit: It is no ONNX model, or one without outputs.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = GraphReader(data)
        try:
            graph = reader.model()
            category, output_type = _judge(graph.outputs, reader, graph.nodes)
        except NotProtobuf as error:
            raise Unfit(f"The file is not an ONNX model: {error}") from error
    check_model(path)
    # Before IR version 4 every weight was listed among the inputs too.
    inputs = [value for value in graph.inputs if value.name not in graph.weights]
    return Review(
        output_type, category, [Field(name=value.name, description=None, type=value.type) for value in inputs]
    )


def _judge(outputs: list[Value], reader: GraphReader, nodes: list[Span]) -> tuple[str | None, str]:
    """Category and output type, as the usual exporters lay models out: a label first, then its scores."""
    first, rest = outputs[0], outputs[1:]
    if first.type == FLOAT and not first.is_map:
        width = first.shape[-1] if first.shape and len(first.shape) > 1 else 1
        return ("Regression" if width <= 1 else None), FLOAT
    classifies = any(value.is_map or "prob" in value.name.lower() for value in outputs)
    if first.type == "str" or classifies:
        widths = [value.shape[-1] for value in rest if value.type == FLOAT and value.shape]
        classes = max(widths, default=0) or reader.class_count(nodes)
        return ("Binomial" if classes == 2 else "Multinomial"), first.type  # noqa: PLR2004
    if any("score" in value.name.lower() for value in rest):  # k-means: the nearest cluster, and how near each is
        return "Clustering", first.type
    return None, first.type
