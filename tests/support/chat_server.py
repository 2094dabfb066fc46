"""A local chat-completions endpoint with answers defined by the test."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(content):
    """Return the body of a chat completion with one choice."""
    return {"choices": [{"message": {"role": "assistant", "content": content}}]}


class ChatServer:
    """The requests received and the replies sent.

    Attributes
    ----------
    reply : callable
        From a request's body and its number (from 0) to a text (the content of a completion) or to
        (status, headers, body), where the body is a text or an object that becomes JSON.
    requests : list of dict
        `path`, `headers` and `body` of every request so far.
    base_url : str
    """

    def __init__(self, reply):
        self.reply, self.requests, self.base_url = reply, [], ""

    def answer(self, path, headers, body):
        self.requests.append({"path": path, "headers": headers, "body": body})
        reply = self.reply(body, len(self.requests) - 1)
        return (200, {}, completion(reply)) if isinstance(reply, str) else reply


@contextmanager
def serve(reply):
    """Run a server during the block; yields the `ChatServer`."""
    chat = ChatServer(reply)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802 (the standard library's name)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, answer = chat.answer(self.path, dict(self.headers), body)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            data = text.encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    chat.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
