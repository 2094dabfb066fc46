"""Run tests once for each kind of CPU that this one can imitate.

    python tests/support/run_on_cpus.py                  all unit tests, under every set below
    python tests/support/run_on_cpus.py --sets avx2 sse --at-once 2 -- -m numeric tests/unit

PyTorch, oneDNN, MKL, OpenBLAS and NumPy choose their kernels by the instructions of the CPU, each
controlled by its own variables. Kernels sum in different orders, so results differ in their last
digits, and no test may fail because of that (`closeness`). By default oneDNN uses AMX or bfloat16
instructions, if the CPU has them, for half precision only. ONEDNN_DEFAULT_FPMATH_MODE, which would
also round float32, is left alone, since setting it is a request for other results.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

SETS = {
    "as-is": {},
    "avx512": {  # without AMX and bfloat16 instructions
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "OPENBLAS_CORETYPE": "SkylakeX",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4",
    },
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    },
}
NEEDED = {"as-is": set(), "avx512": {"avx512f", "avx512bw"}, "avx2": {"avx2"}, "sse": {"sse4_2"}}
NARROW = {"amx_bf16", "avx512_bf16", "avx512_fp16"}  # instructions for half precision in oneDNN


def cpu_flags(path: str = "/proc/cpuinfo") -> set[str]:
    """Return the instruction sets of this CPU as Linux names them; none if it is not x86."""
    if not Path(path).exists():
        return set()
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next((set(line.split()[2:]) for line in lines if line.startswith("flags")), set())


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the flags; arguments after `--` are for pytest."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--sets", nargs="+", choices=SETS, default=list(SETS), help="all by default"
    )
    about = "sets to run side by side, each of which prints when it has ended; one by default"
    parser.add_argument("--at-once", type=int, default=1, help=about)
    parser.add_argument("pytest", nargs="*", default=["tests/unit"], help="after --: for pytest")
    return parser.parse_args(argv)


def run_under(name: str, *, pytest: list[str], flags: set[str], held: bool) -> str:
    """Run pytest under a set, its output held back until it ends or not; say how it ended."""
    if lacking := NEEDED[name] - flags:
        return f"left out: this CPU has no {', '.join(sorted(lacking))}"
    begin = " ".join([f"== {name}:", *(f"{key}={value!r}" for key, value in SETS[name].items())])
    if not held:
        print(begin, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *pytest],
        env={**os.environ, **SETS[name]},
        stdout=subprocess.PIPE if held else None,
        stderr=subprocess.STDOUT if held else None,
        text=True,
    )
    if held:
        print(f"{begin}\n{done.stdout}", flush=True)
    return "passed" if done.returncode == 0 else f"failed ({done.returncode})"


def main(argv: list[str]) -> int:
    """Run pytest under each set, print how each ended, and return 1 if any failed."""
    args, flags = parse(argv), cpu_flags()
    print("oneDNN has", ", ".join(sorted(NARROW & flags)) or "no instructions for half precision")
    run = partial(run_under, pytest=args.pytest, flags=flags, held=args.at_once > 1)
    with ThreadPoolExecutor(args.at_once) as pool:
        ends = dict(zip(args.sets, pool.map(run, args.sets), strict=True))
    print(*(f"{name}: {end}" for name, end in ends.items()), sep="\n")
    return int(any(end.startswith("failed") for end in ends.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
