"""CLIP embeddings of the images and the text of a sample, in one space.

A CLIP is not a VLM: it has two towers, no chat template and no response, and a short context.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoConfig, AutoModel, AutoProcessor, CLIPModel

from vlselect.core import log
from vlselect.core.errors import InputError
from vlselect.core.half import to_stored
from vlselect.core.shard_files import BLOCK
from vlselect.models.failures import explained
from vlselect.models.loading import prepare_device
from vlselect.models.weights import load_pretrained
from vlselect.pool import images
from vlselect.pool.records import IMAGE_MARKER, Record
from vlselect.pool.samples import Samples

logger = logging.getLogger(__name__)


def conversation_text(record: Record) -> str:
    """Return the text of user and assistant, in order, on one line and without image markers."""
    said = [turn.text for turn in record.turns if turn.role != "system"]
    return " ".join(" ".join(said).replace(IMAGE_MARKER, " ").split())


@dataclass
class CLIP:
    """A CLIP in evaluation mode, with its processor.

    `path` and `revision` say where it was loaded from (no revision for a directory); `batch_size`
    is the most images or texts in a batch, None where only the processor is used.
    """

    model: CLIPModel
    processor: object
    path: str
    revision: str
    batch_size: int | None

    @classmethod
    def load(cls, arguments: argparse.Namespace) -> "CLIP":
        """Load the CLIP that the flags of `loading.add_model_arguments` name.

        Raises MissingFileError as `loading.load_vlm`, and InputError if the model is not a CLIP,
        quantisation is requested, or weights are missing or unknown (`WeightsError`).
        """
        device = prepare_device(arguments)
        path, revision = arguments.model, arguments.revision
        if arguments.quantisation:
            raise InputError(f"model {path!r}: CLIP cannot be quantised; set `quantisation: null`")
        where = {"revision": revision or "main", "trust_remote_code": arguments.trust_remote_code}
        options = {"dtype": getattr(torch, arguments.dtype)}
        options |= {"attn_implementation": arguments.attention}
        with explained(path, revision, own_code=arguments.trust_remote_code):
            processor = AutoProcessor.from_pretrained(path, **where)
            kind = AutoConfig.from_pretrained(path, **where).model_type
            if kind != CLIPModel.config_class.model_type:
                raise InputError(f"model {path!r} is of type {kind!r}, not a CLIPModel")
            model = load_pretrained(AutoModel, path, device=device, **options, **where)
        model = model.eval()
        logger.info("loaded %s (%s parameters) on %s", path, model.num_parameters(), model.device)
        return cls(model, processor, str(path), revision or "", arguments.batch_size)

    @classmethod
    def load_without_weights(cls, arguments: argparse.Namespace) -> "CLIP":
        """Load processor and architecture only, for `count`; the model is known to be a CLIP."""
        where = {"revision": arguments.revision or "main"}
        where |= {"trust_remote_code": arguments.trust_remote_code}
        with explained(arguments.model, arguments.revision, own_code=where["trust_remote_code"]):
            processor = AutoProcessor.from_pretrained(arguments.model, **where)
            config = AutoConfig.from_pretrained(arguments.model, **where)
        with torch.device("meta"):
            model = AutoModel.from_config(config)
        return cls(model, processor, str(arguments.model), arguments.revision or "", None)

    def count(self, record: Record, pictures: Sequence[Image.Image]) -> tuple[int, int]:
        """Return the tokens of a sample's text, and 0 (a CLIP has no responses)."""
        text = self.processor.tokenizer(
            conversation_text(record), truncation=True, max_length=self.max_length
        )
        if pictures:
            self.processor.image_processor(images=list(pictures), return_tensors="pt")
        return len(text["input_ids"]), 0

    @property
    def width(self) -> int:
        """Dimension d of the embeddings."""
        return self.model.config.projection_dim

    @property
    def max_length(self) -> int:
        """Number of positions of the text tower."""
        return self.model.config.text_config.max_position_embeddings

    def tokenise(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return token ids and mask (B, T), T ≤ `max_length`; the end token is never cut off."""
        encoded = self.processor.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        return {
            name: encoded[name].to(self.model.device) for name in ("input_ids", "attention_mask")
        }

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Compute unit embeddings of texts, float32 (n, d) on the host."""
        parts = [
            self.model.get_text_features(**self.tokenise(chunk)).pooler_output.float().cpu()
            for chunk in _chunks(texts, self.batch_size)
        ]
        return normalize(torch.cat(parts), dim=-1)

    @torch.inference_mode()
    def embed_images(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Compute unit embeddings of images, float32 (n, d) on the host; n may be 0."""
        parts = [torch.empty(0, self.width)]
        for chunk in _chunks(pictures, self.batch_size):
            pixels = self.processor.image_processor(images=list(chunk), return_tensors="pt")
            pixels = pixels["pixel_values"].to(self.model.device, self.model.dtype)
            parts.append(
                self.model.get_image_features(pixel_values=pixels).pooler_output.float().cpu()
            )
        return normalize(torch.cat(parts), dim=-1)


def extract_clip(
    clip: CLIP,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    *,
    max_pixels: int,
    faults: dict[str, str] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embed the images and the text of samples, in blocks cut on absolute multiples of 64 rows.

    `rows` must be ascending; `image_root` and `max_pixels` as for `images.load`. `faults` takes up,
    by sample id, what cannot be stored; see `half.to_stored`.

    Yields
    ------
    rows : int64 array, shape (n,)
        Rows of one block.
    values : float16 array, shape (n, 2 d)
        Image and text embedding, each of unit length. Several images: the mean of their unit
        embeddings, scaled to unit length. No image: zeros.

    Raises
    ------
    ValueError
        Without `faults`, if an embedding is not finite, or images cancel each other out; names the
        sample.
    """
    blocks = [np.array(list(block)) for _, block in groupby(rows, key=lambda row: row // BLOCK)]
    for block in log.progress(blocks, description="clip embeddings"):
        records = samples.records(block)
        pictures = [p for r in records for p in images.load_all(image_root, r, max_pixels)]
        owners = np.repeat(np.arange(len(records)), [len(record.images) for record in records])
        means = torch.zeros(len(records), clip.width)
        means.index_add_(0, torch.from_numpy(owners), clip.embed_images(pictures))
        texts = clip.embed_texts([conversation_text(record) for record in records])
        values = torch.stack([normalize(means, dim=-1), texts], dim=1)  # (n, image or text, d)
        _require_unit(values, records, faults)
        sample_ids = [record.sample_id for record in records]
        yield block, to_stored(values.flatten(1).numpy(), np.float16, "clip", sample_ids, faults)


def _require_unit(values: Tensor, records: Sequence[Record], faults: dict[str, str] | None) -> None:
    """Check that embeddings (n, 2, d) have unit length, except for samples without images."""
    expected = torch.tensor([[float(bool(record.images)), 1.0] for record in records])
    sound = (values.norm(dim=-1) - expected).abs() < 1e-3  # NaN is not
    for wrong in (~sound.all(dim=1)).nonzero().flatten().tolist():
        name = records[wrong].sample_id
        if faults is None:
            raise InputError(f"the CLIP embeddings of sample {name!r} have no direction")
        faults[name] = f"the CLIP embeddings of sample {name!r} have no direction"


def _chunks(items: Sequence, size: int) -> Iterator[Sequence]:
    return (items[start : start + size] for start in range(0, len(items), size))
