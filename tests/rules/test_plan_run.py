"""scripts/plan_run.py: what it says of models that it does not know (plans: test_plan.py)."""

import plan_run
import pytest
import yaml

from vlselect.core.errors import InputError
from vlselect.plan.estimates import known_shape

ASSUMED = {"text": 100, "responses": 40}


def test_a_run_without_models_needs_none():
    assert plan_run.downloads({"run": "m"}) == []


def test_a_model_without_weights_is_fetched_or_put_there(tmp_path):
    models = {"a": {"path": "owner/name", "revision": "abc"}, "b": {"path": str(tmp_path)}}
    fetch, put = plan_run.downloads({"run": "m", "models": models})
    assert fetch == "hf download owner/name --revision abc"
    assert put.startswith(f"no weights in {tmp_path}")


def test_the_line_of_a_model_that_is_not_in_the_table_can_be_pasted(tiny_vlm):
    said = plan_run.missing_shape({"path": str(tiny_vlm)})
    line = said.partition("\n")[2].replace("patches: …", "patches: 5")
    (entry,) = yaml.safe_load(line.replace("image_tokens: …", "image_tokens: 4")).values()
    shape, sample = known_shape(entry, ASSUMED)
    assert shape.layers > 0 and (sample.tokens, sample.patches) == (104, 5)
    for wrong in ({"patches": 5}, entry | {"tile": "None"}, entry | {"more": 1}):
        with pytest.raises(InputError, match=r"configs/devices\.yaml"):
            known_shape(wrong, ASSUMED)


@pytest.mark.parametrize("flag", [["--cards", "0"], ["--cards", "two"], ["--samples", "-4"]])
def test_numbers_of_cards_and_samples_begin_at_one(flag, capsys):
    flags = ["--configfile", "m.yaml", "--trial", "512", "--device", "a100-80g", *flag]
    with pytest.raises(SystemExit):
        plan_run.main(flags)
    assert f"argument {flag[0]}: {flag[1]} is no whole number from 1" in capsys.readouterr().err


def test_samples_go_with_a_device(tmp_path):
    (tmp_path / "m.yaml").write_text("run: m\n")
    flags = ["--configfile", str(tmp_path / "m.yaml"), "--trial", "512", "--samples", "9"]
    with pytest.raises(SystemExit, match="goes with DEVICE"):
        plan_run.main(flags)
