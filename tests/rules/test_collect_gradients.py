import json
import shutil

import collect_gradients
import extract_representation
import numpy as np
import prepare_pool
import pytest
import torch
from closeness import assert_close_sums, assert_close_vectors, chain, rounding
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_inputs import make_records, write_images
from usual_flags import usual
from usual_models import load_vlm, save_adapter

from vlselect.core.errors import InputError, MissingFileError
from vlselect.core.store import ShardedArray
from vlselect.gradients import fingerprint, projection, vectors
from vlselect.gradients.representation import KINDS
from vlselect.models.checkpoint import load_checkpoint, save_checkpoint
from vlselect.models.lora import MOMENTS, load_adapter
from vlselect.pool import images
from vlselect.pool.samples import Samples

N = 140  # three blocks


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Folder of a pool that is large enough to be cut into shards."""
    folder = tmp_path_factory.mktemp("pool")
    records = make_records(N, seed=4)
    write_images(folder / "images", records)
    (folder / "mixture.json").write_text(json.dumps(records))
    prepare_pool.main(
        [
            *usual(prepare_pool),
            *("--records", str(folder / "mixture.json"), "--images", str(folder / "images")),
            *("--samples", str(folder / "samples.parquet"), "--source-key", "task"),
            *("--rejected", str(folder / "rejected.csv"), "--summary", str(folder / "sum.json")),
        ]
    )
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_vlm, tmp_path_factory):
    return save_adapter(tiny_vlm, tmp_path_factory.mktemp("adapter"))


@pytest.fixture
def run(tiny_vlm, pool, adapter):
    def run(out, *more, names=("pool",), samples=None):
        outs = [out] if len(names) == 1 else [out.with_stem(name) for name in names]
        tables = samples or [pool / "samples.parquet"] * len(names)
        collect_gradients.main(
            [
                *usual(collect_gradients),
                *("--run", "test", "--names", *names, "--samples", *map(str, tables)),
                *("--images", *[str(pool / "images")] * len(names)),
                *("--out", *map(str, outs), "--warm-up", str(adapter), "--dim", "32"),
                *("--model", str(tiny_vlm), "--device", "cpu", "--batch-size", "16", *more),
            ]
        )
        return read(outs[0]) if len(names) == 1 else [read(path) for path in outs]

    return run


def read(path):
    """Read values and header of one shard."""
    with safe_open(path, "np") as file:
        return file.get_tensor("values"), file.metadata()


def test_rows_are_the_normalised_projections_of_single_gradients(
    run, tiny_vlm, pool, adapter, tmp_path
):
    shard, _ = run(tmp_path / "shard.safetensors")
    assert shard.shape == (N, 32)
    assert shard.dtype == np.float16
    norms = np.linalg.norm(shard.astype(float), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=rounding(32, stored="float16"))
    vlm = load_adapter(load_vlm(str(tiny_vlm), device="cpu"), adapter)
    weights = [p for name, p in vlm.model.named_parameters() if "lora_" in name]
    for weight in weights:
        weight.requires_grad_(True)
    size = sum(weight.numel() for weight in weights)
    settings = {"seed": 0, "nonzeros": 3, "implementation": "auto"}
    phi = projection.make("sjlt", size=size, dim=32, device=vlm.device, **settings)
    samples = Samples(pool / "samples.parquet")
    for row in (0, 2, 4, 63, 64, 125, 139):
        (record,) = samples.records([row])
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        batch = vlm.collate([vlm.encode(record, pictures)])
        loss = vlm.model(**batch.inputs, labels=batch.labels).loss
        single = torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])
        expected = projection.project(phi, single[None])[0]
        expected = (expected / expected.norm()).numpy()
        assert_close_vectors(shard[row], expected, terms=2 * chain(vlm.model), stored="float16")


@pytest.mark.parametrize("kind", ["sjlt", "shifted"])
def test_adam_divides_each_coordinate_by_the_root_of_its_second_moment(
    run, tiny_vlm, pool, adapter, tmp_path, kind
):
    vlm = load_adapter(load_vlm(str(tiny_vlm), device="cpu"), adapter)
    weights = {name: p for name, p in vlm.model.named_parameters() if "lora_" in name}
    generator = torch.Generator().manual_seed(0)
    moments = {name: torch.rand(p.shape, generator=generator) for name, p in weights.items()}
    with pytest.raises(MissingFileError, match="has no second_moments"):
        run(tmp_path / "none.safetensors", "--precondition", "adam")
    save_file(moments, adapter / MOMENTS)
    try:
        more = ("--precondition", "adam", "--projection", kind)
        shard, header = run(tmp_path / "shard.safetensors", *more)
    finally:
        (adapter / MOMENTS).unlink()
    plain, other = run(tmp_path / "plain.safetensors", "--projection", kind)
    assert (header["precondition"], other["precondition"]) == ("adam", "none")
    assert header["projection"] == other["projection"] and not np.array_equal(shard, plain)
    for weight in weights.values():
        weight.requires_grad_(True)
    size = sum(weight.numel() for weight in weights.values())
    settings = {"seed": 0, "nonzeros": 3, "implementation": "auto"}
    phi = projection.make(kind, size=size, dim=32, device=vlm.device, **settings)
    samples = Samples(pool / "samples.parquet")
    for row in (0, 4, 139):
        (record,) = samples.records([row])
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        batch = vlm.collate([vlm.encode(record, pictures)])
        loss = vlm.model(**batch.inputs, labels=batch.labels).loss
        single = torch.autograd.grad(loss, list(weights.values()))
        steps = [g / (v.sqrt() + 1e-8) for g, v in zip(single, moments.values(), strict=True)]
        expected = projection.project(phi, torch.cat([s.flatten() for s in steps])[None])[0]
        expected = (expected / expected.norm()).numpy()
        assert_close_vectors(shard[row], expected, terms=2 * chain(vlm.model), stored="float16")


def test_losses_are_those_of_single_samples(run, tiny_vlm, pool, adapter, tmp_path):
    values, header = run(tmp_path / "out.safetensors", "--losses", str(tmp_path / "whole"))
    losses, about = read(tmp_path / "whole")
    plain, _ = run(tmp_path / "plain.safetensors")
    assert np.array_equal(plain.view(np.uint16), values.view(np.uint16))
    assert losses.shape == (N,) and losses.dtype == np.float32
    own = {"kind": "losses"} | {key: header[key] for key in ("model", "warm_up", "rows", "part")}
    assert own.items() <= about.items() and fingerprint.KEY not in about
    vlm = load_adapter(load_vlm(str(tiny_vlm), device="cpu"), adapter)
    samples, expected = Samples(pool / "samples.parquet"), []
    rows = [*range(30), 63, 64, 127, 128, 139]
    for record in samples.records(rows):
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        batch = vlm.collate([vlm.encode(record, pictures)])
        with torch.inference_mode():
            expected.append(vlm.model(**batch.inputs, labels=batch.labels).loss.item())
    assert_close_sums(losses[rows], expected, terms=chain(vlm.model))
    assert np.ptp(losses) > 0.1
    paths = [tmp_path / f"losses-{i}" for i in (1, 2)]
    for i, path in enumerate(paths, 1):
        run(tmp_path / "part.safetensors", "--shard", f"{i}-of-2", "--losses", str(path))
    assert np.array_equal(ShardedArray(paths)[:], losses)


def save_whole(tiny_vlm, folder):
    """Save the model with other weights, as a warm-up of all weights does; return both folders."""
    vlm, whole = load_vlm(str(tiny_vlm), device="cpu"), folder / "whole"
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in vlm.model.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
    save_checkpoint(vlm.model, whole)
    served = shutil.copytree(tiny_vlm, folder / "served")  # with the processor
    for file in whole.iterdir():
        shutil.copy(file, served)
    return whole, served


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_up_of_all_weights_gives_what_its_forward_pass_does(
    run, tiny_vlm, pool, tmp_path, kind
):
    whole, served = save_whole(tiny_vlm, tmp_path)
    flags = ["--representation", kind, *(["--positions", "all"] if kind == "hidden" else [])]
    flags += ["--warm-up", str(whole), "--losses", str(tmp_path / "losses")]
    values, header = run(tmp_path / "out", *flags)
    again = ["--run", "test", "--names", "pool", "--samples", pool / "samples.parquet"]
    again += ["--images", pool / "images", "--out", tmp_path / "again", "--model", served]
    again += ["--batch-size", "16", "--kind", kind, "--positions", "all"]
    extract_representation.main([*usual(extract_representation), *map(str, again)])
    expected, about = read(tmp_path / "again")
    assert_close_vectors(values, expected, terms=1, stored="float16")
    assert header["kind"] == kind and header[fingerprint.KEY] == about[fingerprint.KEY]
    losses, _ = read(tmp_path / "losses")
    other, _ = read_losses(run, tmp_path, "--representation", kind, "--positions", "all")
    assert not np.allclose(losses, other)  # those of the adapter's model
    vlm = load_checkpoint(load_vlm(str(tiny_vlm), device="cpu"), whole)
    assert_losses_of(vlm, pool, losses)


def assert_losses_of(vlm, pool, losses):
    """Compare two of the pool's losses with those of single samples."""
    for row, record in zip((0, 2), Samples(pool / "samples.parquet").records([0, 2]), strict=True):
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        batch = vlm.collate([vlm.encode(record, pictures)])
        with torch.inference_mode():
            single = vlm.model(**batch.inputs, labels=batch.labels).loss.item()
        assert_close_sums(losses[row], single, terms=chain(vlm.model))


def read_losses(run, folder, *flags):
    run(folder / "plain", "--losses", str(folder / "plain losses"), *flags)
    return read(folder / "plain losses")


def test_losses_before_the_warm_up_are_those_of_the_bare_model(run, tiny_vlm, pool, tmp_path):
    out = tmp_path / "before"
    after, _ = read_losses(run, tmp_path, "--losses-before", str(out))
    before, header = read(out)
    assert not np.allclose(before, after) and header["kind"] == "losses"
    assert "warm_up" not in header and header["rows"] == f"0:{N}"
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    assert_losses_of(vlm, pool, before)
    with pytest.raises(InputError, match="2 --losses-before for 1 parts"):
        run(tmp_path / "two", "--losses-before", str(out), str(out))


def test_one_forward_pass_finds_the_losses_of_the_backward_pass(run, tiny_vlm, tmp_path):
    backward, _ = read_losses(run, tmp_path)
    for kind in KINDS:
        flags = ("--representation", kind, "--positions", "response")
        forward, _ = read_losses(run, tmp_path, *flags)
        terms = chain(load_vlm(str(tiny_vlm), device="cpu").model)
        assert_close_sums(forward, backward, terms=terms)


def test_one_and_three_shards_hold_the_same_bits(run, tmp_path):
    whole, _ = run(tmp_path / "whole.safetensors")
    paths = []
    for i in (1, 2, 3):
        paths.append(tmp_path / f"shard-{i}-of-3.safetensors")
        run(paths[-1], "--shard", f"{i}-of-3")
    parts = ShardedArray(paths)
    assert [header["rows"] for header in parts.metadata] == ["0:64", "64:128", "128:140"]
    assert np.array_equal(parts[:].view(np.uint16), whole.view(np.uint16))


def test_batch_size_changes_rounding_only(run, tiny_vlm, tmp_path):
    one, _ = run(tmp_path / "one.safetensors")
    two, _ = run(tmp_path / "two.safetensors", "--batch-size", "64")
    terms = 2 * chain(load_vlm(str(tiny_vlm), device="cpu").model)
    assert_close_vectors(one, two, terms=terms, stored="float16")


def test_header_says_where_the_gradients_come_from(run, tiny_vlm, tmp_path):
    path = tmp_path / "shard.safetensors"
    _, header = run(path, "--shard", "2-of-2", "--projection-seed", "7")
    assert header["run"] == "test"
    assert header["rows"] == "64:140"
    assert header["part"] == "pool"
    assert (header["model"], header["revision"]) == (str(tiny_vlm), "")
    assert header["normalised"] == "true"
    assert len(header["code"]) == len(header["warm_up"]) == 64
    found = fingerprint.require_same([header])
    assert (found["type"], found["dim"], found["seed"], found["nonzeros"]) == ("sjlt", 32, 7, 3)


def test_parts_are_collected_together_and_can_be_combined(run, tmp_path):
    names = ("counting", "colour")
    whole, pool_header = run(tmp_path / "whole.safetensors")
    parts = run(tmp_path / "x.safetensors", "--keep-norms", "colour", names=names)
    (normalised, plain), headers = zip(*parts, strict=True)
    assert np.array_equal(normalised, whole)
    norms = np.linalg.norm(plain.astype(float), axis=1, keepdims=True)
    assert norms.max() > 1.5 * norms.min()
    assert_close_vectors(plain / norms, whole, terms=32, stored="float16")
    assert [header["part"] for header in headers] == list(names)
    assert [header["normalised"] for header in headers] == ["true", "false"]
    fingerprint.require_same([pool_header, *headers])


@pytest.mark.parametrize(
    ("scale", "fault"),
    [(1e-12, "underflows to zero as float16"), (1e9, "overflows as float16"), (0, "has norm 0")],
)
def test_a_kept_norm_that_cannot_be_stored_names_the_sample(
    run, pool, tmp_path, monkeypatch, scale, fault
):
    name = Samples(pool / "samples.parquet").frame(["sample_id"])["sample_id"][70]
    project = vectors.project_gradients

    def spoil(*args, **options):
        for batch, losses, projected in project(*args, **options):
            projected[torch.from_numpy(batch.rows == 70)] *= scale
            yield batch, losses, projected

    monkeypatch.setattr(vectors, "project_gradients", spoil)
    with pytest.raises(ValueError, match=f"sample {name!r} {fault}"):
        run(tmp_path / "x", "--shard", "2-of-3", "--keep-norms", "pool")
    assert not list(tmp_path.iterdir())


def test_shards_of_other_projections_are_told_apart(run, tmp_path):
    one, header = run(tmp_path / "one.safetensors", "--shard", "3-of-3")
    for i, more in enumerate([("--projection", "rademacher"), ("--projection-seed", "1")]):
        other, other_header = run(tmp_path / f"{i}.safetensors", "--shard", "3-of-3", *more)
        assert not np.array_equal(one, other)
        with pytest.raises(ValueError, match="projected differently"):
            fingerprint.require_same([header, other_header])


def test_same_flags_give_the_same_bytes(run, tmp_path):
    for name in ("a", "b"):
        run(tmp_path / name, "--shard", "3-of-3")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_adapter_outside_the_language_model_is_refused(tiny_vlm, run, tmp_path):
    folder = save_adapter(tiny_vlm, tmp_path / "adapter", target_modules=r".*(q_proj)")
    with pytest.raises(ValueError, match="vision_tower.* is outside the language model"):
        run(tmp_path / "x.safetensors", "--warm-up", str(folder))
    assert not (tmp_path / "x.safetensors").exists()


def test_flags_that_do_not_fit_each_other_are_refused(run, tmp_path):
    with pytest.raises(ValueError, match="--keep-norms has unknown parts: colour"):
        run(tmp_path / "x.safetensors", "--keep-norms", "colour")
    with pytest.raises(ValueError, match="1 --losses for 2 parts"):
        run(tmp_path / "x.safetensors", "--losses", str(tmp_path / "l"), names=("a", "b"))
    with pytest.raises(ValueError, match="shorter"):
        run(tmp_path / "x.safetensors", names=("a", "b"), samples=["only-one.parquet"])
