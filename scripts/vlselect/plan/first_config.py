"""A first config for a user's data: what a look at the records shows, and the YAML for it."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from vlselect.config.checks import nearest
from vlselect.core import registry
from vlselect.core.errors import InputError
from vlselect.pool.intake import Outcome, Tally
from vlselect.pool.records import ID_KEY

SOURCE_KEYS = ("source", "task", "dataset", "dataset_name", "category", "type")
ID_KEYS = ("sample_id", "question_id", "uid", "idx", "index")
MOST_SOURCES = 500  # values of a key that names sources
LONG_NAME = 80  # characters; longer ones name nothing
SHARD = 20_000  # samples
LEAST_REJECTED = 0.2  # of the records: few of a trial's may be unusable by chance
RATIO = 0.2  # of the pool, where no budget is given
WITHOUT_MODEL = {"random", "mcl"}  # methods
BY_GRADIENTS, BY_PROXY = {"icons", "targeted"}, "clean_shares"  # methods


@dataclass
class Task:
    """A target task: files of its validation and test records, and how answers are scored."""

    name: str
    validation: str | None
    test: str | None
    metric: str

    @classmethod
    def parse(cls, text: str) -> "Task":
        """Read ``<name>=<validation>,<test>,<metric>``; files may be empty, the metric left out."""
        name, _, values = text.partition("=")
        validation, test, metric, *more = [*map(str.strip, values.split(",")), "", "", ""][:4]
        if not name or not (validation or test) or any(more):
            form = "<name>=<validation file>,<test file>,<metric>"
            raise InputError(f"task {text!r} is not {form}")
        return cls(name, validation or None, test or None, metric or "exact_match")


@dataclass
class Look:
    """What some records of a pool are like.

    `total` counts all of the pool's, the rest the records that were looked at.
    """

    total: int
    tally: Tally
    keys: Counter = field(default_factory=Counter)
    values: dict[str, Counter] = field(default_factory=dict)
    words: list[int] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a record and the values of keys that may name its source."""
        self.tally.add(outcome)
        value = json.loads(outcome.raw) if outcome.rejection is None else None
        if not isinstance(value, dict):
            return
        self.keys.update(value.keys())
        for key in SOURCE_KEYS:
            if isinstance(value.get(key), str) and len(value[key]) <= LONG_NAME:
                self.values.setdefault(key, Counter())[value[key]] += 1
        answers = [turn.text for turn in outcome.record.turns if turn.role == "assistant"]
        self.words.append(len(" ".join(answers).split()))

    @property
    def source_key(self) -> str | None:
        """The first key that all accepted records have and that names a few sources."""
        for key, values in self.values.items():
            if values.total() == self.tally.accepted and 1 < len(values) <= MOST_SOURCES:
                return key
        return None

    @property
    def id_key(self) -> str:
        """The key of ids: ``id``, or another usual one that all accepted records have."""
        usual = [key for key in (ID_KEY, *ID_KEYS) if self.keys[key] == self.tally.accepted]
        return usual[0] if usual else ID_KEY

    @property
    def most_rejected(self) -> float:
        """Share of rejected records that is no accident: thrice what was seen, a fifth at least."""
        seen = self.tally.reasons.total() / self.tally.read
        return max(LEAST_REJECTED, min(1.0, math.ceil(30 * seen) / 10))

    def lines(self) -> Iterator[str]:
        """Yield what a person would want to know of the records."""
        tally = self.tally
        every = "all" if tally.read == self.total else f"the first {tally.read:,}"
        yield f"{self.total:,} records, {every} looked at: {tally.accepted:,} accepted"
        for reason, count in tally.reasons.most_common():
            yield f"  {reason}: {count:,}, first {tally.examples[reason]}"
        images = f"{tally.n_images:,} images, {tally.n_text_only:,} samples without one"
        yield f"{images}, {tally.n_multi_turn:,} of several turns"
        yield f"words of an answer: {np.median(self.words):.0f} (median), at most {max(self.words)}"
        found = self.values[self.source_key] if self.source_key else tally.sources
        by = f"by {self.source_key!r}" if self.source_key else "by the first folder of the image"
        names = ", ".join(f"{name or '(none)'} {count:,}" for name, count in found.most_common(8))
        more = f", and {len(found) - 8} more" if len(found) > 8 else ""
        yield f"{len(found)} sources {by}: {names}{more}"


def write_config(
    look: Look,
    tasks: Sequence[Task],
    *,
    run: str,
    records: str,
    images: str | None,
    model: str | None,
    revision: str | None,
    half: bool,
    ratio: float | None,
    methods: Sequence[str],
    command: str,
) -> str:
    """Return a commented config in YAML.

    `model` may be None for methods that run none. `half`: it is in half precision. `ratio` None:
    `RATIO`. `methods` empty: those that need no more than there is. `command` is what the config
    was made with, for its first line.
    """
    guided = any(task.validation for task in tasks)
    chosen = list(methods) or ["random", *(["clean_shares"] if guided else []), "coincide"]
    lines = [f"# Made by `{command}`; every key: rules/schemas/config.schema.yaml"]
    lines += [f"run: {_text(run)} # results go to results/{run}/", "", "pool:"]
    lines += [f"  records: {_text(records)}"]
    lines += [f"  images: {_text(images)}"] if images else []
    lines += [f"  source_key: {look.source_key} # sources"] if look.source_key else []
    lines += [f"  id_key: {look.id_key}"] if look.id_key != ID_KEY else []
    shards = max(1, math.ceil(look.total / SHARD))
    lines += [f"  shards: {shards} # jobs of a pass over the pool"]
    lines += [f"  max_rejected: {look.most_rejected:g} # stop if more are unusable", ""]
    unused = "# tasks: # to score, and for methods that need validation data: docs/tasks.md"
    lines.append("tasks: # what the subset is to be good for" if tasks else unused)
    for task in tasks:
        parts = {"validation": task.validation, "test": task.test}
        own = "".join(f"{key}: {_text(path)}, " for key, path in parts.items() if path)
        lines.append(f"  {_text(task.name)}: {{{own}metric: {task.metric}}}")
    lines += ["", *(_models(model, revision, half) if model else [])]
    lines += ["gradients: {model: target}", ""] if BY_GRADIENTS & {*chosen} else []
    if BY_PROXY in chosen:
        settings = "warm_up: {finetune: {gradient_checkpointing: true}}"
        lines += ["# An epoch of the whole pool: a small model costs less."]
        lines += [f"proxy: {{model: reference, {settings}}}", ""]
    lines += ["methods: # docs/choosing.md"]
    lines += [f"  {name}: {{}}" for name in chosen]
    lines += ["", f"ratios: [{ratio or RATIO:g}] # of the pool"]
    lines += ["seeds: [0] # two or more give intervals"]
    lines += ["export: [llava] # for other trainers: docs/exports.md"]
    lines += ["", "finetune: # LoRA", "  {gradient_checkpointing: true}"] if model else []
    more = " # with `full` to compare, if affordable" if model else ""
    lines += ["", "experiments:", f"  main: {{methods: [{', '.join(chosen)}]}}{more}"]
    return "\n".join(lines) + "\n"


def _models(path: str, revision: str | None, half: bool) -> list[str]:
    """Return the section of models."""
    at = f", revision: {_text(revision)}" if revision else ""
    dtype = ", dtype: bfloat16" if half else ""
    own = f"{{path: {_text(path)}{at}{dtype}, batch_size: 16}}"
    reference = f"  reference: {own} # whose features are read; a smaller one makes that cheaper"
    return ["models:", f"  target: {own} # the one that is finetuned", reference, ""]


def run_name(stem: str) -> str:
    """Return a name of a run, as the schema allows it, from that of a file."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("_.-") or "run"


def _text(value: str) -> str:
    """Return a text as YAML, to stand anywhere."""
    options = {"default_flow_style": True, "allow_unicode": True, "width": math.inf}
    return yaml.safe_dump([value], **options).strip()[1:-1]


def take(outcomes: Iterable[Outcome], total: int) -> Look:
    """Look at outcomes; InputError with all reasons if no record is accepted."""
    look = Look(total, Tally())
    for outcome in outcomes:
        look.add(outcome)
    if not look.tally.accepted:
        raise InputError(look.tally.describe())
    return look


def require_tasks(tasks: Sequence[Task], methods: Sequence[str]) -> None:
    """Raise InputError, with all of them, for missing files and names that mean nothing."""
    files = [path for task in tasks for path in (task.validation, task.test) if path]
    problems = [f"no such file: {path}" for path in files if not Path(path).is_file()]
    for kind, names in (("metric", [task.metric for task in tasks]), ("method", methods)):
        known = registry.names(kind)
        problems += [
            f"no {kind} {name!r}{nearest(name, known)}; there are {', '.join(known)}"
            for name in names
            if name not in known
        ]
    if problems:
        raise InputError("\n".join(problems))


def half_precision(path: str, revision: str | None) -> bool:
    """Return whether a model's weights are in half precision; those on the hub are taken to be.

    Raises InputError if a path is no folder of a model and no revision says that it is a hub id.
    """
    if revision is not None:
        return True
    settings = Path(path, "config.json")
    if not settings.is_file():
        what = "no config.json there" if Path(path).is_dir() else "no such folder"
        cure = "for a hub id, say which commit (--revision; with make, REVISION=…)"
        raise InputError(f"model {path}: {what}; {cure}")
    found = json.loads(settings.read_text(encoding="utf-8"))
    return str(found.get("dtype", found.get("torch_dtype"))) in ("float16", "bfloat16")
