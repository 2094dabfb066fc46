"""One adapter over any Hugging Face image-text-to-text model: load, encode, mask, collate.

Every stage that runs a model sees it through this module only: conversations go in, padded batches
with exact masks come out. The masks are found in the text that the model's own chat template
renders and carried to tokens by the tokenizer's offsets, so no template needs special markers.
"""

import argparse
import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from vlselect import chat
from vlselect.chat import MaskError
from vlselect.records import Record

logger = logging.getLogger(__name__)

IGNORED = -100  # label of tokens without a loss
SEQUENCE_FILL = {"attention_mask": 0, "mm_token_type_ids": 0, "token_type_ids": 0}


@dataclass
class Encoded:
    """One sample as the model sees it; masks are bool arrays of shape (T,)."""

    sample_id: str
    inputs: dict[str, Tensor]
    response: np.ndarray
    instruction: np.ndarray
    image: np.ndarray
    row: int = -1

    def __len__(self) -> int:
        return len(self.response)


@dataclass
class Batch:
    """Padded samples; masks are bool tensors of shape (B, T), `inputs` the model's arguments.

    `response` holds the assistant's tokens with the token that ends each turn; `instruction` the
    tokens of the user's text; `image` the image placeholders. Padding is in none of them.
    """

    inputs: dict[str, Tensor]
    response: Tensor
    instruction: Tensor
    image: Tensor
    rows: np.ndarray
    sample_ids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> Tensor:
        """Token ids (B, T) int64 where the loss counts, -100 elsewhere."""
        return self.inputs["input_ids"].masked_fill(~self.response, IGNORED)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which model to load, where and how."""
    parser.add_argument("--model", required=True, help="local directory, or hub id with --revision")
    parser.add_argument("--revision", help="commit of the hub repository; absent for a directory")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:<n>")
    parser.add_argument("--attention", help="eager, sdpa or flash_attention_2")
    parser.add_argument("--batch-size", type=int, default=64, help="samples in a batch, at most")
    parser.add_argument("--max-length", type=int, help="tokens of a sample; longer ones are cut")
    parser.add_argument("--threads", type=int, default=1, help="fixed: sums depend on it")
    parser.add_argument("--trust-remote-code", action="store_true", help="run the hub's own code")


def load_from_arguments(arguments: argparse.Namespace) -> "VLM":
    """Load the model that the flags of `add_model_arguments` name, and fix the thread number."""
    torch.set_num_threads(arguments.threads)
    return VLM.load(
        arguments.model,
        revision=arguments.revision,
        dtype=arguments.dtype,
        device=arguments.device,
        attention=arguments.attention,
        trust_remote_code=arguments.trust_remote_code,
        batch_size=arguments.batch_size,
        max_length=arguments.max_length,
    )


def pick_device(device: str) -> torch.device:
    """Resolve ``auto`` to a GPU where there is one; a GPU asked for by name has to exist."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError(f"device {device!r} was asked for, but torch sees no GPU")
    return torch.device(device)


class VLM:
    """A vision-language model with its processor.

    Attributes
    ----------
    model : PreTrainedModel
        In evaluation mode, on `device`.
    processor : ProcessorMixin
        Its chat template renders every conversation.
    batch_size : int
        Samples in a batch, at most.
    max_length : int or None
        Tokens that whole conversations are cut to, from the right; None cuts nothing.
    """

    def __init__(
        self,
        model,
        processor,
        *,
        path: str,
        revision: str = "",
        batch_size: int = 64,
        max_length: int | None = None,
    ):
        self.model, self.processor = model.eval(), processor
        self.path, self.revision, self.batch_size = path, revision, batch_size
        self.max_length = max_length
        self.tokenizer = processor.tokenizer
        if not self.tokenizer.is_fast:
            raise MaskError(f"{path}: masks need a fast tokenizer, which gives character offsets")
        if processor.chat_template is None and self.tokenizer.chat_template is None:
            raise MaskError(f"{path}: the processor has no chat template")
        self._arguments = set(inspect.signature(model.forward).parameters)
        unknown = {self.tokenizer.unk_token_id}  # stands for a user's word
        self._special = set(self.tokenizer.all_special_ids) - unknown

    @classmethod
    def load(
        cls,
        path: str,
        *,
        revision: str | None = None,
        dtype: str = "float32",
        device: str = "auto",
        attention: str | None = None,
        trust_remote_code: bool = False,
        batch_size: int = 64,
        max_length: int | None = None,
    ) -> "VLM":
        """Load model and processor from a local directory, or from the hub at a fixed revision.

        Raises
        ------
        FileNotFoundError
            If there is no such directory and no revision, or the hub's files are not to be had.
        """
        if revision is None and not Path(path).is_dir():
            raise FileNotFoundError(
                f"model {path!r} is not a directory; a hub id needs a `revision` in the config"
            )
        where = {"revision": revision or "main", "trust_remote_code": trust_remote_code}
        try:
            processor = AutoProcessor.from_pretrained(path, **where)
            model = AutoModelForImageTextToText.from_pretrained(
                path, dtype=getattr(torch, dtype), attn_implementation=attention, **where
            )
        except OSError as error:
            raise FileNotFoundError(
                f"cannot load model {path!r} (revision {revision or 'none'}): {error}. Where there "
                f"is no network, first run `hf download {path} --revision {revision or 'main'}` "
                "on a machine that has one, and point `path` at the folder"
            ) from error
        model = model.to(pick_device(device))
        logger.info("loaded %s (%s parameters) on %s", path, model.num_parameters(), model.device)
        return cls(
            model,
            processor,
            path=path,
            revision=revision or "",
            batch_size=batch_size,
            max_length=max_length,
        )

    @property
    def device(self) -> torch.device:
        """Where the model's inputs have to be."""
        return self.model.device

    @property
    def language_layers(self) -> torch.nn.ModuleList:
        """The decoder layers of the language model, first to last."""
        return self.model.get_decoder().layers

    @property
    def positions(self) -> int | None:
        """Tokens that the language model has positions for, where its config says so."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def encode(self, record: Record, images: Sequence[Image.Image]) -> Encoded:
        """Tokenise one whole conversation and find its masks.

        Parameters
        ----------
        record : Record
            At least one user turn and one assistant turn.
        images : sequence of PIL images
            One for each ``<image>`` of the conversation, in order.

        Raises
        ------
        MaskError
            If the chat template hides or alters the responses, or no response token is left.
        ValueError
            If the sample is longer than the model has positions for.
        """
        text, spans = chat.locate_texts(record, self._render)
        responses, instructions = spans["assistant"], spans["user"]
        if not text[responses[-1][1] :].strip() and self.tokenizer.eos_token:
            text = text[: responses[-1][1]] + self.tokenizer.eos_token
        encoded = self._tokenise(record, text, images, responses, instructions)
        if self.max_length is not None and len(encoded) > self.max_length:
            encoded = self._cut(encoded)
        self._require_positions(encoded)
        if not encoded.response.any():
            raise MaskError(f"sample {record.sample_id!r}: no token of its responses is left")
        return encoded

    def encode_prompt(self, record: Record, images: Sequence[Image.Image]) -> Encoded:
        """Tokenise a conversation up to its last user turn, ready for the answer."""
        last = max(i for i, turn in enumerate(record.turns) if turn.role == "user")
        text = self._render(chat.messages(record)[: last + 1], add_generation_prompt=True)
        encoded = self._tokenise(record, text, images, [], [])
        self._require_positions(encoded)
        return encoded

    def collate(self, samples: Sequence[Encoded], padding_side: str | None = None) -> Batch:
        """Pad samples to one length and stack them, on the model's device.

        Parameters
        ----------
        samples : sequence of Encoded
            With images or without, mixed at will.
        padding_side : {"left", "right"}, optional
            The tokenizer's own side where none is given.
        """
        side = padding_side or self.tokenizer.padding_side
        length = max(len(sample) for sample in samples)
        fill = dict(SEQUENCE_FILL, input_ids=self.tokenizer.pad_token_id or 0)
        inputs: dict[str, Tensor] = {}
        for name in sorted({name for sample in samples for name in sample.inputs}):
            values = [sample.inputs[name] for sample in samples if name in sample.inputs]
            if name in fill:
                values = [_pad(value, length, side, fill[name])[None] for value in values]
            inputs[name] = torch.cat(values).to(self.device)
            if inputs[name].is_floating_point():
                inputs[name] = inputs[name].to(self.model.dtype)
        masks = {
            name: torch.stack(
                [_pad(torch.from_numpy(getattr(s, name)), length, side, False) for s in samples]
            ).to(self.device)
            for name in ("response", "instruction", "image")
        }
        rows = np.array([sample.row for sample in samples], dtype=np.int64)
        return Batch(inputs=inputs, rows=rows, sample_ids=[s.sample_id for s in samples], **masks)

    def _cut(self, sample: Encoded) -> Encoded:
        """Keep the first `max_length` tokens; image tokens may not be among the others."""
        kept = slice(0, self.max_length)
        if sample.image[self.max_length :].any():
            raise ValueError(
                f"sample {sample.sample_id!r} has image tokens beyond max_length {self.max_length}"
            )
        sequences = {*SEQUENCE_FILL, "input_ids"}
        inputs = {
            name: value[kept] if name in sequences else value
            for name, value in sample.inputs.items()
        }
        masks = (sample.response[kept], sample.instruction[kept], sample.image[kept])
        logger.info("sample %r is cut from %d tokens", sample.sample_id, len(sample))
        return Encoded(sample.sample_id, inputs, *masks)

    def _require_positions(self, sample: Encoded) -> None:
        if self.positions is not None and len(sample) > self.positions:
            raise ValueError(
                f"sample {sample.sample_id!r} has {len(sample)} tokens, but {self.path} has "
                f"positions for {self.positions}; a max_length in the model's config cuts longer "
                "samples"
            )

    def _render(self, messages: list[dict], add_generation_prompt: bool = False) -> str:
        return self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )

    def _tokenise(self, record, text, images, responses, instructions) -> Encoded:
        bos = self.tokenizer.bos_token
        output = self.processor(
            text=[text],
            images=[list(images)] if images else None,
            add_special_tokens=not (bos and text.startswith(bos)),
            return_tensors="pt",
            return_mm_token_type_ids=True,
            return_text_replacement_offsets=True,
            return_offsets_mapping=True,
        )
        shifts = output.pop("text_replacement_offsets", None) or [[]]
        offsets = np.asarray(output.pop("offset_mapping"))[0]  # (T, 2)
        image = np.asarray(output["mm_token_type_ids"])[0] == 1
        ids = np.asarray(output["input_ids"])[0]
        special = np.isin(ids, list(self._special))
        response = chat.cover(offsets, [chat.shift(span, shifts[0]) for span in responses])
        response |= chat.closing(response, special & ~image)
        instruction = chat.cover(offsets, [chat.shift(span, shifts[0]) for span in instructions])
        inputs = {
            name: value[0] if name in SEQUENCE_FILL or name == "input_ids" else value
            for name, value in output.items()
            if name in self._arguments
        }
        return Encoded(record.sample_id, inputs, response, instruction & ~special & ~image, image)


def _pad(values: Tensor, length: int, side: str, fill) -> Tensor:
    missing = values.new_full((length - len(values),), fill)
    return torch.cat([missing, values] if side == "left" else [values, missing])
