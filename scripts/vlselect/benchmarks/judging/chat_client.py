"""Requests to a chat-completions endpoint in OpenAI's format, with answers cached on disk."""

import hashlib
import http.client
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlselect.core import store
from vlselect.core.errors import InputError

logger = logging.getLogger(__name__)

PASSING = {408, 409, 429, 500, 502, 503, 504, 529}  # HTTP statuses of temporary failures
LONGEST_WAIT = 60.0  # seconds between two attempts
SHOWN = 300  # characters of a server's message in an error

Messages = Sequence[Mapping[str, str]]


class ChatError(InputError):
    """The endpoint returns no usable answer."""


class UnreadableError(ValueError):
    """An answer in another format than requested; `content` is the answer."""

    def __init__(self, content: str):
        super().__init__(f"unreadable answer {content[:SHOWN]!r}")
        self.content = content


@dataclass
class ChatClient:
    """One model behind one endpoint.

    Attributes
    ----------
    base_url : str
        Such as ``https://host/v1``; requests go to ``<base_url>/chat/completions``.
    model : str
        Its name there.
    cache : Path
        Folder with one JSON file for each answer, named by the sha256 of its request.
    timeout : float
        Seconds that one attempt waits for the server.
    retries : int
        Attempts after the first for temporary failures: statuses 408, 409, 429 and 5xx, broken
        connections, timeouts, answers that are not chat completions.
    wait : float
        Seconds before the second attempt, doubled each time, or Retry-After if that is longer; at
        most a minute.
    api_key : str
        Sent as a bearer token and never written; empty for endpoints without one.
    request : dict
        Further fields of every request, such as ``max_tokens``. The temperature is 0.
    n_sent : int
        Requests that the endpoint answered so far; all others came from the cache.
    """

    base_url: str
    model: str
    cache: Path
    timeout: float
    retries: int
    wait: float
    api_key: str = field(default="", repr=False)
    request: dict = field(default_factory=dict)
    n_sent: int = field(default=0, init=False)

    def __post_init__(self):
        self._lock = threading.Lock()
        # A redirected request would carry the key to another host, so redirects are errors
        self._opener = urllib.request.build_opener(_NoRedirects)

    def ask(self, messages: Messages, parse: Callable[[str], object]) -> object:
        """Request an answer to the conversation, and return `parse` of it.

        `parse` raises `UnreadableError` if the format is wrong; such answers are not cached, so
        they can be requested again. ChatError if no attempt succeeds, or another one is useless.
        """
        body = {"model": self.model, "temperature": 0, **self.request, "messages": list(messages)}
        path = self.cache / f"{_cache_key(self._url, body)}.json"
        if path.is_file():
            try:
                return parse(json.loads(path.read_text(encoding="utf-8"))["content"])
            except (ValueError, LookupError, TypeError) as error:
                logger.warning("%s has no readable answer (%s): asking again", path, error)
        content = self._send(body)
        value = parse(content)
        store.write_json({"url": self._url, "request": body, "content": content}, path)
        return value

    @property
    def _url(self) -> str:
        return f"{self.base_url.rstrip('/')}/chat/completions"

    def _send(self, body: dict) -> str:
        """Post a request until it is answered, or another attempt is useless."""
        for attempt in range(self.retries + 1):
            pause = min(self.wait * 2**attempt, LONGEST_WAIT)
            try:
                content = self._post(body)
            except urllib.error.HTTPError as error:
                with error:
                    complaint = f"status {error.code}: {self._message(error)}"
                if error.code not in PASSING:
                    raise ChatError(f"{self._url}: {complaint}") from None
                pause = _asked_pause(error.headers, pause)
            except (OSError, http.client.HTTPException, _NoCompletionError) as error:
                complaint = self._hide(f"{type(error).__name__}: {error}")
            else:
                with self._lock:
                    self.n_sent += 1
                return content
            logger.warning("attempt %d of %d: %s", attempt + 1, self.retries + 1, complaint)
            if attempt < self.retries:
                time.sleep(pause)
        raise ChatError(f"{self._url}: no answer in {self.retries + 1} attempts; {complaint}")

    def _post(self, body: dict) -> str:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        data = json.dumps(body, ensure_ascii=False).encode()
        request = urllib.request.Request(self._url, data=data, headers=headers, method="POST")
        with self._opener.open(request, timeout=self.timeout) as response:
            return _content(response.read())

    def _message(self, error: urllib.error.HTTPError) -> str:
        """Return the server's message about an error without the key, which some servers repeat."""
        try:
            text = error.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            text = ""
        return self._hide(" ".join(text.split()) or str(error.reason))[:SHOWN]

    def _hide(self, text: str) -> str:
        return text.replace(self.api_key, "***") if self.api_key else text


class _NoCompletionError(ValueError):
    """The server's answer is not a chat completion."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments, **named):
        return None


def _content(answer: bytes) -> str:
    """Return the text of a chat completion; "" if the model declined."""
    try:
        message = json.loads(answer)["choices"][0]["message"]
        content = message["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise _NoCompletionError(f"not a chat completion: {answer[:SHOWN]!r}") from error
    if content is not None and not isinstance(content, str):
        raise _NoCompletionError(f"the content is not a text: {answer[:SHOWN]!r}")
    return content or ""


def _cache_key(url: str, body: dict) -> str:
    text = json.dumps([url, body], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _asked_pause(headers: Mapping[str, str], pause: float) -> float:
    """Return the seconds to wait: the server's Retry-After (if a number) or ours, if longer."""
    try:
        asked = float(headers.get("Retry-After", "0"))
    except ValueError:  # a date
        return pause
    return min(max(asked, pause), LONGEST_WAIT)
