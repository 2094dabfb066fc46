"""A language model as the judge of free answers, as in LLaVA-Bench and MM-Vet.

The judge runs behind any chat-completions endpoint in OpenAI's format. Its verdicts are cached on
disk, so a second run, or a checkpoint with the same answers, sends no request.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np

from vlselect.benchmarks.judging.chat_client import ChatClient, ChatError, UnreadableError
from vlselect.benchmarks.judging.verdicts import PROTOCOLS, Protocol, fill
from vlselect.benchmarks.metrics.evaluation import Evaluation, Example, Parts, field, pairs
from vlselect.core import log
from vlselect.core.errors import InputError

logger = logging.getLogger(__name__)

READINGS = 3  # attempts to get a readable verdict on one sample


def evaluate(
    predictions: Sequence[str],
    examples: Sequence[Example],
    *,
    protocol: Literal[*PROTOCOLS],
    base_url: str,
    model: str,
    cache: str,
    api_key_env: str | None = None,
    prompt: str | None = None,
    request: dict | None = None,
    timeout: float = 60.0,
    retries: int = 5,
    wait: float = 1.0,
    workers: int = 1,
) -> Evaluation:
    """Let a language model judge each prediction against the reference answer.

    The first of a sample's `answers` is the reference. For ``relative``, the record's ``context``
    (a text or a list) says what the image shows. A record's ``category`` or ``capability`` (a text
    or a list) groups the summary.

    Parameters
    ----------
    protocol : {"relative", "graded"}
        ``relative`` (LLaVA-Bench): reference and prediction get 1 to 10 each, and the score is 100
        · Σ prediction's / Σ reference's. ``graded`` (MM-Vet): each prediction gets 0 to 1.
    base_url, model : str
        The endpoint, such as ``https://host/v1``, and the judge's name there.
    cache : str
        Folder for the verdicts, relative to the working directory.
    api_key_env : str, optional
        Environment variable with the endpoint's key.
    prompt : str, optional
        Replaces the protocol's own, with the same placeholders (see `verdicts`).
    request : dict, optional
        Further fields of every request; ``{"max_tokens": 1024}`` by default.
    timeout, retries, wait
        As in `ChatClient`.
    workers : int
        Concurrent requests.

    Returns
    -------
    Evaluation
        Per sample a tenth of the prediction's score, or its grade. In the summary: `score`, `n`,
        `judge`, `protocol`, for ``relative`` the mean scores of `reference` and `prediction` times
        ten, and `categories`: the score of each group.

    Raises
    ------
    ValueError
        If all references were scored 0.
    ChatError
        If the judge does not answer or its verdict is unreadable; names the sample.

    References
    ----------
    Liu et al., Visual Instruction Tuning, NeurIPS 2023 (arXiv 2304.08485), LLaVA-Bench; Yu et al.,
    MM-Vet, ICML 2024 (arXiv 2308.02490).
    """
    options = {"base_url": base_url, "model": model, "timeout": timeout, "retries": retries}
    check_options(protocol=protocol, workers=workers, request=request, **options)
    client = ChatClient(
        **options,
        cache=Path(cache),
        api_key=_api_key(api_key_env),
        request={"max_tokens": 1024} if request is None else dict(request),
        wait=wait,
    )
    rules = PROTOCOLS[protocol]
    asked = [
        (example, _prompt(rules, prompt, prediction, answers[0], example))
        for prediction, answers, example in pairs(predictions, examples)
    ]
    if not asked:
        raise InputError("no predictions to score")
    verdicts = _judge_all(client, rules, asked, workers)
    logger.info("%d verdicts of %s, %d requests", len(asked), model, client.n_sent)
    summary = {"n": len(asked), "judge": model, "protocol": protocol}
    groups = [_groups(example) for example, _ in asked]
    return _summarise(np.array(verdicts, dtype=np.float64), groups, summary)


def check_options(
    *,
    protocol: str,
    base_url: str,
    request: dict | None,
    timeout: float,
    retries: int,
    workers: int,
    **_: object,
) -> None:
    """Check the options before the run: InputError if one is out of its range."""
    if protocol not in PROTOCOLS:
        raise InputError(f"judge: protocol {protocol!r} is not one of {sorted(PROTOCOLS)}")
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise InputError(f"judge: base_url {base_url!r} is not an http or https address")
    if fixed := {"model", "messages", "temperature", "stream"} & set(request or {}):
        raise InputError(f"judge: request may not set {', '.join(sorted(fixed))}")
    if timeout <= 0 or retries < 0 or workers < 1:
        raise InputError("judge: timeout must be positive, retries 0 or more, workers 1 or more")


def check_examples(
    examples: Sequence[Example],
    *,
    protocol: str,
    prompt: str | None = None,
    api_key_env: str | None = None,
    **_: object,
) -> None:
    """Check, without a request, that samples can be judged, and that the endpoint's key is there.

    InputError names the sample or the environment variable.
    """
    _api_key(api_key_env)
    for _text, answers, example in pairs([""] * len(examples), examples):
        _prompt(PROTOCOLS[protocol], prompt, "", answers[0], example)


def _api_key(variable: str | None) -> str:
    if variable is None:
        return ""
    if not (key := os.environ.get(variable, "").strip()):
        raise InputError(f"judge: the environment variable {variable!r} (api_key_env) is empty")
    return key


def _prompt(
    rules: Protocol, template: str | None, prediction: str, reference: str, example: Example
) -> str:
    """Return the judge's prompt for one sample."""
    context = field(example, "context") if rules.context else ""
    values = {
        "question": str(field(example, "question")),
        "context": context if isinstance(context, str) else "\n".join(map(str, context)),
        "reference": reference,
        "answer": prediction,
    }
    return fill(rules.prompt if template is None else template, values)


def _judge_all(
    client: ChatClient, rules: Protocol, asked: list[tuple[Example, str]], workers: int
) -> list[tuple[float, ...]]:
    """Return all verdicts, in order; the first failure cancels the requests not yet started."""
    with ThreadPoolExecutor(workers) as pool:
        futures = [
            pool.submit(_judge, client, rules, text, str(example.get("sample_id")))
            for example, text in asked
        ]
        try:
            return [future.result() for future in log.progress(futures, description="judging")]
        finally:
            pool.shutdown(cancel_futures=True)


def _judge(client: ChatClient, rules: Protocol, prompt: str, name: str) -> tuple[float, ...]:
    """Return one verdict; after an unreadable answer, remind the judge of the format."""
    messages = [
        {"role": "system", "content": rules.system},
        {"role": "user", "content": prompt},
    ]
    for _ in range(READINGS):
        try:
            return client.ask(messages, rules.parse)
        except ChatError as error:
            raise ChatError(f"test sample {name!r}: {error}") from error
        except UnreadableError as error:
            problem = error
            logger.warning("test sample %r: %s", name, error)
        messages = [
            *messages,
            {"role": "assistant", "content": problem.content},
            {"role": "user", "content": rules.reminder},
        ]
    raise ChatError(f"test sample {name!r}: the judge's verdict cannot be read: {problem}")


def _groups(example: Example) -> list[str]:
    """Return the groups of a sample: its category, or its capabilities."""
    record = example.get("record") or {}
    named = record.get("category", record.get("capability"))
    if named is None:
        return []
    return sorted({str(name) for name in (named if isinstance(named, list) else [named])})


def _summarise(verdicts: np.ndarray, groups: list[list[str]], summary: dict) -> Evaluation:
    """Build the evaluation from verdicts: (n, 1) grades, or (n, 2) of reference and prediction."""
    members = defaultdict(list)
    for row, names in enumerate(groups):
        for name in names:
            members[name].append(row)
    summary = {"score": _score(verdicts), **summary}
    if verdicts.shape[1] == 2:
        reference, prediction = 10 * verdicts.mean(axis=0)
        summary |= {"reference": float(reference), "prediction": float(prediction)}
    if members:
        summary["categories"] = {name: _score(verdicts[members[name]]) for name in sorted(members)}
    scores = verdicts[:, 0] if verdicts.shape[1] == 1 else verdicts[:, 1] / 10
    below = verdicts[:, 0] if verdicts.shape[1] == 2 else np.ones(len(verdicts))
    return Evaluation(scores, summary, Parts(verdicts[:, -1], below))


def _score(verdicts: np.ndarray) -> float:
    """Return the mean grade, or the ratio of prediction to reference sums, in percent."""
    if verdicts.shape[1] == 1:
        return 100 * float(verdicts.mean())
    reference, prediction = verdicts.sum(axis=0)
    if not reference:
        raise InputError("the judge scored every reference answer of a group 0: nothing to compare")
    return 100 * float(prediction / reference)
