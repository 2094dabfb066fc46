"""scripts/extract_visual.py against full passes of single unpadded samples; shards and header."""

import extract_visual
import numpy as np
import pytest
import torch
from closeness import assert_close_vectors, chain
from tiny_inputs import make_records, prepare
from usual_flags import usual
from usual_models import load_vlm

from vlselect.core.store import ShardedArray
from vlselect.features import visual
from vlselect.pool import images
from vlselect.pool.samples import Samples

N = 140  # three blocks
ROWS = [*range(30), *range(62, 66), 127, 128, 139]


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("pool"), make_records(N, seed=4))


@pytest.fixture
def run(tiny_vlm, pool):
    def run(out, *more, layer=1):
        flags = ["--run", "test", "--samples", pool / "samples.parquet", "--layer", layer]
        flags += ["--images", pool / "images", "--visual", out]
        flags += ["--model", tiny_vlm, "--batch-size", "16", *more]
        extract_visual.main([*usual(extract_visual), *map(str, flags)])
        return out

    return run


@pytest.mark.parametrize("layer", [1, 3])
def test_rows_are_means_over_the_visual_tokens_of_single_samples(
    run, tiny_vlm, pool, tmp_path, layer
):
    array = ShardedArray([run(tmp_path / "visual.safetensors", layer=layer)])
    vlm, expected = load_vlm(str(tiny_vlm), device="cpu"), []
    for record in Samples(pool / "samples.parquet").records(ROWS):
        pictures = [images.load(pool / "images", name, 10**7) for name in record.images]
        sample = vlm.encode(record, pictures)
        with torch.inference_mode():
            output = vlm.model(**vlm.collate([sample]).inputs, output_hidden_states=True)
        states = output.hidden_states[layer][0].double().numpy()[np.flatnonzero(sample.image)]
        expected.append(states.mean(axis=0) if len(states) else np.zeros(32))
    assert array.shape == (N, 32) and array.dtype == np.float16
    n_images = Samples(pool / "samples.parquet").frame(["n_images"])["n_images"].to_numpy()
    np.testing.assert_array_equal(array[:].any(axis=1), n_images > 0)
    assert 0 < (n_images == 0).sum() < N
    assert_close_vectors(array[ROWS], np.stack(expected), terms=chain(vlm.model), stored="float16")
    header = array.metadata[0]
    assert (header["kind"], header["layer"], header["text_only"]) == ("visual", str(layer), "zeros")
    assert (header["model"], header["rows"]) == (str(tiny_vlm), f"0:{N}")


def test_any_number_of_shards_holds_the_same_bits(run, tmp_path):
    whole = ShardedArray([run(tmp_path / "whole.safetensors")])
    paths = [tmp_path / f"shard-{i}-of-3.safetensors" for i in (1, 2, 3)]
    for i, path in enumerate(paths, 1):
        run(path, "--shard", f"{i}-of-3")
    assert ShardedArray(paths)[:].tobytes() == whole[:].tobytes()


@pytest.mark.parametrize("layer", [1, 2])
def test_later_layers_do_not_run_and_the_model_works_as_before(tiny_vlm, pool, layer):
    vlm = load_vlm(str(tiny_vlm), device="cpu")
    records = Samples(pool / "samples.parquet").records(range(8))
    pictures = [[images.load(pool / "images", n, 10**7) for n in r.images] for r in records]
    batch = vlm.collate([vlm.encode(r, own) for r, own in zip(records, pictures, strict=True)])
    modules, ran = [*vlm.language_layers, vlm.model.get_output_embeddings()], []
    handles = [m.register_forward_pre_hook(lambda m, _: ran.append(m)) for m in modules]
    found = visual.extract_visual(vlm.model, vlm.language_layers, batch, layer=layer)
    assert found.any() and ran == modules[:layer]
    with torch.inference_mode():
        vlm.model(**batch.inputs)
    assert ran[layer:] == modules
    for handle in handles:
        handle.remove()
    batch.inputs, batch.image = {}, torch.zeros_like(batch.image)  # no image: no pass
    assert not visual.extract_visual(vlm.model, vlm.language_layers, batch, layer=1).any()


@pytest.mark.parametrize("layer", [0, 5])
def test_a_layer_outside_the_model_is_an_error(run, tmp_path, layer):
    with pytest.raises(ValueError, match=f"layer {layer} is not one of 1 to 4"):
        run(tmp_path / "visual.safetensors", layer=layer)
    assert not list(tmp_path.iterdir())
