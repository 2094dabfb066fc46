"""Exports as read by the training programs; `make test-loaders` installs these.

LLaVA's own loader cannot be installed: PyPI's `llava` is an empty package, and the repository
pins libraries of 2023. Its export is tested with a reader of our own, in
tests/unit/subsets/exports/test_exports.py.
"""

import importlib.machinery
import importlib.util
import sys
import tarfile
import types

import pytest
from export_pool import RECORDS, choose, draw, expected, export, llava, prepare

pytest.importorskip("datasets")
TEXT_FIRST = 11 << 20  # bytes: more than `datasets` reads to infer the types


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Folder with images/, samples and a subset of all of them."""
    folder = tmp_path_factory.mktemp("pool")
    draw(folder / "images")
    samples = prepare(folder, [str(folder / "images")], RECORDS)
    choose(samples, list(range(len(samples))), folder / "all.parquet")
    return folder, samples


@pytest.fixture(scope="module")
def text_first(tmp_path_factory):
    """Like `pool`, with more text before the first image than `datasets` reads to infer types."""
    folder = tmp_path_factory.mktemp("text_first")
    draw(folder / "images")
    long = [llava(f"long {i}", "Why?" + "x" * 20_000, "So.") for i in range(TEXT_FIRST // 20_000)]
    samples = prepare(folder, [str(folder / "images")], [*long, *RECORDS])
    choose(samples, list(range(len(samples))), folder / "all.parquet")
    return folder, samples


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Load from a folder outside the export, with its own caches."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def exported(pool, form, out):
    folder, samples = pool
    return export(form, samples, folder / "all.parquet", [str(folder / "images")], out)


def wanted(pool):
    folder, samples = pool
    return expected(samples, range(len(samples)), lambda name: folder / "images" / name)


def tiny_llava(pool, folder):
    """Save a LLaVA of random weights whose tokenizer can encode every text of the pool."""
    tiny_models = pytest.importorskip("tiny_models")
    texts = [text for sample in wanted(pool) for _, text in sample.turns]
    return tiny_models.save_llava(folder, tiny_models.bpe_tokenizer(texts), positions=2048)


def said(sample):
    return [{"role": role, "content": text} for role, text in sample.turns]


class TestTRL:
    """`load_dataset` on the folder, then SFTTrainer and its collator for vision."""

    @pytest.fixture
    def dataset(self, pool, tmp_path):
        pytest.importorskip("trl")
        import datasets

        return datasets.load_dataset(str(exported(pool, "trl", tmp_path / "trl")), split="train")

    def test_rows_are_messages_and_decoded_images(self, pool, dataset):
        from PIL import Image

        assert len(dataset) == len(RECORDS)
        for row, sample in zip(dataset, wanted(pool), strict=True):
            assert row["id"] == sample.name
            turns = [
                (m["role"], "".join(part["text"] or "<image>" for part in m["content"]))
                for m in row["messages"]
            ]
            assert turns == list(sample.turns)
            pixels = [Image.open(path).tobytes() for path in sample.images]
            assert [image.tobytes() for image in row["images"]] == pixels

    def test_images_beside_it_are_not_taken_for_the_data(self, pool, tmp_path):
        pytest.importorskip("trl")
        import datasets

        folder, _ = pool
        name = "coco/train2017/1.png"
        with tarfile.open(tmp_path / "images.tar", "w") as archive:
            archive.add(folder / "images/a/1.png", name)
        images = [str(tmp_path / "images.tar")]
        samples = prepare(tmp_path, images, [{**RECORDS[1], "image": name}])
        subset = choose(samples, [0], tmp_path / "s.parquet")
        out = export("trl", samples, subset, images, tmp_path / "out")
        assert (out / "images" / name).is_file()
        (row,) = datasets.load_dataset(str(out), split="train")
        assert row["id"] == "one" and len(row["images"]) == 1

    def test_the_trainer_trains_on_it(self, pool, dataset, tmp_path):
        from transformers import AutoModelForImageTextToText, AutoProcessor
        from trl import SFTConfig, SFTTrainer

        path = tiny_llava(pool, tmp_path / "model")
        settings = SFTConfig(
            output_dir=str(tmp_path / "out"),
            max_length=None,
            per_device_train_batch_size=4,
            num_train_epochs=1,
            learning_rate=1e-3,
            report_to="none",
            use_cpu=True,
            bf16=False,
        )
        trainer = SFTTrainer(
            model=AutoModelForImageTextToText.from_pretrained(path),
            args=settings,
            train_dataset=dataset,
            processing_class=AutoProcessor.from_pretrained(path),
        )
        result = trainer.train()
        assert result.global_step == -(-len(RECORDS) // 4)
        assert 0 < result.training_loss < 20

    def test_the_collator_puts_every_image_in_its_place(self, pool, dataset, tmp_path):
        from transformers import AutoProcessor
        from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

        processor = AutoProcessor.from_pretrained(tiny_llava(pool, tmp_path / "model"))
        collate = DataCollatorForVisionLanguageModeling(processor, max_length=None)
        batch = collate(list(dataset))
        samples = wanted(pool)
        counts = (batch["input_ids"] == processor.image_token_id).sum(1).tolist()
        assert counts == [4 * len(sample.images) for sample in samples]
        assert len(batch["pixel_values"]) == sum(len(sample.images) for sample in samples)
        for ids, sample in zip(batch["input_ids"], samples, strict=True):
            text = processor.tokenizer.decode(ids)
            place = 0
            for _, turn in sample.turns:
                for piece in turn.split("<image>"):
                    assert (place := text.find(piece, place)) >= 0
                    place += len(piece)


class TestLlamaFactory:
    """Its converter, and all steps from `dataset_dir` to tokens and labels."""

    @pytest.fixture(autouse=True)
    def without_torchaudio(self, monkeypatch):
        """Block torchaudio, whose PyPI build needs CUDA's libraries; images never use it."""
        if importlib.util.find_spec("llamafactory") is None:
            pytest.skip("llamafactory is not installed")
        if importlib.util.find_spec("torchaudio") is None:
            module = types.ModuleType("torchaudio")
            module.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
            monkeypatch.setitem(sys.modules, "torchaudio", module)

    def arguments(self, folder, model, tmp_path):
        from llamafactory.hparams import get_train_args

        return get_train_args(
            {
                "stage": "sft",
                "do_train": True,
                "model_name_or_path": str(model),
                "dataset": "vlselect",
                "dataset_dir": str(folder),
                "template": "llava",
                "cutoff_len": 2048,
                "output_dir": str(tmp_path / "out"),
                "cache_dir": str(tmp_path / "cache"),
                "report_to": "none",
                "use_cpu": True,
            }
        )

    @pytest.mark.parametrize("kind", ["pool", "text_first"])
    def test_its_converter_finds_turns_and_images(self, kind, request, tmp_path):
        from llamafactory.data.loader import _load_single_dataset
        from llamafactory.data.parser import get_dataset_list

        pool = request.getfixturevalue(kind)
        folder = exported(pool, "llama_factory", tmp_path / "export")
        model, data, training, *_ = self.arguments(folder, tmp_path, tmp_path)
        (attributes,) = get_dataset_list(["vlselect"], str(folder))
        rows = list(_load_single_dataset(attributes, model, data, training))
        samples = in_file_order(wanted(pool), moved=kind == "text_first")
        for row, sample in zip(rows, samples, strict=True):
            turns = [*row["_prompt"], *row["_response"]]
            system = [{"role": "system", "content": row["_system"]}] if row["_system"] else []
            assert system + turns == said(sample)
            read = [open(path, "rb").read() for path in row["_images"] or []]  # noqa: PTH123, SIM115
            assert read == [path.read_bytes() for path in sample.images]

    def test_it_makes_tokens_whose_labels_are_the_responses(self, pool, tmp_path):
        from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
        from llamafactory.model import load_tokenizer

        folder = exported(pool, "llama_factory", tmp_path / "export")
        path = tiny_llava(pool, tmp_path / "model")
        model, data, training, *_ = self.arguments(folder, path, tmp_path)
        tokenizers = load_tokenizer(model)
        tokenizer = tokenizers["tokenizer"]
        template = get_template_and_fix_tokenizer(tokenizer, data)
        found = get_dataset(template, model, data, training, stage="sft", **tokenizers)
        rows, samples = list(found["train_dataset"]), wanted(pool)
        image = tokenizer.convert_tokens_to_ids("<image>")
        for row, sample in zip(rows, samples, strict=True):
            assert sum(token == image for token in row["input_ids"]) == 4 * len(sample.images)
            answers = [text + "</s>" for role, text in sample.turns if role == "assistant"]
            labels = [token for token in row["labels"] if token != -100]
            assert tokenizer.decode(labels) == "".join(answers)


class TestMsSwift:
    """Its `load_dataset`, which reads the file as `--dataset` does."""

    @pytest.mark.parametrize("kind", ["pool", "text_first"])
    def test_its_loader_finds_messages_and_images(self, kind, request, tmp_path, monkeypatch):
        monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "cache"))
        swift = pytest.importorskip("swift.dataset")
        pool = request.getfixturevalue(kind)
        folder = exported(pool, "ms_swift", tmp_path / "export")
        rows, _ = swift.load_dataset(str(folder / "train.jsonl"), strict=True)
        samples = in_file_order(wanted(pool), moved=kind == "text_first")
        for row, sample in zip(rows, samples, strict=True):
            assert [dict(message) for message in row["messages"]] == said(sample)
            paths = [image["path"] for image in row["images"] or []]
            assert paths == [str(path) for path in sample.images]


def in_file_order(samples, moved):
    """Return the order of JSON lines: an image's record first if it comes late in the file."""
    first = next(i for i, sample in enumerate(samples) if sample.images) if moved else 0
    return [samples[first], *samples[:first], *samples[first + 1 :]]
