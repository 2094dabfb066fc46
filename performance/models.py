"""The two models that gradients are timed on, each with its own samples and a LoRA adapter.

`tiny` has the architecture of the demo's LLaVA and samples drawn like the demo's pool. `larger` is
a LLaVA of 67 million random weights, with Llama's vocabulary size, 144 tokens in an image and
samples of 64 to 700 tokens. Both are saved and loaded like any user's model, in float32 on the CPU.
All weights of the adapter are nonzero: with B = 0 the gradient of A is zero and proves nothing.
"""

import argparse
import contextlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import prepare_pool
import torch
from PIL import Image

from vlselect.core.kept_memory import keep_freed_memory
from vlselect.digits.architecture import build_model, build_processor, vision_config
from vlselect.digits.files import pool_record, write_images
from vlselect.digits.mixture import draw_mixture
from vlselect.digits.scenes import CELL, IMAGE_SIZE
from vlselect.digits.vocabulary import WORDS
from vlselect.models.collation import Encoded
from vlselect.models.loading import load_vlm
from vlselect.models.lora import attach_lora
from vlselect.models.vlm import VLM
from vlselect.pool import images
from vlselect.pool.samples import Samples

RESULTS = Path(__file__).resolve().parents[1] / "results/performance"
SUBJECTS = ("tiny", "larger")
MIXTURE = {"counting": 7, "recognition": 6, "colour": 6, "arithmetic": 4, "captioning": 3}
MIXTURE |= {
    "presence": 6,
    "position": 4,
    "comparison": 2,
    "reading": 2,
}  # the demo's shares, in fortieths
LENGTHS = (64, 700)  # tokens in the larger model's samples
VOCABULARY = 32_000
PHOTO = (640, 480)  # pixels, as in COCO


@dataclass
class Subject:
    """A model with its adapter, and samples to run it on.

    `vlm.model` is a PeftModel in evaluation mode, `root` the folder of the images, `folder` that
    of model, adapter and samples.
    """

    name: str
    vlm: VLM
    samples: Samples
    root: Path
    folder: Path

    def encode(self) -> list[Encoded]:
        """Encode all samples, in row order."""
        encoded = []
        for row, record in enumerate(self.samples.records(range(len(self.samples)))):
            pictures = [images.load(self.root, name, 10**7) for name in record.images]
            encoded.append(self.vlm.encode(record, pictures))
            encoded[-1].row = row
        return encoded


def options(description: str, rounds: int) -> argparse.ArgumentParser:
    """Return a parser of the options that all programs on gradients share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--models", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--samples", type=int, help="samples of each model")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser


def subjects(arguments: argparse.Namespace, sizes: Mapping[str, int]) -> Iterator[Subject]:
    """Yield each model that was asked for, on one thread."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as a job on a CPU does
    for name in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            yield make(name, Path(folder) / name, arguments.samples or sizes[name])


def make(name: str, folder: Path, n: int) -> Subject:
    """Build one of the two subjects with n samples, in a new folder."""
    folder.mkdir(parents=True)
    if name == "tiny":
        processor = build_processor(WORDS, IMAGE_SIZE, CELL)
        model = build_model(processor, seed=0)
        records = _digits(n, folder / "images")
    else:
        words = [f"w{i}" for i in range(VOCABULARY)]
        processor = build_processor(words, 168, 14)
        vision = vision_config(168, 14, hidden=384, layers=6, heads=6)
        model = build_model(processor, hidden=512, layers=10, heads=8, vision=vision, seed=0)
        model.config.text_config.max_position_embeddings = 2048
        records = _conversations(n, words, folder / "images")
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    (folder / "records.json").write_text(json.dumps(records), encoding="utf-8")
    _prepare(folder)
    vlm = _load(folder / "model")
    vlm.model = attach_lora(
        vlm.model,
        rank=8,
        alpha=16,
        dropout=0.0,
        target_modules=None,
        modules_to_save=(),
        seed=0,
    ).eval()
    _spread(vlm.model)
    vlm.model.save_pretrained(folder / "adapter")
    samples = Samples(folder / "samples.parquet")
    return Subject(name, vlm, samples, folder / "images", folder)


def _load(folder: Path) -> VLM:
    """Load a model on the CPU, in float32, with the workflow's other settings."""
    return load_vlm(
        str(folder),
        revision=None,
        dtype="float32",
        device="cpu",
        attention=None,
        quantisation=None,
        trust_remote_code=False,
        batch_size=64,
        batch_tokens=None,
        max_length=None,
        workers=0,
        template_date="2025-01-01",
    )


def _digits(n: int, folder: Path) -> list[dict]:
    """Return records like the demo's, and their images."""
    sizes = {task: -(-size * n // 40) for task, size in MIXTURE.items()}
    drawn = draw_mixture(sizes, noise=0.15, duplicates=0.18, seed=0)[:n]
    write_images(drawn, folder, "pool")
    return [pool_record(sample, "pool") for sample in drawn]


def _conversations(n: int, words: list[str], folder: Path) -> list[dict]:
    """Return records of random words, three of four with a photograph, with log-uniform lengths."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    records = []
    for i in range(n):
        record: dict = {"id": f"sample-{i:04d}"}
        low = LENGTHS[0] if i % 4 == 3 else 170  # an image alone has 144 tokens
        length = int(low * (LENGTHS[1] / low) ** ((i * 0.618) % 1))
        mark = ""
        if i % 4 != 3:
            record["image"], mark = f"{i}.jpg", "<image>\n"
            coarse = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
            photo = Image.fromarray(coarse).resize(PHOTO, Image.Resampling.BICUBIC)
            photo.save(folder / record["image"], quality=90)
        said = rng.choice(words, size=length - 5 - 144 * bool(mark))
        cut = len(said) // 2
        human, gpt = mark + " ".join(said[:cut]), " ".join(said[cut:])
        record["conversations"] = [
            {"from": "human", "value": human},
            {"from": "gpt", "value": gpt},
        ]
        records.append(record)
    return records


def _prepare(folder: Path) -> None:
    """Write samples.parquet as the pipeline does."""
    places = {name: str(folder / f"{name}.json") for name in ("records", "summary")}
    places |= {"samples": str(folder / "samples.parquet"), "images": str(folder / "images")}
    places |= {"rejected": str(folder / "rejected.csv")}
    with contextlib.redirect_stderr(io.StringIO()):
        flags = [word for key, path in places.items() for word in (f"--{key}", path)]
        prepare_pool.main([*flags, "--max-pixels", "50000000", "--repeated-ids", "reject"])


def _spread(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
