"""One interface to any Hugging Face image-text-to-text model: encode, mask, collate.

Every stage that runs a vision-language model does so through this module: conversations go in,
padded batches with exact masks come out. The masks are located in the text rendered by the model's
own chat template and mapped to tokens by the tokenizer's offsets, so no template needs special
markers.
"""

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature, PreTrainedTokenizerBase

from vlselect.core.errors import LIBRARY_ERRORS, InputError, lacks_memory, one_line
from vlselect.models import chat, collation, failures
from vlselect.models.chat import PROCESSOR, MaskError, Refused, Span
from vlselect.models.collation import SEQUENCES, Batch, Encoded
from vlselect.pool.records import IMAGE_MARKER, Record, Turn

MEDIA = {"image_token": "image", "boi_token": "image", "video_token": "video"}  # of processors
AUTO = "auto"  # batch_tokens by the memory that is there
LONGEST = 1 << 26  # characters of a rendered conversation
TOKEN_TYPES = ("mm_token_type_ids", "token_type_ids")  # by which some models recognise image tokens

logger = logging.getLogger(__name__)


class VLM:
    """A vision-language model with its processor.

    Attributes
    ----------
    model : PreTrainedModel
        In evaluation mode, on `device`.
    processor : ProcessorMixin
        Its chat template renders every conversation.
    batch_size, batch_tokens : int or None
        Most samples and tokens (padding and images included) in a batch; None sets no limit, and
        tokens may be "auto" until the first pass (`batching.fit_tokens`).
    workers : int
        Processes that read and encode samples while the model runs; with 0, this process does.
    max_length : int or None
        Tokens that whole conversations are cut to, from the right; None cuts nothing.
    turn_ends : list of int
        Ids of the tokens that close the assistant's turns: those that the chat template writes, or
        the end-of-sequence token, which `encode` inserts if the template closes no turn.
    positions : int or None
        Number of positions of the language model, if its config states it.
    """

    def __init__(
        self,
        model,
        processor,
        *,
        path: str,
        revision: str,
        batch_size: int | None,
        batch_tokens: int | str | None,
        max_length: int | None,
        workers: int,
    ):
        self.model, self.processor = model.eval(), processor
        self.path, self.revision, self.batch_size = path, revision, batch_size
        self.batch_tokens, self.max_length, self.workers = batch_tokens, max_length, workers
        self.tokenizer = processor.tokenizer
        if not self.tokenizer.is_fast:
            raise MaskError(f"{path}: masks need a fast tokenizer, for its character offsets")
        if not (processor.chat_template or self.tokenizer.chat_template):
            raise MaskError(
                f"{path}: the processor has no chat template, which is usual for base models "
                "(PaliGemma); choose a model trained for conversations, or put the template that "
                "it was trained with into its folder as chat_template.jinja"
            )
        self._arguments = set(inspect.signature(model.forward).parameters)
        if "cross_attention_mask" in self._arguments:
            raise MaskError(f"{path}: {type(model).__name__} has no image tokens in its sequence")
        self._image_id = image_token_id(model, path)
        tokens = {self.tokenizer.convert_ids_to_tokens(self._image_id): "image"}
        for name, medium in MEDIA.items():
            tokens.setdefault(getattr(processor, name, None), medium)
        known = sorted(tokens.keys() - {None, IMAGE_MARKER})
        self._media = {token: tokens[token] for token in known}
        self._special = frozenset(special_tokens(self.tokenizer).values())
        try:
            self._strings = chat.string_roles(self._apply_template)
            self._closings, self._end = self._find_closings()
        except MaskError as error:
            raise MaskError(f"model {path}: {error}") from error
        self.turn_ends = self.tokenizer.convert_tokens_to_ids(self._closings or [self._end])
        text_config = model.config.get_text_config()
        self.positions = getattr(text_config, "max_position_embeddings", None)

    @property
    def device(self) -> torch.device:
        """Device of the model, where its inputs have to be."""
        return self.model.device

    @property
    def special(self) -> frozenset[int]:
        """Ids of the tokenizer's special tokens, see `special_tokens`."""
        return self._special

    @property
    def language_layers(self) -> torch.nn.ModuleList:
        """The decoder layers of the language model, first to last."""
        return self.model.get_decoder().layers

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
        Refused
            If the chat template hides or alters the responses, the processor fails, no response
            token is left to predict, or the sample has more tokens than the model has positions.
        """
        text, spans = self._write(record)
        encoded = self._tokenise(record, text, images, spans["assistant"], spans["user"])
        if self.max_length is not None and len(encoded) > self.max_length:
            logger.info("sample %r is cut from %d tokens", record.sample_id, len(encoded))
            encoded = encoded.first(self.max_length)
        self._require_positions(encoded)
        if not encoded.response[1:].any():
            raise self._refusal(record, "no_response", "no token of its responses is left")
        return encoded

    def encode_prompt(self, record: Record, images: Sequence[Image.Image]) -> Encoded:
        """Tokenise a conversation up to its last user turn, ready for the answer.

        The result is a prefix of what `encode` returns for the conversation with an answer, without
        the white space before the answer, which tokenizers join to its first word.
        """
        last = max(i for i, turn in enumerate(record.turns) if turn.role == "user")
        text, spans = self._write(
            replace(record, turns=(*record.turns[: last + 1], Turn("assistant", "?")))
        )
        text = text[: spans["assistant"][-1][0]].rstrip(" ")
        encoded = self._tokenise(record, text, images, [], [])
        self._require_positions(encoded)
        return encoded

    def collate(
        self,
        samples: Sequence[Encoded],
        padding_side: str | None = None,
        device: torch.device | str | None = None,
    ) -> Batch:
        """Pad samples, with or without images, to one length and stack them.

        By default on the tokenizer's own `padding_side` and the model's `device`; a data loader's
        worker has to stay on the CPU.
        """
        return collation.collate(
            samples,
            padding_side or self.tokenizer.padding_side,
            self.tokenizer.pad_token_id or 0,
            torch.device(device or self.device),
            self.model.dtype,
        )

    def _require_positions(self, sample: Encoded) -> None:
        if self.positions is not None and len(sample) > self.positions:
            raise Refused(
                "too_long",
                f"sample {sample.sample_id!r} has {len(sample)} tokens, but {self.path} has "
                f"positions for {self.positions}; a max_length in the model's config cuts longer "
                "samples",
            )

    def _refusal(self, record: Record, reason: str, what: object) -> Refused:
        return Refused(reason, f"model {self.path}, sample {record.sample_id!r}: {what}")

    def _find_closings(self) -> tuple[list[str], str]:
        """Return the tokens with which the template closes turns, and the one for open turns."""
        added = self.tokenizer.added_tokens_decoder.values()
        whole = {token.content for token in added if token.content.strip()}
        whole = (whole | set(special_tokens(self.tokenizer))) - {self.tokenizer.unk_token}
        closings = chat.turn_closings(self._render, sorted(whole), self.tokenizer.eos_token)
        end = closings[0] if closings else self.tokenizer.eos_token
        if closings:
            logger.info("%s: the chat template ends responses with %s", self.path, closings)
        elif end is None:
            raise MaskError(
                "neither the chat template nor the tokenizer has a token that ends a "
                "response, so a trained model would never stop; name an `eos_token` in "
                "tokenizer_config.json"
            )
        else:
            what = "the chat template does not end responses; each gets the end-of-sequence token"
            logger.info("%s: %s %r", self.path, what, end)
        return closings, end

    def _write(self, record: Record) -> tuple[str, dict[str, list[Span]]]:
        """Render a conversation with every response closed; return its text and spans by role."""
        try:
            return chat.locate_texts(record, self._render, self._closings, self._end)
        except MaskError as error:
            raise self._refusal(record, "chat_template", error) from error

    def _render(self, messages: list[dict]) -> str:
        return self._apply_template(chat.with_strings(messages, self._strings))

    def _apply_template(self, messages: list[dict]) -> str:
        with failures.rendering(self.path):
            text = self.processor.apply_chat_template(messages, tokenize=False)
        if len(text) > LONGEST:
            raise InputError(
                f"{self.path}: its chat template makes {len(text)} characters of a conversation, "
                f"over {LONGEST}: compare the file with the original's"
            )
        return text

    def _tokenise(
        self,
        record: Record,
        text: str,
        images: Sequence[Image.Image],
        responses: Sequence[Span],
        instructions: Sequence[Span],
    ) -> Encoded:
        self._require_no_media_tokens(record)
        bos = self.tokenizer.bos_token
        first = {"add_special_tokens": not (bos and text.startswith(bos))}
        output = self._process(record, text, images, first)
        shifts = output.pop("text_replacement_offsets", [[]])[0]
        shifts = shifts if len(shifts) else []  # no images may result in an empty tensor
        again = self.tokenizer(chat.expand(text, shifts), return_offsets_mapping=True, **first)
        ids = output["input_ids"][0].numpy()
        if again["input_ids"] != (tokens := ids.tolist()):
            name = type(self.processor).__name__
            what = f"{name} changes the text that the chat template wrote"
            raise self._refusal(record, "changed_text", what)
        offsets = np.asarray(again["offset_mapping"])  # (T, 2)
        image = ids == self._image_id
        special = np.array([token in self._special for token in tokens], dtype=bool)
        response = chat.cover(offsets, [chat.shift(span, shifts) for span in responses])
        instruction = chat.cover(offsets, [chat.shift(span, shifts) for span in instructions])
        inputs = {
            name: value[0] if name in SEQUENCES else value
            for name, value in output.items()
            if name in self._arguments
        }
        return Encoded(record.sample_id, inputs, response & ~image, instruction & ~special, image)

    def _require_no_media_tokens(self, record: Record) -> None:
        for token, medium in self._media.items():
            if any(token in turn.text for turn in record.turns):
                thing = {"image": "an image", "video": "a video"}[medium]
                what = f"its text contains {token!r}, which stands for {thing}"
                cure = f"`pool.forbidden: [{token!r}]` rejects such records"
                raise self._refusal(record, f"{medium}_token", f"{what}; {cure}")

    def _process(
        self, record: Record, text: str, images: Sequence[Image.Image], first: Mapping
    ) -> BatchFeature:
        """Run the processor; whatever it makes of a sample that it cannot take is a refusal."""
        try:
            output = self.processor(
                text=[text],
                images=[list(images)] if images else None,
                return_tensors="pt",
                return_mm_token_type_ids=not self._arguments.isdisjoint(TOKEN_TYPES),
                return_text_replacement_offsets=True,
                **first,
            )
        except LIBRARY_ERRORS as error:
            if lacks_memory(error):
                raise
            sizes = ", ".join(f"{image.width}x{image.height}" for image in images[:10])
            what = f"its processor fails on it{f' and its images of {sizes}' if sizes else ''}"
            reason = "aspect_ratio" if "aspect ratio" in str(error) else PROCESSOR
            raise self._refusal(record, reason, f"{what}: {one_line(error)}") from error
        if images and "text_replacement_offsets" not in output:
            name = type(self.processor).__name__
            what = "does not say what it puts in an image's place, so masks cannot be found"
            cure = "choose another model (Idefics3 or SmolVLM in place of Idefics2)"
            raise self._refusal(record, PROCESSOR, f"{name} {what}; {cure}")
        return output


def image_token_id(model: torch.nn.Module, path: str) -> int:
    """Return the id of the token that the model replaces by visual features.

    Raises MaskError if the model's config names none, as for models that attend to images
    separately.
    """
    config = model.config
    for name in ("image_token_id", "image_token_index"):
        if isinstance(getattr(config, name, None), int):
            return getattr(config, name)
    raise MaskError(f"{path}: the config of {type(model).__name__} names no image token")


def special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Return the special tokens and their ids, except the unknown token, which stands for text.

    Tokens that close turns are often marked special only in the tokenizer's file, without a name.
    """
    added = {
        token.content: i for i, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {text: i for text, i in (added | named).items() if i != tokenizer.unk_token_id}
