import pytest

from mmsync.status.listener import listening
from support.status_source import SettableSource


@pytest.fixture
def source():
    return SettableSource()


@pytest.fixture
def address(source):
    with listening("127.0.0.1", 0, source) as url:
        yield url
