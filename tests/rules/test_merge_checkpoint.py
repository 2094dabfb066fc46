"""A merged checkpoint is a model of its own that computes the same as base and adapter."""

import finetune_model
import merge_checkpoint
import pytest
import torch
from closeness import assert_close_vectors, chain
from finetune_runs import finetune_flags
from transformers import AutoModelForImageTextToText, AutoProcessor
from usual_flags import usual
from usual_models import load_vlm

from vlselect.models.checkpoint import load_checkpoint
from vlselect.pool import images
from vlselect.pool.samples import Samples

ROWS = range(6)
LORA = {"learning_rate": 1e-2, "epochs": 2}


def merge(checkpoint, out, vlm, *flags):
    model = ["--model", str(vlm), "--device", "cpu", *flags]
    merge_checkpoint.main(
        [*usual(merge_checkpoint), "--checkpoint", str(checkpoint), "--out", str(out), *model]
    )


@pytest.mark.parametrize(
    "settings",
    [
        LORA,
        LORA | {"train_modules": ["multi_modal_projector", "lm_head", "embed_tokens"]},
        LORA | {"adapter": "none"},
    ],
    ids=["lora", "lora and modules", "none"],
)
def test_the_merged_model_loads_by_itself_with_the_same_logits(
    tiny_vlm, tiny_pool, tmp_path, settings
):
    finetune_model.main(finetune_flags(tiny_vlm, tiny_pool, tmp_path / "tuned", ROWS, **settings))
    merge(tmp_path / "tuned", tmp_path / "merged", tiny_vlm)
    base = load_vlm(str(tiny_vlm), device="cpu")
    records = Samples(tiny_pool / "samples.parquet").records(ROWS)
    pictures = [[images.load(tiny_pool / "images", n, 10**6) for n in r.images] for r in records]
    inputs = base.collate(
        [base.encode(*pair) for pair in zip(records, pictures, strict=True)]
    ).inputs
    with torch.no_grad():
        untrained = base.model(**inputs).logits
        expected = load_checkpoint(base, tmp_path / "tuned").model(**inputs).logits
        alone = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged").eval()
        found = alone(**inputs).logits
    assert_close_vectors(found, expected, terms=chain(alone))
    assert not torch.allclose(found, untrained, atol=1e-2)
    processor = AutoProcessor.from_pretrained(tmp_path / "merged")
    assert processor.chat_template == base.processor.chat_template
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not any("adapter" in name for name in names)


def test_a_merged_model_takes_part_in_the_pipeline(tiny_vlm, tiny_pool, tmp_path):
    finetune_model.main(finetune_flags(tiny_vlm, tiny_pool, tmp_path / "tuned", ROWS, **LORA))
    merge(tmp_path / "tuned", tmp_path / "merged", tiny_vlm, "--dtype", "bfloat16")
    vlm = load_vlm(str(tmp_path / "merged"), device="cpu", dtype="bfloat16")
    record = Samples(tiny_pool / "samples.parquet").records([2])[0]
    assert vlm.encode(record, []).response.any()
    finetune_model.main(
        finetune_flags(tmp_path / "merged", tiny_pool, tmp_path / "again", ROWS, **LORA)
    )


def test_quantised_weights_are_refused(tiny_vlm, tmp_path):
    with pytest.raises(ValueError, match="quantised"):
        merge(tmp_path / "tuned", tmp_path / "merged", tiny_vlm, "--quantisation", "4bit")
    assert not (tmp_path / "merged").exists()
