"""The command that starts a training script, in one process or in several.

Read by the workflow, so it imports nothing heavy.
"""


def launch_command(processes: int, threads: int) -> list[str]:
    """Give what stands before the script: Python, or accelerate, which starts it several times.

    Parameters
    ----------
    processes : int
        On this machine; each takes the GPU of its number, or all share the CPU.
    threads : int
        Of each process.

    Returns
    -------
    list of str
        Every option is given, so that nobody's own accelerate config has a say. The port at which
        the processes meet is a free one.
    """
    if processes == 1:
        return ["python"]
    flags = ["--multi_gpu", "--num_processes", str(processes), "--num_machines", "1"]
    flags += ["--gpu_ids", "all", "--mixed_precision", "no", "--dynamo_backend", "no"]
    flags += ["--num_cpu_threads_per_process", str(threads), "--main_process_port", "0"]
    return ["accelerate", "launch", *flags]
