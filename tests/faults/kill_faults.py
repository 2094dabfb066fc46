"""Kills of a running workflow at random moments, recovery as docs/operations.md has it, same bytes.

A round is one run of kills.yaml, from its input to its last table, that is killed again and again
and each time resumed by the documented commands. What is drawn depends on the seed and the round's
number; what it meets, on the machine's speed.
"""

import itertools
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from kept_bytes import differences, kept, left_over
from running_jobs import Process, Snakemake, find
from whole_run import DEMO, DEMO_TARGETS, MANY, MANY_TARGETS, WholeRun

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ONE_CHILD = "one child"
WHOM = {"group": 3, "snakemake": 3, "job": 5, "job and its children": 3, ONE_CHILD: 3}
DELAYS = (2, 5, 12)  # seconds after a job began, at most; it may have ended by then
HOOKS = Path(__file__).with_name("hooks")
WRITING, MEMORY = ("bytes", "rename", "second rename"), ("memory",)
LIMITS = ("0 MB", "32 MB")  # more than a job has when it opens its first data
FULL_DISK = ("no space",)
ADVICE = re.compile(r"--set-resources (\w+):mem_mb=")
IN_A_ROW = (2, 20, 20, 20)  # kills of one start of Snakemake, if none of them ends it
GRACE = 30  # seconds in which the processes of a killed Snakemake have to end
SESSIONS = 80  # of one round, at most


def not_doubled(run: Path) -> list[str]:
    """Return in words which jobs were not tried again with twice the memory."""
    attempts: dict[str, list[int]] = {}
    (path,) = (run / ".snakemake/log").iterdir()
    for text in re.split(r"^\[", path.read_text(), flags=re.MULTILINE):
        job, amount = re.search(r"jobid: (\d+)", text), re.search(r"mem_mb=(\d+)", text)
        if job and amount and "reason:" in text:
            attempts.setdefault(job[1], []).append(int(amount[1]))
    return [
        f"job {job} was tried again with {amounts} MB"
        for job, amounts in attempts.items()
        if any(later != 2 * amount for amount, later in itertools.pairwise(amounts))
    ]


@dataclass
class Tally:
    """What was tried: kills by whom and signal, by rule and in a row; and what fell, in words."""

    kinds: Counter = field(default_factory=Counter)
    rules: Counter = field(default_factory=Counter)
    rows: Counter = field(default_factory=Counter)
    rounds: int = 0
    unlocked: int = 0
    fell: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Number of kills."""
        return self.kinds.total()

    def lines(self) -> list[str]:
        """Return the tables of a tally."""
        lines = [f"{self.kills} kills in {self.rounds} runs, {self.unlocked} unlocked"]
        for name in ("kinds", "rules", "rows"):
            counts = sorted(getattr(self, name).items(), key=str)
            lines.append(f"{name}: " + ", ".join(f"{key} {n}" for key, n in counts))
        return [*lines, f"fell: {len(self.fell)}", *self.fell]


class Killed:
    """Rounds of one seed, each of which has to end like the undisturbed run."""

    def __init__(self, whole: WholeRun, seed: int, tell: Callable[[str], None] = print):
        self._whole, self._seed, self._tell = whole, seed, tell

    def __call__(self, number: int, tally: Tally, most: int = 1000) -> None:
        """Run the round of this number, with at most so many kills."""
        random, run = Random(f"{self._seed} {number}"), self._whole.begin(f"round-{number}")
        tally.rounds += 1
        start, fell, finished = tally.kills, [], False
        for _ in range(SESSIONS):
            wanted = min(random.choice(IN_A_ROW), start + most - tally.kills)
            finished, locked = self._session(run, random, wanted, tally, fell)
            if finished:
                break
            if locked:
                tally.unlocked += 1
                with self._whole.snakemake(run, "--unlock") as snakemake:
                    if snakemake.end() != 0:
                        fell.append(f"--unlock failed: {snakemake.said()[-1000:]}")
        if not finished:
            fell.append(f"not finished after {SESSIONS} starts")
        self._compare(run, f"round {number}", fell, tally)

    def in_every_rule(self, ways: Sequence[str], tally: Tally) -> None:
        """Kill a job of each rule in these ways of hooks/sitecustomize.py, and let it be retried.

        Each time it has to be tried again with twice the memory; where it was killed as for that,
        or got no more of it, the screen has to say what to do; that a disk is full, in a line.
        """
        name = " and ".join(ways)
        run, fell = self._whole.begin(name), []
        done = run / "tmp/kills"
        done.mkdir()
        tally.rounds += 1
        hooked = {"KILLS_FOLDER": str(done), "KILLS_WAYS": ",".join(ways), "PYTHONPATH": str(HOOKS)}
        retries = ("--cores", "2", "--retries", str(len(ways)))
        with self._whole.snakemake(run, *retries, **hooked) as snakemake:
            ended, said = snakemake.end(), snakemake.said()
            if ended != 0:
                fell.append(f"failed: {said[-3000:]}")
            shown = re.findall(r"^Error in rule (\w+)(.*(?:\n +.*)*)", said, re.MULTILINE)
            failures = Counter(rule for rule, _ in shown)
            advised = Counter(ADVICE.findall(said))
        fell += not_doubled(run)
        armed = Counter(path.name.partition(".")[0] for path in done.iterdir())
        rules = {path.stem for path in (run / "results/kills/logs").iterdir()}
        tally.kinds.update({f"in every rule: {name}": failures.total()})
        tally.rules.update(failures)
        fell += [f"{rule} was not killed" for rule in sorted(rules - armed.keys())]
        if ways in (MEMORY, LIMITS):
            fell += [f"{rule}: no advice" for rule, n in failures.items() if advised[rule] < n]
        if ways == FULL_DISK:
            told = ((rule, text) for rule, text in shown if "No space left" not in text)
            fell += [f"{rule} does not say that the disk is full: {text}" for rule, text in told]
            fell += ["a traceback"] * ("Traceback" in said)
        self._tell(f"{name}: armed {armed}, failed {failures}, advised {advised}")
        self._compare(run, name, fell, tally)

    def _compare(self, run: Path, name: str, fell: list[str], tally: Tally) -> None:
        """Compare a finished run with the undisturbed one; note what fell."""
        fell += differences(self._whole.expected, kept(run)) + left_over(run)
        tally.fell += [f"{name}: {what}" for what in fell]
        if not fell:
            shutil.rmtree(run)

    def _session(
        self, run: Path, random: Random, wanted: int, tally: Tally, fell: list[str]
    ) -> tuple[bool, bool]:
        """Start Snakemake and kill so many times; return whether the run is done, and is locked."""
        killed, forced = 0, False
        flags = ("--cores", random.choice("122"), "--retries", random.choice("033"))
        with self._whole.snakemake(run, *flags) as snakemake:
            while killed < wanted:
                whom = random.choices(list(WHOM), list(WHOM.values()))[0]
                found = self._moment(snakemake, random, whom)
                if found is None:
                    break
                whom, number, rule = self._kill(snakemake, random, whom, found)
                tally.kinds[f"{whom} {number.name}"] += 1
                tally.rules[rule] += 1
                killed += 1
                self._tell(f"kill {tally.kills}: {whom} {number.name} ({rule})")
                if whom in ("group", "snakemake"):
                    forced = number == signal.SIGKILL
                    break
            ended, said = snakemake.end(), snakemake.said()
            if ended is None:
                fell.append(f"Snakemake does not end after {killed} kills: {said[-1000:]}")
            if not snakemake.wait(lambda: not find(snakemake.mark), GRACE):
                names = [f"{process.pid} {process.command}" for process in find(snakemake.mark)]
                fell.append(f"still running after {whom} {number.name}: {names}")
        tally.rows.update([killed] if killed else [])
        locked = "LockException" in said or "cannot be locked" in said
        if locked and "--unlock" not in said:
            fell.append(f"a lock without its cure: {said[-1000:]}")
        if not killed and ended != 0 and not locked:
            fell.append(f"failed without a kill: {said[-3000:]}")
        return ended == 0, locked or (forced and random.random() < 0.8)

    def _moment(self, snakemake: Snakemake, random: Random, whom: str) -> list[Process] | None:
        """Wait for a random moment; return the jobs at work, None if Snakemake ended before.

        To kill a child alone, it waits for a job that has children.
        """
        seen, rest = {job.job for job in snakemake.jobs()}, random.choice((1, 1, 1, 2))
        more = set()

        def begun() -> bool:
            jobs = snakemake.jobs()
            more.update(job.job for job in jobs)
            enough = with_children(jobs) if whom == ONE_CHILD else len(more - seen) >= rest
            return bool(enough) or not snakemake.alive()

        if not snakemake.wait(begun) or not snakemake.alive():
            return None
        delay = random.random() * random.choice(DELAYS)
        if snakemake.wait(lambda: not snakemake.alive(), delay):
            return None
        return snakemake.jobs()

    def _kill(
        self, snakemake: Snakemake, random: Random, whom: str, jobs: list[Process]
    ) -> tuple[str, signal.Signals, str]:
        """Kill somebody; return whom, by what and the rule at work."""
        number = random.choice(SIGNALS)
        if whom == ONE_CHILD:
            jobs = with_children(jobs) or jobs
        chosen = random.choice(jobs) if jobs else None
        mine = [job for job in jobs if chosen and job.job == chosen.job]
        if whom == ONE_CHILD and len(mine) < 2:
            whom = "job"
        if "job" in whom and not mine:
            whom = "snakemake"
        if whom == "group":
            os.killpg(snakemake.process.pid, number)
        elif whom == "snakemake":
            os.kill(snakemake.process.pid, number)
        elif whom == "job":
            mine[0].kill(number)
        else:
            for process in [random.choice(mine[1:])] if whom == ONE_CHILD else mine:
                process.kill(number)
        return whom, number, chosen.rule if chosen else "between jobs"


def with_children(jobs: list[Process]) -> list[Process]:
    """Return the processes of jobs that have more than one."""
    counts = Counter(job.job for job in jobs)
    return [job for job in jobs if counts[job.job] > 1]


PASSES = (  # in which a job of every rule is killed: the run, if not that of kills.yaml, and how
    ((MANY_TARGETS, MANY), WRITING),
    ((DEMO_TARGETS, DEMO), WRITING),
    ((), WRITING),
    ((), MEMORY),
    ((MANY_TARGETS, MANY), MEMORY),
    ((DEMO_TARGETS, DEMO), MEMORY),
    ((), LIMITS),
    ((), FULL_DISK),
    ((MANY_TARGETS, MANY), FULL_DISK),
)


def in_every_rule(whole: WholeRun, passes: int) -> Tally:
    """Kill a job of each rule in each way of the first so many passes."""
    tally = Tally()
    for number, (other, ways) in enumerate(PASSES[:passes]):
        run = WholeRun(whole.folder / f"pass-{number}", *other) if other else whole
        Killed(run, 0).in_every_rule(ways, tally)
    return tally


def killed(whole: WholeRun, seed: int, number: int) -> Tally:
    """Kill so many times at random moments."""
    tally, trials, numbers = Tally(), Killed(whole, seed), itertools.count()
    while tally.kills < number:
        trials(next(numbers), tally, number - tally.kills)
    return tally
