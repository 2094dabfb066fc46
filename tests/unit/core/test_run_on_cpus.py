"""make test-cpus: sets that this CPU lacks are skipped with a message; one failure fails all."""

from types import SimpleNamespace

import pytest
import run_on_cpus


@pytest.fixture
def started(monkeypatch):
    """Return environments and commands of the runs that would start; the one under avx2 fails."""
    calls = []

    def run(command, env, stdout, **_):
        calls.append((name := env.get("ATEN_CPU_CAPABILITY"), command[3:]))
        said = None if stdout is None else f"what {name} printed"
        return SimpleNamespace(returncode=int(name == "avx2"), stdout=said)

    monkeypatch.setattr(run_on_cpus.subprocess, "run", run)
    monkeypatch.delenv("ATEN_CPU_CAPABILITY", raising=False)
    return calls


def test_sets_that_the_cpu_has_are_run(started, monkeypatch, capsys):
    monkeypatch.setattr(run_on_cpus, "cpu_flags", lambda: {"sse4_2", "avx2", "amx_bf16"})
    assert run_on_cpus.main([]) == 1
    assert started == [
        (None, ["tests/unit"]),
        ("avx2", ["tests/unit"]),
        ("default", ["tests/unit"]),
    ]
    said = capsys.readouterr().out
    assert said.startswith("oneDNN has amx_bf16\n") and "avx2: failed (1)\nsse: passed" in said
    assert "avx512: left out: this CPU has no avx512bw, avx512f" in said


def test_sets_side_by_side_print_one_after_another(started, monkeypatch, capsys):
    monkeypatch.setattr(run_on_cpus, "cpu_flags", lambda: {"sse4_2", "avx2"})
    assert run_on_cpus.main(["--sets", "avx2", "sse", "avx512", "--at-once", "2"]) == 1
    assert sorted(started) == [("avx2", ["tests/unit"]), ("default", ["tests/unit"])]
    said = capsys.readouterr().out
    for name, printed in (("avx2", "avx2"), ("sse", "default")):
        assert f"\nwhat {printed} printed\n" in said.partition(f"== {name}: ")[2]
    assert said.endswith(
        "avx2: failed (1)\nsse: passed\navx512: left out: this CPU has no avx512bw, avx512f\n"
    )


def test_sets_and_tests_can_be_chosen(started, monkeypatch):
    monkeypatch.setattr(run_on_cpus, "cpu_flags", lambda: {"sse4_2"})
    assert run_on_cpus.main(["--sets", "sse", "--", "-m", "numeric", "tests/unit"]) == 0
    assert started == [("default", ["-m", "numeric", "tests/unit"])]


def test_flags_are_those_of_the_first_core(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("model name : x\nflags\t\t: fpu avx2 sse4_2\n\nflags : fpu\n")
    assert run_on_cpus.cpu_flags(str(path)) == {"fpu", "avx2", "sse4_2"}
    assert run_on_cpus.cpu_flags(str(tmp_path / "none")) == set()
