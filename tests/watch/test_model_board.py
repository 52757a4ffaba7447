"""The states of models as they are put together."""

from mmsync.status import ConditionStatus
from mmsync.types import Desired, Source
from mmsync.watch.model_board import ModelBoard

CUT_OFF = ConditionStatus("model", "m", "warning", "file/incomplete", "incomplete, waiting: m", "", 1000.0)
MODEL = Desired("m", "ONNX", "m.onnx", "/m.onnx", None, None, False, Source("models.yaml", 3, 5), True, False)


def test_a_file_that_stays_cut_off_needs_somebody_after_ten_minutes():
    board = ModelBoard()
    (one,) = board.put_together([MODEL], set(), [CUT_OFF], 1599.0)
    assert (one.state, one.hint, one.since) == ("settling", "", 1599.0)
    (one,) = board.put_together([MODEL], set(), [CUT_OFF], 1600.0)
    assert (one.state, one.since) == ("blocked", 1600.0)
    assert one.hint.startswith("nobody goes on writing it")
    (one,) = board.put_together([MODEL], {"/m.onnx"}, [CUT_OFF], 1700.0)  # somebody does
    assert (one.state, one.hint) == ("settling", "")
    (one,) = board.put_together([MODEL], set(), [], 1800.0)
    assert one.state == "pending"
