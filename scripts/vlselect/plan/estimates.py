"""What a run's jobs take on a named device, by arithmetic: where no trial can be run there.

Passes of models have operations (`arithmetic`), a device does so many in a second, and reaches a
share of them that is assumed (configs/devices.yaml). What runs no model is not estimated.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vlselect.core.errors import InputError
from vlselect.plan import arithmetic
from vlselect.plan.arithmetic import Sample, Shape
from vlselect.plan.extrapolation import Estimate
from vlselect.plan.jobs import Job

MODEL = re.compile(r"results/[^/]+/(?:features|gradients|proxy|checkpoints|benchmarks)/([^/]+)/")
BUDGET = re.compile(r"/(ratio|samples|tokens)-([\d.]+)_seed-")
FILLED = 0.8  # of a card by batch_tokens: auto (models.batching)
OUTPUT = (128, 64)  # of output-layer gradients: numbers of hidden state and error (gradients)
LAYERS = 5  # of a decoder whose activations are stored (models.layers)
# Forward passes over a sample, at most: some end after a few layers. Those that train, form
# gradients or answer have functions of their own.
PASSES = {
    "extract_features": 1,
    "extract_attention": 1,
    "extract_representation": 1,
    "extract_visual": 1,
    "extract_signatures": 1,
    "extract_clip": 1,
    "extract_gains": 2,
    "extract_instruction_gains": 4,
}


@dataclass(frozen=True)
class Device:
    """A card by its sheet: dense bfloat16 TFLOP/s, GB/s and GB of memory."""

    tflops: float
    gb_per_s: float
    memory_gb: float


@dataclass(frozen=True)
class Setting:
    """What estimates are made from.

    `config` has all defaults, `shapes` are models' shapes by their names, and samples of one image
    for each; `assumed` is the section of configs/devices.yaml, `n` the samples of the pool.
    """

    config: Mapping
    shapes: Mapping[str, tuple[Shape, Sample]]
    device: Device
    assumed: Mapping[str, float]
    n: int

    def seconds(self, operations: float) -> float:
        """Return what so many operations take."""
        return operations / (self.assumed["reached"] * self.device.tflops * 1e12)

    def tokens_of_batch(self, model: str) -> float:
        """Return the padded tokens of a batch of a pass, as far as the config limits them."""
        settings, (_, sample) = self.config["models"][model], self.shapes[model]
        limit = settings["batch_tokens"]
        full = settings["batch_size"] * sample.tokens
        return min(full, limit) if isinstance(limit, int) else full

    def held(self, model: str, memory: float) -> float:
        """Return the bytes of a pass, which batch_tokens: auto keeps within the card."""
        fits = self.config["models"][model]["batch_tokens"] == "auto"
        return min(memory, FILLED * self.device.memory_gb * 1e9) if fits else memory


def read_device(table: Mapping, name: str) -> Device:
    """Return a device of the table; InputError if it has none of that name."""
    if name not in table["devices"]:
        known = ", ".join(table["devices"])
        raise InputError(f"no device {name!r} in configs/devices.yaml, which has {known}")
    return Device(**table["devices"][name])


def known_shape(entry: Mapping, assumed: Mapping) -> tuple[Shape, Sample]:
    """Return the shape of a model of the table, and its mean sample."""
    entry = dict(entry)
    try:
        patches, image = float(entry.pop("patches")), float(entry.pop("image_tokens"))
        shape = Shape(**{name: int(size) for name, size in entry.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a model of configs/devices.yaml, {dict(entry)}: {error}") from error
    return shape, Sample(assumed["text"] + image, assumed["responses"], patches)


def estimate(rule: str, jobs: Sequence[Job], setting: Setting) -> Estimate:
    """Return what all jobs of a rule take, `memory` being the card's; of other rules, NaN."""
    if rule in PASSES:
        parts = [_pass(job, PASSES[rule], setting) for job in jobs]
    elif rule in SPECIAL:
        parts = [SPECIAL[rule](job, setting) for job in jobs]
    else:
        return Estimate()
    seconds, disk = (sum(getattr(p, key) for p in parts) for key in ("seconds", "disk"))
    return Estimate(seconds, disk=disk, memory=max(part.memory for part in parts))


def model_of(job: Job, setting: Setting) -> str:
    """Return the name of the model that a job runs, by the paths of its files."""
    for path in [*job.output, *job.input]:
        found = MODEL.match(path)
        if found and found[1] in setting.shapes:
            return found[1]
    raise InputError(f"no file of {job.output[0]}'s job names its model")


def trained_samples(job: Job, setting: Setting) -> float:
    """Return the samples of the subset that a checkpoint is trained on, by its budget."""
    kind, number = BUDGET.search(job.output[0]).groups()
    if kind == "tokens":
        (_, sample) = setting.shapes[model_of(job, setting)]
        return float(number) / sample.tokens
    return float(number) * (setting.n if kind == "ratio" else 1)


def _pass(job: Job, times: int, setting: Setting) -> Estimate:
    """Forward passes over a shard of the pool."""
    model = model_of(job, setting)
    shape, sample = setting.shapes[model]
    n = setting.n * job.size(1, 1)
    operations = times * n * arithmetic.forward(shape, sample)
    kinds = {path.split("/")[-2] for path in job.output}
    width = 2 * shape.hidden * (2 * LAYERS * ("activations" in kinds) + len(kinds))  # bytes
    held = setting.held(model, arithmetic.held_by_pass(shape, setting.tokens_of_batch(model)))
    return Estimate(setting.seconds(operations), held, n * width)


def _section(job: Job, setting: Setting) -> Mapping:
    """Return the section of the config whose warmed-up model a job is of."""
    return setting.config[re.match(r"results/[^/]+/(gradients|proxy)/", job.output[0])[1]]


def _gradients(job: Job, setting: Setting) -> Estimate:
    """Vectors of a shard, or of all validation sets: by a backward or a forward pass."""
    model, section = model_of(job, setting), _section(job, setting)
    shape, sample = setting.shapes[model]
    pool = any("/pool/shard-" in path for path in job.output)
    n = setting.n * job.size(1, 1) if pool else _validation(setting)
    tokens, extra = setting.tokens_of_batch(model), 0
    if section["representation"] != "lora":
        held = setting.held(model, arithmetic.held_by_pass(shape, tokens))
        seconds = setting.seconds(n * arithmetic.forward(shape, sample))
        projected = min(shape.hidden, OUTPUT[0]) * OUTPUT[1]
        width = projected if section["representation"] == "output" else shape.hidden
        return Estimate(seconds, held, n * 2 * width)
    rank, dim = section["warm_up"]["finetune"]["rank"], section["projection"]["dim"]
    operations = arithmetic.gradients(shape, rank, sample)
    if section["projection"]["type"] in ("rademacher", "normal"):
        operations += 2 * rank * shape.lora * dim
        extra = 4 * rank * shape.lora * tokens / sample.tokens
    held = setting.held(model, arithmetic.held_by_gradients(shape, rank, tokens) + extra)
    within = pool and section["store"] == "influence"
    kept = min(dim, section["span"], _validation(setting)) if within else dim
    return Estimate(setting.seconds(n * operations), held, n * 2 * kept)


def _validation(setting: Setting) -> int:
    """Return the samples of all validation sets; those that no `build` counts are assumed."""
    builds = [task.get("build") or {} for task in setting.config["tasks"].values()]
    return sum(build.get("validation") or setting.assumed["validation"] for build in builds)


def _training(settings: Mapping, model: str, n: float, setting: Setting) -> Estimate:
    """A training on n samples; seconds are of one card, however many share it."""
    shape, sample = setting.shapes[model]
    rank = settings["rank"] if settings.get("adapter", "lora") == "lora" else None
    again = settings.get("gradient_checkpointing", False)
    operations = arithmetic.training(shape, rank, sample, checkpointing=again)
    tokens = settings["batch_size"] * sample.tokens
    held = arithmetic.held_by_training(shape, rank, tokens, checkpointing=again)
    size = 4 * (rank * shape.lora) if rank else 2 * shape.weights
    return Estimate(setting.seconds(n * settings.get("epochs", 1) * operations), held, size)


def _warm_up(job: Job, setting: Setting) -> Estimate:
    section = _section(job, setting)["warm_up"]
    n = section["fraction"] * setting.n
    return _training(section["finetune"], model_of(job, setting), n, setting)


def _finetune(job: Job, setting: Setting) -> Estimate:
    n = trained_samples(job, setting)
    return _training(setting.config["finetune"], model_of(job, setting), n, setting)


def _score_net(job: Job, setting: Setting) -> Estimate:
    section = setting.config["methods"]["self_filter"]
    n = section.get("fraction", 1) * setting.n
    done = _training(section["finetune"], section["model"], n, setting)
    return replace(done, disk=12 * setting.n)


def _answers(job: Job, setting: Setting) -> Estimate:
    """Prompts in batches, then token by token, for which all weights are read once a batch."""
    model, assumed = model_of(job, setting), setting.assumed
    shape, sample = setting.shapes[model]
    tests = [t for t in setting.config["tasks"].values() if {"test", "build"} & t.keys()]
    n = len(tests) * assumed["questions"]
    asked = Sample(sample.tokens - assumed["text"] + assumed["prompt"], 1, sample.patches)
    bandwidth = assumed["reached_bandwidth"] * setting.device.gb_per_s * 1e9
    batches = n / max(1, setting.tokens_of_batch(model) / asked.tokens)
    read = batches * assumed["answer"] * 2 * shape.weights / bandwidth
    held = setting.held(model, arithmetic.held_by_pass(shape, setting.tokens_of_batch(model)))
    return Estimate(setting.seconds(n * arithmetic.forward(shape, asked)) + read, held, n * 200)


SPECIAL: dict[str, Callable[[Job, Setting], Estimate]] = {
    "collect_gradients": _gradients,
    "collect_validation_gradients": _gradients,
    "warm_up": _warm_up,
    "train_score_net": _score_net,
    "finetune_model": _finetune,
    "run_benchmarks": _answers,
    "run_benchmarks_pretrained": _answers,
}
