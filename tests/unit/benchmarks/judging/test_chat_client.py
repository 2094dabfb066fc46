import hashlib
import json
import logging
import socket
from functools import partial

import pytest
from chat_server import completion, serve

from vlselect.benchmarks.judging import chat_client
from vlselect.benchmarks.judging.chat_client import ChatClient, ChatError, UnreadableError

ChatClient = partial(ChatClient, timeout=60.0, retries=5, wait=1.0)
MESSAGES = [{"role": "user", "content": "Wie geht's? ☃"}]
KEY = "sk-very-secret"


@pytest.fixture
def pauses(monkeypatch):
    """Collect the pauses between attempts, in seconds, without waiting."""
    waited = []
    monkeypatch.setattr(chat_client.time, "sleep", waited.append)
    return waited


def client(server, tmp_path, **settings):
    return ChatClient(server.base_url, "judge", tmp_path / "cache", **settings)


def test_a_request_is_what_the_endpoint_expects(tmp_path):
    with serve(lambda body, n: "gut") as server:
        judge = client(server, tmp_path, api_key=KEY, request={"max_tokens": 9})
        assert judge.ask(MESSAGES, str.upper) == "GUT"
    [request] = server.requests
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["Authorization"] == f"Bearer {KEY}"
    body = {"model": "judge", "temperature": 0, "max_tokens": 9, "messages": MESSAGES}
    assert request["body"] == body


def test_without_a_key_none_is_sent(tmp_path):
    with serve(lambda body, n: "good") as server:
        client(server, tmp_path).ask(MESSAGES, str)
    assert "Authorization" not in server.requests[0]["headers"]


def test_answers_are_kept_by_the_digest_of_their_request(tmp_path):
    with serve(lambda body, n: f"answer {n}") as server:
        first, second = client(server, tmp_path, api_key=KEY), client(server, tmp_path)
        assert first.ask(MESSAGES, str) == second.ask(MESSAGES, str) == "answer 0"
        assert (first.n_sent, second.n_sent) == (1, 0)
        [path] = (tmp_path / "cache").iterdir()
        kept = json.loads(path.read_text())
        request = [kept["url"], kept["request"]]
        text = json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        assert path.name == f"{hashlib.sha256(text.encode()).hexdigest()}.json"
        assert KEY not in path.read_text()
        other = client(server, tmp_path, request={"max_tokens": 9})
        assert other.ask(MESSAGES, str) == "answer 1"
        other.model = "another"
        assert other.ask(MESSAGES, str) == "answer 2"


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"content": "bad"}'])
def test_a_spoilt_file_is_asked_for_again(kept, tmp_path):
    def parse(text):
        if text == "bad":
            raise UnreadableError(text)
        return text

    with serve(lambda body, n: f"answer {n}") as server:
        client(server, tmp_path).ask(MESSAGES, parse)
        [path] = (tmp_path / "cache").iterdir()
        path.write_text(kept)
        assert client(server, tmp_path).ask(MESSAGES, parse) == "answer 1"
        assert json.loads(path.read_text())["content"] == "answer 1"


def test_what_cannot_be_read_is_not_kept(tmp_path):
    def parse(text):
        raise UnreadableError(text)

    with serve(lambda body, n: "nonsense") as server, pytest.raises(UnreadableError, match="nons"):
        client(server, tmp_path).ask(MESSAGES, parse)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    "failure",
    [
        (429, {}, "slow down"),
        (500, {}, ""),
        (503, {}, {"error": {"message": "overloaded"}}),
        (200, {}, "<html>"),
        (200, {}, {"choices": []}),
        (200, {}, {"choices": [{"message": {"content": ["a"]}}]}),
        (200, {"Content-Length": "999"}, "cut off"),
    ],
)
def test_what_may_pass_is_tried_again_after_growing_pauses(failure, tmp_path, pauses):
    def reply(body, n):
        return failure if n < 3 else "at last"

    with serve(reply) as server:
        judge = client(server, tmp_path, wait=0.5)
        assert judge.ask(MESSAGES, str) == "at last"
    assert len(server.requests) == 4
    assert judge.n_sent == 1
    assert pauses == [0.5, 1, 2]


def test_the_servers_own_pause_is_obeyed(tmp_path, pauses):
    asked = ["7", "0", "Wed, 21 Oct 2026 07:28:00 GMT", "3600"]

    def reply(body, n):
        return (429, {"Retry-After": asked[n]}, "") if n < 4 else "at last"

    with serve(reply) as server:
        client(server, tmp_path, wait=1).ask(MESSAGES, str)
    assert pauses == [7, 2, 4, 60]


def test_failures_come_to_an_end(tmp_path, pauses):
    complaint = "no answer in 3 attempts; status 503: full"
    with serve(lambda body, n: (503, {}, "full")) as server, pytest.raises(ChatError) as caught:
        client(server, tmp_path, retries=2).ask(MESSAGES, str)
    assert complaint in str(caught.value)
    assert (len(server.requests), len(pauses)) == (3, 2)


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_other_failures_are_final_and_the_key_is_never_shown(status, tmp_path, pauses, caplog):
    caplog.set_level(logging.DEBUG)
    headers = {"Location": "http://127.0.0.1:9/elsewhere"} if status == 302 else {}
    with serve(lambda body, n: (status, headers, f"wrong key {KEY} given")) as server:
        judge = client(server, tmp_path, api_key=KEY)
        with pytest.raises(ChatError, match=rf"status {status}: wrong key \*\*\* given") as caught:
            judge.ask(MESSAGES, str)
    assert len(server.requests) == 1
    assert KEY not in f"{caught.value}{judge!r}{caplog.text}"
    assert caught.value.__cause__ is None


def test_no_server_at_all_is_tried_again(tmp_path, pauses):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/"
        with pytest.raises(ChatError, match="no answer in 2 attempts"):
            ChatClient(url, "judge", tmp_path, retries=1, timeout=0.2).ask(MESSAGES, str)
    assert len(pauses) == 1


def test_a_silent_server_is_given_up(tmp_path, pauses):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ChatError, match="imeout"):
            ChatClient(url, "judge", tmp_path, retries=0, timeout=0.1).ask(MESSAGES, str)
    assert pauses == []


def test_an_answer_without_content_is_empty(tmp_path):
    with serve(lambda body, n: (200, {}, completion(None))) as server:
        assert client(server, tmp_path).ask(MESSAGES, str) == ""
