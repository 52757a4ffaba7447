"""What is sent again after a fault, what never is, and what the server holds afterwards."""

from __future__ import annotations

import pytest

from mmsync.client.error import (
    EndpointNotFound,
    ModelAlreadyExists,
    ModelManagerError,
    ModelNotFound,
    ModelRefused,
    TransportError,
    UnexpectedResponse,
    UnknownEngine,
)
from support.clients import Clock, client_of
from support.wire import Request, answer, close, reset, then_close, then_reset

REVIEW = {"valid": True, "imageId": 7, "size": 5, "fields": [{"name": "x"}], "clusters": [], "outputType": "str"}


class Book:
    """A server with one model at most, and a list of faults: each is used up by the request it names."""

    def __init__(self, stored=None, **faults):
        self.stored = stored
        self.faults = {name: list(fault) for name, fault in faults.items()}
        self.saves = 0

    def __call__(self, request: Request):
        kind = (
            "upload"
            if "upload" in request.target
            else {"GET": "read", "POST": "save", "DELETE": "delete"}[request.method]
        )
        fault = self.faults.get(kind, [])
        now = fault.pop(0) if fault else None
        if now == "commit, then break":
            self.commit(kind, request)
            return reset
        if now is not None:
            return now
        return self.commit(kind, request)

    def commit(self, kind, request):
        if kind == "read":
            return answer(200, self.stored) if self.stored else answer(204)
        if kind == "upload":
            file = request.body.split(b"octet-stream\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
            return answer(200, {**REVIEW, "size": len(file)})
        if kind == "delete":
            self.stored = None
            return answer(204)
        self.saves += 1
        self.stored = {"id": 1, "updateDate": self.saves, **request.json()}
        return answer(200)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "m.json"
    path.write_bytes(b"12345")
    return path


@pytest.mark.parametrize(
    "fault", [reset, close, then_close(b"HTTP/1.1 200 OK\r\nContent-Le"), answer(502), answer(503), answer(504)]
)
def test_a_save_that_did_not_arrive_is_sent_again_after_the_server_was_read(wire, file, fault):
    book = Book(save=[fault])
    server = wire(book)
    client_of(server.url).add_model("m", "ONNX", file)
    assert book.saves == 1
    kinds = [("upload" if "upload" in each.target else each.method) for each in server.requests]
    assert kinds == ["GET", "upload", "POST", "GET", "POST"]


@pytest.mark.parametrize(
    "stored", [None, {"id": 1, "name": "m", "engine": "ONNX", "description": "old", "image": {"id": 3}}]
)
def test_an_answer_lost_after_the_commit_is_one_save_not_two(wire, file, stored):
    book = Book(stored, save=["commit, then break"])
    client_of(wire(book).url).add_model("m", "ONNX", file, "text", force=True)
    assert book.saves == 1
    assert book.stored["image"]["id"] == 7


def test_a_lost_answer_is_read_back_even_where_nothing_is_ever_repeated(wire, file):
    book = Book(save=["commit, then break"])
    client_of(wire(book).url, retry=Clock().policy(attempts=1)).add_model("m", "ONNX", file)
    assert book.saves == 1


def test_a_truncated_answer_to_a_committed_save_is_no_second_save(wire, file):
    book = Book()

    def reply(request):
        if request.method == "POST" and "upload" not in request.target:
            book(request)
            return then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
        return book(request)

    client_of(wire(reply).url).add_model("m", "ONNX", file)
    assert book.saves == 1


def test_a_create_lost_to_another_writer_is_reported_and_not_repeated(wire, file):
    book = Book(save=[reset])
    server = wire(book)
    theirs = {"id": 9, "name": "m", "engine": "ONNX", "description": None, "image": {"id": 99, "size": 5}}

    def reply(request):
        result = book(request)
        if result is reset:
            book.stored = theirs
        return result

    server.reply = reply
    with pytest.raises(ModelAlreadyExists):
        client_of(server.url).add_model("m", "ONNX", file)
    assert book.stored == theirs
    assert book.saves == 0


class Race(Book):
    """Somebody else makes the model at the moment a create arrives, which the server then refuses or loses."""

    def __init__(self, refusal):
        super().__init__()
        self.refusal = refusal

    def commit(self, kind, request):
        if kind == "save" and "id" not in request.json():
            self.stored = {"id": 9, "name": "m", "engine": "DT", "hidden": True, "image": {"id": 99, "size": 5}}
            return self.refusal
        return super().commit(kind, request)


@pytest.mark.parametrize("refusal", [answer(409, {"msg": "exists"}), answer(400), answer(500), reset])
def test_a_forced_create_that_lost_a_race_becomes_an_update(wire, file, refusal):
    book = Race(refusal)
    server = wire(book)
    client_of(server.url).add_model("m", "ONNX", file, force=True)
    assert book.saves == 1
    assert (book.stored["id"], book.stored["engine"], book.stored["image"]["id"]) == (9, "ONNX", 7)
    assert book.stored["hidden"]  # theirs stays what it was but for what was asked
    assert len(server.seen("POST", "upload")) == 1


@pytest.mark.parametrize("refusal", [answer(409, {"msg": "exists"}), reset])
def test_without_force_it_does_not(wire, file, refusal):
    book = Race(refusal)
    with pytest.raises(ModelManagerError):
        client_of(wire(book).url).add_model("m", "ONNX", file)
    assert book.stored["id"] == 9
    assert book.saves == 0


def test_a_forced_create_that_is_refused_for_another_reason_is_not_repeated(wire, file):
    book = Book(save=[answer(400, {"msg": "no such category"})])
    server = wire(book)
    with pytest.raises(ModelManagerError, match="no such category"):
        client_of(server.url).add_model("m", "ONNX", file, force=True)
    assert book.saves == 0
    assert len([each for each in server.seen("POST") if "upload" not in each.target]) == 1


def test_the_review_of_another_file_is_an_error(wire, file):
    server = wire(lambda request: answer(200, {**REVIEW, "size": 6}) if request.method == "POST" else answer(204))
    with pytest.raises(UnexpectedResponse, match="a file of 6 bytes; the one sent has 5"):
        client_of(server.url).add_model("m", "ONNX", file)
    assert len(server.seen("POST")) == 1


def test_a_save_whose_fate_cannot_be_read_says_so(wire, file):
    book = Book(save=[reset], read=[answer(204)] + [answer(500)] * 9)
    with pytest.raises(TransportError) as caught:
        client_of(wire(book).url).add_model("m", "ONNX", file)
    assert caught.value.sent
    assert "may or may not" in caught.value.hint


def test_an_internal_error_is_never_repeated(wire, file):
    for kind in ("read", "upload", "save"):
        book = Book(**{kind: [answer(500, {"code": 77, "msg": "boom", "cid": "c1"})]})
        server = wire(book)
        with pytest.raises(ModelManagerError) as caught:
            client_of(server.url).add_model("m", "ONNX", file)
        assert (str(caught.value), caught.value.status, caught.value.cid) == ("77: boom", 500, "c1")
        assert len(server.requests) == {"read": 1, "upload": 2, "save": 3}[kind]


def test_a_refusal_of_too_many_requests_needs_no_reading_back(wire, file):
    clock = Clock()
    book = Book(save=[answer(429, headers={"Retry-After": "3"})])
    server = wire(book)
    client_of(server.url, retry=clock.policy()).add_model("m", "ONNX", file)
    assert [each.method for each in server.requests] == ["GET", "POST", "POST", "POST"]
    assert clock.slept == [3.0]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_bursts_are_waited_out(wire, file, status):
    book = Book(read=[answer(status)] * 3, upload=[answer(status)] * 3, save=[answer(status)] * 3)
    client_of(wire(book).url).add_model("m", "ONNX", file)
    assert book.saves == 1


def test_an_upload_that_breaks_is_sent_again_whole(wire, tmp_path):
    path = tmp_path / "m.bin"
    path.write_bytes(bytes(range(256)) * 4096 * 9)
    book = Book()
    breaks = iter([reset, close])
    server = wire(book, on_head=lambda request: next(breaks, None) if "upload" in request.target else None)
    client_of(server.url).add_model("m", "ONNX", path)
    (upload,) = server.seen("POST", "upload")
    assert path.read_bytes() in upload.body
    assert book.saves == 1


def test_a_truncated_review_is_asked_for_again(wire, file):
    book = Book(upload=[then_close(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"valid": true')])
    client_of(wire(book).url).add_model("m", "ONNX", file)
    assert book.saves == 1


def test_an_idle_connection_the_server_has_closed_costs_no_error_and_no_second_write(wire, file):
    book = Book()

    def reply(request):
        result = book(request)
        return then_close(result)

    server = wire(reply)
    client = client_of(server.url)
    for number in range(3):
        client.add_model("m", "ONNX", file, str(number), force=True)
    assert book.saves == 3


def test_refused_files_and_unknown_engines_are_permanent_and_sent_once(wire, file):
    book = Book(
        upload=[
            answer(200, {"valid": False, "errorDetail": "no\x1b[31m good"}),
            answer(500, {"code": 500, "msg": "No enum constant a.b.EngineType.X"}),
        ]
    )
    server = wire(book)
    client = client_of(server.url)
    with pytest.raises(ModelRefused, match=r"^no\\x1b\[31m good$") as refused:
        client.upload_image("ONNX", file)
    with pytest.raises(UnknownEngine, match=r"EngineType\.X") as unknown:
        client.upload_image("X", file)
    assert refused.value.permanent
    assert unknown.value.permanent
    assert len(server.requests) == 2


def test_a_delete_is_read_back_before_it_is_repeated(wire):
    stored = {"id": 1, "name": "m", "engine": "ONNX"}
    lost = Book(stored, delete=["commit, then break"])
    server = wire(lost)
    client_of(server.url).delete_model("m")
    assert [each.method for each in server.requests] == ["GET", "DELETE", "GET"]
    unsent = Book(stored, delete=[reset])
    server = wire(unsent)
    client_of(server.url).delete_model("m")
    assert unsent.stored is None


@pytest.mark.parametrize("broken", [0, 1, 2], ids=["read", "upload", "save"])
@pytest.mark.parametrize(
    "stage", ["accepted", "headers read", "body read", "answer begun", "answer cut before its end"]
)
@pytest.mark.parametrize("end", [then_reset, then_close])
def test_a_connection_lost_at_any_stage_ends_in_one_save_of_the_right_bytes(wire, tmp_path, broken, stage, end):
    path = tmp_path / "m.bin"
    path.write_bytes(bytes(range(256)) * 2000)
    book = Book()

    def reply(request):
        result = book(request)
        number = len(server.requests) - 1
        if number == broken and stage == "body read":
            return end(b"")
        if number == broken and stage.startswith("answer"):
            return end(result[:14] if stage == "answer begun" else result[:-1])
        # Each request on a connection of its own, so that any of them can be lost as soon as it is accepted.
        return then_close(result)

    server = wire(
        reply,
        on_head=lambda _: end(b"") if stage == "headers read" and len(server.requests) - 1 == broken else None,
        on_accept=lambda number: stage == "accepted" and number - 1 == broken,
    )
    client_of(server.url).add_model("m", "ONNX", path)
    assert book.saves == 1
    assert path.read_bytes() in server.seen("POST", "upload")[-1].body


def test_a_text_is_not_changed_where_the_bytes_would_be_lost_or_there_is_no_model(wire):
    no_id = wire(Book({"id": 4, "name": "m", "engine": "ONNX", "image": None}))
    with pytest.raises(UnexpectedResponse, match="image id"):
        client_of(no_id.url).update_description("m", "new")
    no_engine = wire(Book({"id": 4, "name": "m", "engine": None, "image": {"id": 7}}))
    with pytest.raises(UnexpectedResponse, match="engine"):
        client_of(no_engine.url).update_description("m", "new")
    assert not no_engine.seen("POST", "/models")
    missing = wire(Book())
    for call in (lambda client: client.update_description("m", "new"), lambda client: client.delete_model("m")):
        with pytest.raises(ModelNotFound, match=r"^'m'$"):
            call(client_of(missing.url))
    assert {request.method for request in no_id.requests + missing.requests} == {"GET"}


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_that_deletes_nothing_is_told_apart_from_a_missing_model(wire, status):
    book = Book({"id": 4, "name": "m", "engine": "ONNX"}, delete=[answer(status, {"code": status, "msg": "no"})])
    with pytest.raises(EndpointNotFound, match=f"{status}: no") as caught:
        client_of(wire(book).url).delete_model("m")
    assert "no deletion" in caught.value.hint
    assert not caught.value.permanent


def test_an_update_keeps_what_the_server_would_reset(wire, file):
    stored = {
        "id": 4,
        "name": "m",
        "engine": "H2O",
        "description": "old",
        "hidden": True,
        "parentId": 2,
        "image": {"id": 1, "size": 9, "image": None},
    }
    book = Book(stored)
    server = wire(book)
    client = client_of(server.url)
    client.add_model("m", "ONNX", file, force=True)
    sent = server.seen("POST", "/models")[-1].json()
    assert {key: sent[key] for key in ("id", "engine", "description", "hidden", "parentId", "image")} == {
        "id": 4,
        "engine": "ONNX",
        "description": "old",
        "hidden": True,
        "parentId": 2,
        "image": {"id": 7, "size": 5},
    }
    client.update_description("m", "new")
    sent = server.seen("POST", "/models")[-1].json()
    assert (sent["description"], sent["image"], sent["hidden"], sent["parentId"]) == (
        "new",
        {"id": 7, "size": 5},
        True,
        2,
    )
    assert len(server.seen("POST", "upload")) == 1


def test_what_a_detail_leaves_out_is_not_set_to_nothing(wire):
    server = wire(Book({"id": 4, "name": "m", "engine": "ONNX", "category": None, "image": {"id": 7}}))
    client_of(server.url).update_description("m", "new")
    sent = server.seen("POST", "/models")[-1].json()
    assert sent["category"] is None
    assert not {"fields", "clusters", "outputType", "runtimeSize"} & sent.keys()


def test_a_server_that_ends_each_connection_at_its_second_request_gets_one_save(wire, tmp_path):
    path = tmp_path / "m.bin"
    path.write_bytes(b"model")
    book = Book()
    served = set()

    def on_head(request):
        if request.connection in served:
            return reset
        served.add(request.connection)
        return None

    server = wire(book, on_head=on_head)
    client_of(server.url).add_model("m", "ONNX", path)
    assert book.saves == 1
