"""The pool in a few numbers: what was looked at, and what was not."""

import numpy as np
import pandas as pd

from vlselect.answer.pool_facts import Pool, facts, percent

N = 400
SAMPLES = pd.DataFrame(
    {
        "source": ["charts"] * 200 + ["photos"] * 200,
        "n_images": [0] * 40 + [1] * 360,
        "digest": [f"d{min(i, 395)}" for i in range(N)],  # the last five are one
    }
)
SUMMARY = {"read": 403, "accepted": N, "rejected": 3, "rejected_by_reason": {"bad_image": 3}}


def said(**known):
    return dict(facts(Pool(SAMPLES, **known)))


def copies(place, n):
    row = {"task": "alpha", "split": "test", "n": 12, "place": place}
    return row | {"same_question": n, "same_conversation": 0, "copies": n}


def test_what_the_run_did_not_look_at_is_said():
    found = said()
    assert found["Samples"] == "400, from 2 sources, 40 of them without an image"
    assert "given its pool" in found["Rejected"]
    assert "not looked at" in found["Contaminated"]
    assert found["Repeated"].startswith("1.0 %") and "not looked for" in found["Repeated"]
    assert found["Wrong answers"].startswith("not estimated")


def test_rejected_records_have_their_reasons():
    assert said(summary=SUMMARY)["Rejected"].startswith("3 of 403 records (3 bad_image)")
    trial = SUMMARY | {"taken": 100, "rejected": 0, "rejected_by_reason": {}}
    assert said(summary=trial)["Rejected"] == "0 of 100 records"


def test_copies_of_held_out_records():
    clean = said(contamination=pd.DataFrame([copies("pool", 0)]))["Contaminated"]
    assert clean == "No exact copy of a record of the 1 validation and test sets"
    found = said(contamination=pd.DataFrame([copies("pool", 4)]))["Contaminated"]
    assert found.startswith("4 of 12 records of alpha/test are in the pool")
    taken = said(contamination=pd.DataFrame([copies("pool", 4)]), screened=True)["Contaminated"]
    assert taken.startswith("4 copies of held-out records were taken out. No exact copy")
    left = pd.DataFrame([copies("pool", 4), copies("beta/validation", 2)])
    assert "2 of 12 records" in said(contamination=left, screened=True)["Contaminated"]


def test_near_duplicates_count_with_exact_ones():
    pairs = pd.DataFrame({"row_a": range(0, 40, 2), "row_b": range(1, 41, 2)})
    assert "6.0 % exactly or nearly" in said(duplicates=pairs)["Repeated"]


def test_wrong_answers_are_estimated_from_losses():
    losses = np.r_[np.linspace(0, 0.1, 160), np.full(40, 5.0), np.linspace(0, 1, 200)]
    text = said(losses=losses, gated=80)["Wrong answers"]
    assert text.startswith("at least 10 % of the pool: the losses show some in 1 of 2 sources,")
    assert "most in charts (20 %); of the others they tell nothing; the gate keeps 80" in text
    assert text.partition("; the gate")[0] == said(losses=losses)["Wrong answers"]
    one_kind = said(losses=np.linspace(0, 1, N))["Wrong answers"]
    assert one_kind == "no source shows any by its losses"


def test_percent():
    assert [percent(share) for share in (0, 0.0012, 0.0987, 0.2, 1)] == [
        *("0 %", "0.1 %", "9.9 %", "20 %", "100 %")
    ]
