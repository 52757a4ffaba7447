"""ONNX models: the graph's inputs as fields, its outputs as category and output type; whole, and in one file.

All is read from the protobuf framing, which needs no package and, skipping over weights, no memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmsync.formats.found import Field, Signature, Unfit
from mmsync.formats.onnx_graph import FLOAT, GraphReader, Value
from mmsync.formats.protobuf import NotProtobuf, Span, TooManyFields

if TYPE_CHECKING:
    from mmsync.formats.window import Window

__all__ = ["read_onnx"]

_ONE_FILE = (
    'save it as one file: onnx.save(onnx.load("m.onnx"), "m.onnx", save_as_external_data=False), '
    "or export it so (torch.onnx.export(..., external_data=False))"
)


def read_onnx(data: Window) -> Signature:
    """The signature of a model.

    Raises:
        Unfit: It is no ONNX model, one without outputs, cut off, or one whose weights lie in another file.
    """
    reader = GraphReader(data)
    try:
        graph = reader.model()
        category, output_type = _judge(graph.outputs, reader, graph.nodes)
        external = reader.external()
    except NotProtobuf as error:
        if reader.begun:
            raise Unfit(f"it is no whole ONNX model (cut off or damaged: {error})", cut_off=True) from error
        raise Unfit(f"it is no ONNX model ({error})") from error
    except TooManyFields:
        return Signature()
    if external is not None:
        raise Unfit(f"its weights are in another file{f' ({external})' if external else ''}", _ONE_FILE)
    # Before IR version 4 every weight was listed among the inputs too.
    inputs = [value for value in graph.inputs if value.name not in graph.weights]
    return Signature(
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
