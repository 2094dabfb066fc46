"""Local tasks for lmms_eval, its command line, and the answers from its output."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from vlselect.core import store
from vlselect.core.errors import InputError, MissingFileError

PREFIX = "vlselect_"  # lmms_eval's own tasks have no such prefix
MODULE = "vlselect.benchmarks.lmms_documents"
# Some adapters log a failed generation and continue with an empty answer
_FAILED = re.compile(r"^.*Error .* in generating.*$", re.MULTILINE)


def write_task(folder: Path, name: str, documents: Iterable[dict], max_new_tokens: int) -> None:
    """Write one task's documents and its description (``--include_path`` names the folder).

    lmms_eval's own score is exact match with any answer, ignoring case and punctuation.
    """
    lines = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in documents)
    data = folder.resolve() / f"{name}.jsonl"
    store.write_text(lines, data)
    functions = "".join(
        f"{name}: !function {MODULE}.{name}\n"
        for name in ("doc_to_visual", "doc_to_text", "doc_to_messages")
    )
    description = {
        "task": PREFIX + name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_target": "answers",
        "generation_kwargs": {
            "max_new_tokens": max_new_tokens,
            "until": [],  # by default, some adapters cut an answer at its first empty line
            "do_sample": False,
            "temperature": 0,
            "num_beams": 1,
        },
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": True,
                "ignore_punctuation": True,
            }
        ],
    }
    # JSON is YAML, except for the tags of functions.
    lines = [f"{key}: {json.dumps(value)}" for key, value in description.items()]
    store.write_text("\n".join(lines) + "\n" + functions, folder / f"{name}.yaml")


def command(
    python: str, folder: Path, names: Iterable[str], adapter: str, arguments: Mapping, device: str
) -> list[str]:
    """Return the command that answers the tasks `names` of `folder`, writing to ``folder/out``."""
    tasks = ",".join(PREFIX + name for name in names)
    model = ",".join(f"{key}={value}" for key, value in arguments.items())
    return [
        *(python, "-m", "lmms_eval", "eval", "--model", adapter, "--model_args", model),
        *("--include_path", str(folder), "--tasks", tasks, "--device", device),
        *("--batch_size", "1", "--log_samples", "--output_path", str(folder / "out")),
    ]


def check_adapter(adapter: str, name: str, n_text_only: int) -> None:
    """Check that the adapter can answer a task.

    ValueError names the task if it has samples without an image and the adapter is llava_hf
    (0.7.3).
    """
    if adapter == "llava_hf" and n_text_only:
        problem = f"lmms_eval's llava_hf cannot answer its {n_text_only} samples without an image"
        raise InputError(f"task {name!r}: {problem}; leave them out, or use our own benchmarks")


def check_output(output: str) -> None:
    """Raise InputError, with the line of the output, if an adapter ignored a failure."""
    if failed := _FAILED.search(output):
        raise InputError(f"lmms_eval continued after a failure: {failed[0]}")


def read_answers(folder: Path, name: str, n: int) -> tuple[list[str], float, list[int] | None]:
    """Read the answers to one task, lmms_eval's own exact match, and the answers' lengths.

    Returns
    -------
    answers : list of str
        In the order of the documents.
    exact_match : float
        In percent.
    lengths : list of int or None
        Tokens, including an end token; None if the adapter does not count them.

    Raises
    ------
    FileNotFoundError
        If there is no result.
    ValueError
        If there are not `n` answers.
    """
    samples = _only(folder / "out", f"*_samples_{PREFIX}{name}.jsonl")
    lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    lines.sort(key=lambda line: line["doc_id"])
    answers = [line["filtered_resps"] for line in lines]
    if [line["doc_id"] for line in lines] != list(range(n)):
        raise InputError(f"{samples}: {len(answers)} answers to {n} questions")
    texts = [a[0] if isinstance(a, list) else a for a in answers]
    counts = [(line.get("token_counts") or [None])[0] or {} for line in lines]
    lengths = [count.get("output_tokens") for count in counts]
    results = json.loads(_only(folder / "out", "*_results.json").read_text(encoding="utf-8"))
    exact = 100 * results["results"][PREFIX + name]["exact_match,none"]
    return [text.strip() for text in texts], exact, None if None in lengths else lengths


def _only(folder: Path, pattern: str) -> Path:
    found = list(folder.rglob(pattern))
    if len(found) != 1:
        raise MissingFileError(f"{folder} has {len(found)} files {pattern}, not one")
    return found[0]
