"""Command that starts a training script, in one process or in several.

Imported by the workflow, so it uses the standard library only.
"""


def launch_command(processes: int, threads: int) -> list[str]:
    """Return the command before the script: Python, or accelerate, which starts it several times.

    Every option is set, so that a user's own accelerate config has no effect, and the processes
    meet at a free port. Each takes the GPU of its number, or all share the CPU, with `threads`
    threads each.
    """
    if processes == 1:
        return ["python"]
    flags = ["--multi_gpu", "--num_processes", str(processes), "--num_machines", "1"]
    flags += ["--gpu_ids", "all", "--mixed_precision", "no", "--dynamo_backend", "no"]
    flags += ["--num_cpu_threads_per_process", str(threads), "--main_process_port", "0"]
    return ["python", "-m", "accelerate.commands.launch", *flags]
