"""How each training program loads a subset; docs/exports.md says more of each."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

LLAVA = "python llava/train/train_mem.py --data_path {export}/train.json --image_folder {images} …"
LLAMA_FACTORY = """dataset_dir: {export}  # leave media_dir unset
dataset: vlselect
template: qwen2_vl  # your model's"""
MS_SWIFT = "swift sft --model Qwen/Qwen2.5-VL-7B-Instruct --dataset {export}/train.jsonl …"
TRL = """from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

trainer = SFTTrainer(
    model="Qwen/Qwen2.5-VL-3B-Instruct",
    train_dataset=load_dataset("{export}", split="train"),
    args=SFTConfig(max_length=None, assistant_only_loss=True),
)
trainer.train()"""
IDS = """from pathlib import Path

chosen = set(Path("{export}/ids.txt").read_text().splitlines())
records = [record for record in records if record["id"] in chosen]"""
PROGRAMS = {  # by export: its program, and what loads the export
    "llava": ("LLaVA and its descendants", LLAVA),
    "llama_factory": ("LLaMA-Factory", LLAMA_FACTORY),
    "ms_swift": ("ms-swift", MS_SWIFT),
    "trl": ("TRL", TRL),
    "ids": ("Any other program, by the records' ids", IDS),
}


class Loading(NamedTuple):
    """A program, the folder of its export, what loads it, and whether the run writes it."""

    program: str
    export: str
    text: str
    written: bool


def loadings(
    results: PurePosixPath, subset: str, exports: Sequence[str], images: str | None
) -> list[Loading]:
    """Return how each program loads a subset, those that the config exports for first.

    Parameters
    ----------
    results : path
        Folder of the run.
    subset : str
        ``<method>/<budget>_seed-<s>``.
    exports : sequence of str
        Formats that the config has written.
    images : str or None
        The pool's one folder of images; None where the export names or holds them itself.
    """
    found = []
    for name in dict.fromkeys([*exports, *PROGRAMS]):
        export = f"{results}/exports/{subset}/{name}"
        program, text = PROGRAMS.get(name, (name, "{export}"))
        shown = text.replace("{export}", export).replace("{images}", images or export)
        found.append(Loading(program, export, shown, name in exports))
    return found
