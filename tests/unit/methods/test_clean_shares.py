"""The method `clean_shares` against a slow loop over samples, for any order and part of a pool."""

import json

import numpy as np
import pandas as pd
import pytest
from array_files import write_shards

from vlselect.core import ordering
from vlselect.core.errors import InputError
from vlselect.gradients import gate
from vlselect.methods import clean_shares
from vlselect.subsets.method_runner import MethodRunner
from vlselect.subsets.signals import read_signals

HEADER = {"projection": json.dumps({"type": "sjlt", "dim": 16}), "model": "m", "revision": ""}
TASKS = {"counting": ["counting"], "mme": ["mme_a", "mme_b"], "one": ["one"]}
SIZES = {"counting": 30, "mme_a": 12, "mme_b": 14, "one": 1}
CENTRES = np.random.default_rng(9).normal(size=(4, 16)) * 3
IMAGES = {"counting": [1, 2], "mme_a": [1, 0], "mme_b": [1], "one": [0]}  # of validation samples
N_POOL, PARAMETERS = 400, {"within": 0.8, "power": 1.0}


def unit_rows(centres, seed, spread=1.0):
    values = centres + spread * np.random.default_rng(seed).normal(size=centres.shape)
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float16)


def make(folder, order=None, refused=(), learnt=()):
    """Make a pool of three tasks and a kind of no task; some samples lie far from their own."""
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 4, N_POOL)
    ids = np.array([f"s{i:03}" for i in rng.permutation(N_POOL)], dtype=object)
    vectors = unit_rows(CENTRES[kind], 0, spread=1.3)
    losses = (rng.exponential(size=N_POOL) * (1 + kind)).astype(np.float32)
    order = np.arange(N_POOL) if order is None else order
    # Half of each kind has a source of its own; those of the last two are of no task as a whole.
    source = np.where(rng.random(N_POOL) < 0.5, "mixed", np.array(["a", "b", "c", "d"])[kind])
    pool = pd.DataFrame({"row": range(N_POOL), "sample_id": ids[order], "source": source[order]})
    pool["n_images"] = np.where(rng.random(N_POOL) < 0.2, kind != 2, kind == 2)[order] ^ 1
    single = [
        ["gradients", *write_shards(folder / "pool", vectors[order], 3, **HEADER)],
        ["losses", *write_shards(folder / "losses", losses[order], 2, **HEADER)],
    ]
    several = {"validation": [], "validation_losses": [], "losses_before": []}
    for place, (name, size) in enumerate(SIZES.items()):
        centre = CENTRES[[0, 1, 1, 2][place]]
        values = unit_rows(np.tile(centre, (size, 1)), size)
        found = rng.exponential(size=size).astype(np.float32) * (1 + place)
        found *= name not in learnt
        gone = [r for r in refused if r < size and size > 1]
        before = rng.exponential(size=size).astype(np.float32) * (name not in learnt)
        kinds = {"validation": values, "validation_losses": found, "losses_before": before}
        for what, rows in kinds.items():
            several[what] += write_shards(folder / what / name, rows, 1, gone, **HEADER)
    signals = read_signals(single, [[k, *v] for k, v in several.items()], N_POOL)
    tables = {
        name: pd.DataFrame({"n_images": np.resize(IMAGES[name], size)})
        for name, size in SIZES.items()
    }
    return pool, signals | {"questions": tables}


def similarity(vector, others):
    """Average the five highest cosines."""
    return np.mean(sorted((vector @ other for other in others), reverse=True)[:5])


def slow_standing(pool, signals, within):
    """Compare every sample with every validation sample; return its task and standing."""
    rows, limits, least, faithful, shown = {}, {}, {}, {}, {}
    for task, members in TASKS.items():
        exact, losses = [], []
        for name in members:
            kept = ~np.isnan(signals["validation_losses"][name][:])
            exact += list(signals["validation"][name][:][kept].astype(np.float64))
            losses += list(signals["validation_losses"][name][:][kept].astype(np.float64))
        rows[task] = [vector / np.linalg.norm(vector) for vector in exact]
        limits[task] = np.quantile(losses, within)
        shown[task] = {count > 0 for name in members for count in IMAGES[name]}
    for task, own in rows.items():
        found = []
        for i, vector in enumerate(own if len(own) > 1 else ()):
            others = rows | {task: own[:i] + own[i + 1 :]}
            found.append({other: similarity(vector, others[other]) for other in rows})
        least[task] = np.quantile([one[task] for one in found], 0.05) if found else -1
        faithful[task] = np.mean([max(one, key=one.get) == task for one in found] or [1])
        faithful[task] = np.inf if len(own) < 20 else faithful[task]

    able = [[task for task in TASKS if (n > 0) in shown[task]] for n in pool["n_images"]]
    tasks, foreign = [], []
    for row in range(N_POOL):
        vector = signals["gradients"][[row]][0].astype(np.float64)
        found = {task: similarity(vector, rows[task]) for task in able[row]}
        tasks.append(max(found, key=found.get))
        foreign.append(1 - found[tasks[-1]] > 2 * (1 - least[tasks[-1]]))
    give_whole_sources(pool["source"], tasks, foreign, faithful, able)
    standing = []
    for row, task in enumerate(tasks):
        own = "clean" if signals["losses"][[row]][0] <= limits[task] else "doubtful"
        standing.append("foreign" if foreign[row] else own)
    return np.array(tasks), np.array(standing)


def give_whole_sources(source, tasks, foreign, faithful, able):
    """Change the tasks of sources that serve one nearly as often as its own samples do."""
    near = [row for row, off in enumerate(foreign) if not off]
    serve = {task: [row for row in near if tasks[row] == task] for task in TASKS}
    given = {}
    for name in set(source):
        counts = {task: sum(source[row] == name for row in own) for task, own in serve.items()}
        best, size, some = max(counts, key=counts.get), (source == name).sum(), sum(counts.values())
        of_one_kind = counts[best] >= 0.8 * faithful[best] * size and 2 * counts[best] > some
        if of_one_kind and 2 * some > size >= 20 and len(set(source)) > 1:
            given[name] = best
    lost = {
        task: [row for row in own if given.get(source[row], task) != task]
        for task, own in serve.items()
    }
    robbed = [task for task in TASKS if len(lost[task]) > 0.75 * len(serve[task])]
    for row, name in enumerate(source):
        stays = not foreign[row] and tasks[row] in robbed
        if name in given and given[name] in able[row] and not stays:
            tasks[row], foreign[row] = given[name], False


def run(pool, signals, budget, rows=None, seed=0, **parameters):
    given = {"tasks": TASKS} | PARAMETERS | parameters
    ask = MethodRunner(clean_shares, pool, signals, seed, given)
    return ask(np.arange(len(pool)) if rows is None else rows, budget)


@pytest.fixture
def problem(tmp_path):
    return make(tmp_path)


@pytest.mark.parametrize("budget", [1, 60, 150, 250, N_POOL])
@pytest.mark.parametrize("power", [0, 0.5, 2])
def test_it_chooses_what_a_slow_loop_does(problem, budget, power):
    pool, signals = problem
    tasks, standing = slow_standing(pool, signals, PARAMETERS["within"])
    assert set(standing) == {"clean", "doubtful", "foreign"}
    found = clean_shares.prepare(pool, signals, within=PARAMETERS["within"], tasks=TASKS)
    whole = pool["source"].groupby(found["standing"]["task"]).value_counts().unstack(fill_value=0)
    assert ((whole > 0).sum() == 1).any() and ((whole > 0).sum() > 1).any()  # of each kind one
    ids = pool["sample_id"].to_numpy(object)
    drawn = ordering.draw(ids, N_POOL, 0, "clean_shares").tolist()
    found = run(pool, signals, budget, power=power).rows.tolist()
    clean = {
        task: [r for r in drawn if (tasks[r], standing[r]) == (task, "clean")] for task in TASKS
    }
    n_clean = sum(map(len, clean.values()))
    first = found[:n_clean]
    counts = {task: sum(tasks[row] == task for row in first) for task in TASKS}
    for task, own in clean.items():
        assert [r for r in first if tasks[r] == task] == own[: counts[task]]
    assert first == [row for row in drawn if row in first]  # in the order of the draw
    weights = {
        task: np.mean(np.concatenate([signals["losses_before"][n][:] for n in members])) ** power
        for task, members in TASKS.items()
    }
    free = [task for task in TASKS if counts[task] < len(clean[task])]
    total = sum(counts[task] for task in free)
    for task in free:  # those with samples left have their shares of what the others leave
        share = total * weights[task] / sum(weights[other] for other in free)
        assert abs(counts[task] - share) <= len(TASKS)
    doubtful = [row for row in range(N_POOL) if standing[row] == "doubtful"]
    doubtful.sort(key=lambda row: (signals["losses"][[row]][0], drawn.index(row)))
    foreign = [row for row in drawn if standing[row] == "foreign"]
    assert found[n_clean:] == (doubtful + foreign)[: max(0, budget - n_clean)]


# How many samples of source a serve each of two tasks and none, and how many of b; `faithful`; how
# many of a do then.
SOURCES = {
    "as often as its own samples do": ([70, 30, 0], [0, 100, 0], [0.8, 1.0], [100, 0, 0]),
    "less often": ([70, 30, 0], [0, 100, 0], [1.0, 1.0], [70, 30, 0]),
    "some of no task": ([85, 0, 15], [0, 100, 0], [1.0, 1.0], [100, 0, 0]),
    "mostly of no task": ([20, 0, 80], [0, 100, 0], [1.0, 1.0], [20, 0, 80]),
    "half of no task": ([40, 10, 50], [0, 100, 0], [0.3, 1.0], [40, 10, 50]),
    "half of another one": ([40, 40, 20], [0, 100, 0], [0.3, 1.0], [40, 40, 20]),
    "all of no task": ([0, 0, 100], [0, 100, 0], [1.0, 1.0], [0, 0, 100]),
    "another task keeps a quarter": ([90, 9, 1], [0, 3, 0], [1.0, 1.0], [100, 0, 0]),
    "another task would keep less": ([90, 9, 1], [0, 2, 0], [1.0, 1.0], [91, 9, 0]),
    "few samples": ([18, 1, 0], [0, 100, 0], [1.0, 1.0], [18, 1, 0]),
    "the only source": ([90, 0, 10], [0, 0, 0], [1.0, 1.0], [90, 0, 10]),
    "a task with few validation samples": ([90, 0, 10], [0, 9, 0], [np.inf, 1.0], [90, 0, 10]),
}


@pytest.mark.parametrize("a, b, faithful, then", SOURCES.values(), ids=SOURCES)
def test_a_source_of_one_kind_goes_to_its_task(a, b, faithful, then):
    counts = np.array([a, b])
    source = np.repeat(np.array(["a", "b"], object), counts.sum(axis=1))
    task = np.concatenate([np.repeat([0, 1, 1], own) for own in counts])
    foreign = np.concatenate([np.repeat([False, False, True], own) for own in counts])
    barred = np.zeros((len(task), 2), bool)
    found, off = clean_shares.whole_sources(source, task, foreign, np.array(faithful), barred)
    of_a = source == "a"
    own = [int((found[of_a & ~off] == place).sum()) for place in (0, 1)]
    assert [*own, int(off[of_a].sum())] == then
    np.testing.assert_array_equal(found[~of_a], task[~of_a])
    barred[of_a, 0] = True  # they cannot serve it, whatever the others of their source do
    stay, out = clean_shares.whole_sources(source, task, foreign, np.array(faithful), barred)
    assert (stay == task).all() and (out == foreign).all()


def test_samples_that_are_somewhat_farther_than_validation_samples_serve_their_task(tmp_path):
    """As easyVQA's do in ../shared/data/real_vqa: most are less similar than 95 % of those are."""
    rng = np.random.default_rng(0)
    centre, signals = unit_rows(CENTRES[:1], 0)[0].astype(np.float64), {}
    near, pool = (
        centre + rng.normal(size=shape) * far for shape, far in (((20, 16), 0.02), ((30, 16), 0.03))
    )
    near, pool = (
        (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        for rows in (near, pool)
    )
    losses = np.ones(30, np.float32)
    for name, values in (("gradients", pool), ("losses", losses)):
        signals |= read_signals([[name, *write_shards(tmp_path / name, values, **HEADER)]], [], 30)
    for name, values in (("validation", near), ("validation_losses", losses[:20])):
        paths = write_shards(tmp_path / name / "t", values, **HEADER)
        signals |= read_signals([], [[name, *paths]], 30)
    signals["questions"] = {"t": pd.DataFrame({"n_images": [1] * 20})}
    table = pd.DataFrame({"row": range(30), "source": "x", "n_images": [0, 1] * 15})
    found = clean_shares.prepare(table, signals, within=0.9, tasks={"t": ["t"]})["standing"]
    least, _ = gate.within_tasks(signals["validation"], {"t": ["t"]})
    similar = gate.nearest(signals["gradients"], signals["validation"], {"t": ["t"]})[1]
    assert (similar < least[0]).mean() > 0.7
    without, shown = found["standing"][::2], found["standing"][1::2]
    assert (without == clean_shares.FOREIGN).all() and (shown == clean_shares.CLEAN).mean() > 0.9


def test_images_that_are_not_counted_or_miscounted(problem, tmp_path):
    """A refused validation sample's text counts for nothing; a table of another set is named."""
    pool, signals = problem
    pool = pool.assign(n_images=0)
    found = clean_shares.prepare(pool, signals, within=0.8, tasks=TASKS)["standing"]
    assert set(found["task"]) == {1, 2}  # those with samples without an image
    _, refused = make(tmp_path / "refused", refused=[1, 3, 5, 7, 9, 11])  # those of mme_a
    found = clean_shares.prepare(pool, refused, within=0.8, tasks=TASKS)["standing"]
    assert set(found["task"]) == {2}
    short = signals | {"questions": signals["questions"] | {"one": pool[["n_images"]]}}
    with pytest.raises(InputError, match="holds 1 rows, but one has 400 validation samples"):
        clean_shares.prepare(pool, short, within=0.8, tasks=TASKS)
    about = "method '.*clean_shares', asked for 5 of 90 samples: .* holds 1 rows"
    with pytest.raises(InputError, match=about):
        run(pool, short, 5, np.arange(90))


def test_few_validation_samples_are_warned_of(problem, caplog):
    pool, signals = problem
    with caplog.at_level("WARNING"):
        clean_shares.prepare(pool, signals, within=0.8, tasks=TASKS)
    assert [record.getMessage() for record in caplog.records] == [
        "one: 1 validation samples say little of what is clean; 20 or more do"
    ]


def test_rows_may_come_in_any_order(problem, tmp_path):
    pool, signals = problem
    chosen = pool["sample_id"][run(pool, signals, 90).rows].tolist()
    order = np.random.default_rng(5).permutation(N_POOL)
    moved, others = make(tmp_path / "moved", order)
    assert moved["sample_id"][run(moved, others, 90).rows].tolist() == chosen


def test_what_samples_are_is_found_on_the_whole_pool(problem):
    pool, signals = problem
    rows = np.flatnonzero(np.arange(N_POOL) % 3 == 0)
    tasks, standing = slow_standing(pool, signals, PARAMETERS["within"])
    clean = [row for row in rows if standing[row] == "clean"]
    assert set(run(pool, signals, len(clean), rows).rows) == set(clean)


def test_a_seed_moves_the_draw(problem):
    pool, signals = problem
    assert set(run(pool, signals, 50).rows) != set(run(pool, signals, 50, seed=1).rows)


@pytest.mark.parametrize("learnt", [["one"], ["counting"], SIZES])
def test_tasks_whose_validation_samples_have_no_loss_get_no_share(tmp_path, learnt):
    pool, signals = make(tmp_path, learnt=learnt)
    tasks, standing = slow_standing(pool, signals, PARAMETERS["within"])
    assert not (np.isin(tasks, list(learnt)) & (standing == "clean")).any()
    chosen = run(pool, signals, 30).rows
    assert len(chosen) == 30
    assert not np.isin(tasks[chosen], list(learnt)).any() or learnt is SIZES


def test_refused_validation_samples_do_not_count(tmp_path):
    pool, signals = make(tmp_path, refused=(0, 3))
    tasks, standing = slow_standing(pool, signals, PARAMETERS["within"])
    clean = np.flatnonzero(standing == "clean")
    assert set(run(pool, signals, len(clean)).rows) == set(clean)


def test_a_task_whose_samples_were_all_refused_is_named(tmp_path):
    pool, signals = make(tmp_path, refused=range(30))
    with pytest.raises(InputError, match="the model refused all samples"):
        run(pool, signals, 5)
