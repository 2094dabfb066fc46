"""Greedy answers of a model to the last question of each sample, in batches."""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import torch
from transformers import GenerationConfig

from vlselect.models.batching import Trial, batches
from vlselect.models.vlm import VLM, Batch
from vlselect.pool.samples import Samples


def generate(
    vlm: VLM,
    samples: Samples,
    rows: Sequence[int],
    image_root: str | Path,
    *,
    max_new_tokens: int,
    max_pixels: int,
) -> tuple[list[str], list[bool]]:
    """Generate an answer after the last user turn of each conversation, by greedy decoding.

    Parameters
    ----------
    vlm : VLM
        Prompts are padded on the left and batched by `batching.batches`.
    samples : Samples
        Test samples; the model does not see an answer that follows the last user turn.
    rows : sequence of int
        Ascending row indices of `samples`.
    image_root : str or Path
        Folder of the samples' image paths.
    max_new_tokens : int
        Length at which answers are cut.
    max_pixels : int
        Larger images are errors.

    Returns
    -------
    answers : list of str
        In the order of `rows`, without special tokens and surrounding blanks.
    cut : list of bool
        Which of them were cut before the model ended them.
    """
    settings = greedy(vlm, max_new_tokens)
    ends = torch.tensor(settings.eos_token_id)
    answers: dict[int, str] = {}
    cut: dict[int, bool] = {}

    @torch.inference_mode()
    def decode(batch: Batch) -> torch.Tensor:
        return vlm.model.generate(**batch.inputs, generation_config=settings)

    given = vlm.batch_tokens
    for batch in batches(
        *(vlm, samples, rows, image_root),
        max_pixels=max_pixels,
        prompts=True,
        trial=Trial(decode, range(len(samples))),
        description="generating",
    ):
        tokens = decode(batch)
        new = tokens[:, batch.inputs["input_ids"].shape[1] :]  # (B, at most max_new_tokens)
        ended = torch.isin(new, ends.to(new.device)).any(dim=1)  # (B,)
        texts = vlm.tokenizer.batch_decode(
            [before_end(row, settings.eos_token_id) for row in new.tolist()],
            skip_special_tokens=True,
        )
        for row, text, whole in zip(batch.rows.tolist(), texts, ended.tolist(), strict=True):
            answers[row], cut[row] = text.strip(), not whole
    vlm.batch_tokens = given  # another task's answers may be longer
    return [answers[row] for row in rows], [cut[row] for row in rows]


def before_end(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """Return the tokens before the first end token, which need not be a special token."""
    return list(takewhile(lambda token: token not in ends, tokens))


def greedy(vlm: VLM, max_new_tokens: int) -> GenerationConfig:
    """Return the settings of greedy decoding, overriding the model's own settings.

    Decoding ends at the end tokens of the model's settings and of the tokenizer, and at those with
    which the chat template closes an answer.
    """
    own = vlm.model.generation_config.eos_token_id
    own = own if isinstance(own, list) else [own]
    ends = {vlm.tokenizer.eos_token_id, *own, *vlm.turn_ends} - {None}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        use_cache=True,
        eos_token_id=sorted(ends),
        pad_token_id=vlm.tokenizer.pad_token_id or 0,
    )
