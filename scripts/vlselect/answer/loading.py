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
QWEN_VL = """# in qwen-vl-finetune/qwenvl/data/__init__.py; then --dataset_use vlselect
data_dict["vlselect"] = {"annotation_path": "{export}/train.json", "data_path": "{images}"}"""
IDS = """from pathlib import Path

chosen = set(Path("{export}/ids.txt").read_text().splitlines())
records = [record for record in records if record["id"] in chosen]"""
PROGRAMS = (  # an export, a program, and what loads the export there
    ("llava", "LLaVA and its descendants", LLAVA),
    ("llava", "Qwen-VL's own finetuning", QWEN_VL),
    ("llama_factory", "LLaMA-Factory", LLAMA_FACTORY),
    ("ms_swift", "ms-swift", MS_SWIFT),
    ("trl", "TRL", TRL),
    ("ids", "Any other program, by the records' ids", IDS),
)


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
    own = {name for name, _, _ in PROGRAMS}
    others = [(name, name, "{export}") for name in exports if name not in own]
    order = list(dict.fromkeys([*exports, *(name for name, _, _ in PROGRAMS)]))
    found = []
    for name, program, text in sorted((*PROGRAMS, *others), key=lambda p: order.index(p[0])):
        export = f"{results}/exports/{subset}/{name}"
        shown = text.replace("{export}", export).replace("{images}", images or export)
        found.append(Loading(program, export, shown, name in exports))
    return found
