"""Per-sample LoRA gradients of text models of 42 and 135 million weights: ours beside bergson's.

Both get the same weights, adapter and batch, in turns. `formed`: every matrix's gradients are
formed and freed. `projected`: ours by `shifted`, as they come; bergson's two-sided, each matrix to
a square of SIDES, which needs no gradient of the matrix. `preconditioned`: ours, divided by roots
of second moments too. Every token but the first is a response, so that both compute the same
logits. Where bergson is not installed, only ours is measured.

`products_error` is the root mean square error of inner products of projected gradients, relative to
the lengths of the two; `k` is how many numbers of a sample are left.
"""

import argparse
import importlib.util
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from clocks import in_turns, ratio, write_table
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from models import RESULTS
from vlselect.core.kept_memory import keep_freed_memory
from vlselect.gradients import precondition, projection
from vlselect.gradients.per_sample import PerSampleGradients, lora_matrices, response_losses
from vlselect.models.lora import load_adapter

CASES = (  # model, dtype, rank
    *(("42M", "float32", 8), ("42M", "float32", 128)),
    *(("42M", "bfloat16", 128), ("42M", "bfloat16", 16)),
    *(("135M", "float32", 16), ("135M", "bfloat16", 16)),
)
SAMPLES, TOKENS = 4, 256
SIDES = (7, 16, 64)  # about the papers' k, the default of bergson's `trackstar`, one more exact
SEEDS = 3  # of projections, for their error
AGREEMENT = {"float32": 1e-4, "bfloat16": 5e-2}  # relative; bergson's sums are bfloat16


def architecture(model: str, layers: int | None) -> LlamaConfig:
    """Return a Llama of 42 million weights or one like SmolLM2-135M; maybe of fewer layers."""
    sizes = {
        "42M": {"num_hidden_layers": 8, "num_attention_heads": 8, "hidden_size": 512}
        | {"intermediate_size": 1376, "vocab_size": 16_000},
        "135M": {"num_hidden_layers": 30, "num_attention_heads": 9, "hidden_size": 576}
        | {"intermediate_size": 1536, "vocab_size": 49_152, "num_key_value_heads": 3},
    }
    fewer = {"num_hidden_layers": layers} if layers else {}
    tied = {"tie_word_embeddings": model == "135M", "pad_token_id": 0}
    return LlamaConfig(**sizes[model] | fewer | tied)


def save_adapter(folder: Path, config: LlamaConfig, rank: int) -> None:
    """Save an adapter on all linear layers, with B set, in float32."""
    torch.manual_seed(0)
    linear = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=linear)
    model = get_peft_model(LlamaForCausalLM(config), settings)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
    model.save_pretrained(folder)


def base(config: LlamaConfig, dtype: str) -> LlamaForCausalLM:
    """Return the frozen base model, the same for every dtype up to rounding."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    return model.to(getattr(torch, dtype)).eval().requires_grad_(False)


def ours(folder: Path, config: LlamaConfig, dtype: str) -> torch.nn.Module:
    """Load model and adapter as the pipeline does."""
    vlm = SimpleNamespace(model=base(config, dtype), device=torch.device("cpu"))
    return load_adapter(vlm, folder, as_model=True).model


def make_batch(samples: int, tokens: int) -> SimpleNamespace:
    """Return a batch without padding, all of whose tokens but the first are responses."""
    ids = torch.randint(1, 16_000, (samples, tokens), generator=torch.Generator().manual_seed(0))
    response = torch.ones_like(ids, dtype=torch.bool)
    response[:, 0] = False
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return SimpleNamespace(inputs=inputs, response=response, sample_ids=[str(i) for i in ids[:, 0]])


def ordinary_step(model: torch.nn.Module, batch: SimpleNamespace) -> None:
    """Run an ordinary batched forward and backward for all LoRA weights."""
    weights = [matrix.layer.weight.requires_grad_(True) for matrix in lora_matrices(model)]
    torch.autograd.grad(response_losses(model, batch).sum(), weights)


@contextmanager
def frozen(model: torch.nn.Module) -> Iterator[PerSampleGradients]:
    """Enter our pass, whatever the contender before it has set."""
    model.requires_grad_(False)
    with PerSampleGradients(model) as per_sample:
        yield per_sample


def formed(model: torch.nn.Module, batch: SimpleNamespace) -> dict[str, torch.Tensor]:
    """Form every matrix's gradients and keep the first coordinate of each, by name."""
    found = {}
    with frozen(model) as per_sample:
        names = {matrix.offset: matrix.name for matrix in per_sample.matrices}

        def consume(offset: int, block: torch.Tensor) -> None:
            found[names[offset]] = block[:, 0].clone()

        per_sample.stream(batch, consume)
    return found


def require_same(contenders: dict[str, Callable], dtype: str) -> None:
    """Refuse to compare with a bergson whose gradients are other ones than ours."""
    if "bergson formed" not in contenders:
        return
    found, expected = contenders["bergson formed"](), contenders["ours formed"]()
    found = {f"base_model.{name}.weight": values for name, values in found.items()}
    one, other = (torch.stack([v[name] for name in expected]) for v in (found, expected))
    off = float((one - other).norm() / other.norm())
    if not off < AGREEMENT[dtype]:
        raise ValueError(f"gradients of bergson and ours differ by {off:.2g} of their norm")


def projected(
    model: torch.nn.Module, batch: SimpleNamespace, phi: projection.Projection
) -> torch.Tensor:
    """Project them as they come."""
    with frozen(model) as per_sample:
        accumulator = phi.begin(len(batch.response))
        per_sample.stream(batch, accumulator.add)
    return accumulator.result()


def bergsons(
    folder: Path, config: LlamaConfig, dtype: str, batch: SimpleNamespace
) -> dict[str, Callable]:
    """Return makers (from a seed) of what bergson does with the same batch; none without it."""
    if importlib.util.find_spec("bergson") is None:
        print("bergson is not installed: only ours is measured", file=sys.stderr)
        return {}
    from bergson.collector.collector import fwd_bwd_factory
    from bergson.collector.gradient_collectors import StreamingGradientCollector
    from bergson.gradients import GradientProcessor
    from bergson.utils.worker_utils import extract_peft_target_modules

    class Forming(StreamingGradientCollector):
        """Forms every matrix's gradients and keeps the first coordinate of each."""

        def backward_hook(self, module, g):
            self.mod_grads[module._name] = self._compute_gradient(module, g)[:, 0].float()

    model = PeftModel.from_pretrained(
        base(config, dtype), str(folder), autocast_adapter_dtype=False
    ).eval()
    model.requires_grad_(False)
    model.get_input_embeddings().requires_grad_(True)
    names = extract_peft_target_modules(model)
    run = fwd_bwd_factory(SimpleNamespace(loss_fn="ce", loss_reduction="mean", label_smoothing=0.0))
    ids = batch.inputs["input_ids"]

    def collect(kind: type, dim: int | None, seed: int = 0) -> Callable:
        settings = {"dtype": getattr(torch, dtype), "target_modules": names}
        settings["processor"] = GradientProcessor(projection_dim=dim, projection_seed=seed)
        collector = kind(model=model.base_model, **settings)
        if len(collector.target_info) != len(lora_matrices(model)):
            raise ValueError(f"bergson collects of {len(collector.target_info)} matrices only")

        def once() -> dict[str, torch.Tensor]:
            with collector.with_batch(torch.ones_like(ids, dtype=torch.bool)):
                run(model, ids, ids, {})
            found = dict(collector.mod_grads)
            collector.mod_grads.clear()
            return found

        return once

    squares = {
        f"bergson {side}": partial(collect, StreamingGradientCollector, side) for side in SIDES
    }
    return {"bergson formed": partial(collect, Forming, None), **squares}


def error(model: torch.nn.Module, exact: torch.nn.Module, batch: SimpleNamespace) -> float:
    """Return the mean relative error of a sample's gradient against the all-float32 model's."""
    found, expected = whole(model, batch), whole(exact, batch)
    return float(((found - expected).norm(dim=1) / expected.norm(dim=1)).mean())


def whole(model: torch.nn.Module, batch: SimpleNamespace) -> torch.Tensor:
    """Return whole gradients, float32 (B, p)."""
    with frozen(model) as per_sample:
        return per_sample.gradients(batch)


def products_error(vectors: torch.Tensor, projections: list[torch.Tensor]) -> float:
    """Return the error of inner products, see above, over all pairs and projections."""
    sizes = vectors.norm(dim=1)
    exact, scale = vectors @ vectors.T, sizes[:, None] * sizes
    errors = [(values.float() @ values.float().T - exact) / scale for values in projections]
    return float(torch.stack(errors)[:, *torch.triu_indices(*exact.shape)].square().mean().sqrt())


def measure(size: str, dtype: str, rank: int, arguments: argparse.Namespace) -> list[dict]:
    """Return a case's rows."""
    batch = make_batch(arguments.samples, arguments.tokens)
    config = architecture(size, arguments.layers)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_adapter(folder, config, rank)
        model = ours(folder, config, dtype)
        off = error(model, ours(folder, config, "float32"), batch)
        width, dim = PerSampleGradients(model).size, len(lora_matrices(model)) * SIDES[0] ** 2
        where = {"device": torch.device("cpu"), "nonzeros": 1, "implementation": "auto"}
        maps = [
            projection.make("shifted", size=width, dim=dim, seed=i, **where) for i in range(SEEDS)
        ]
        weights = torch.rand(width, generator=torch.Generator().manual_seed(0))
        adam = precondition.weighted(maps[0], weights)
        theirs = bergsons(folder, config, dtype, batch)
        contenders = {
            "ordinary step": partial(ordinary_step, model, batch),
            "ours formed": partial(formed, model, batch),
            "ours projected": partial(projected, model, batch, maps[0]),
            "ours preconditioned": partial(projected, model, batch, adam),
            **{name: make() for name, make in theirs.items()},
        }
        require_same(contenders, dtype)
        vectors = whole(model, batch)
        projections = {"ours projected": [projected(model, batch, phi) for phi in maps]}
        for name in theirs.keys() - {"bergson formed"}:
            found = [theirs[name](i)() for i in range(SEEDS)]
            projections[name] = [torch.cat([*values.values()], dim=1) for values in found]
        seconds = in_turns(contenders, arguments.rounds)
    rows = []
    for name, own in seconds.items():
        kept = projections.get(name)
        like = "ours formed" if "formed" in name or "step" in name else "ours projected"
        rows.append({
            "model": size, "dtype": dtype, "rank": rank, "contender": name,
            "ms_per_sample": 1e3 * statistics.median(own) / arguments.samples,
            "times_ordinary_step": ratio(own, seconds["ordinary step"]),
            "times_ours": ratio(own, seconds[like]),
            "gradient_error": off if name == "ours formed" else math.nan,
            "k": kept[0].shape[1] if kept else "",
            "products_error": products_error(vectors, kept) if kept else math.nan,
            "rounds": arguments.rounds,
        })  # fmt: skip
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=list(range(len(CASES))))
    parser.add_argument("--layers", type=int, help="fewer than the models have")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    keep_freed_memory()
    rows: list[dict] = []
    for case in arguments.cases:
        rows += measure(*CASES[case], arguments)
        write_table(arguments.out / "beside_bergson.csv", rows)


if __name__ == "__main__":
    main()
