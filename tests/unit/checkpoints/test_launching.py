from vlselect.checkpoints.launching import launch_command


def test_one_process_needs_no_launcher():
    assert launch_command(1, 4) == ["python"]


def test_several_processes_are_started_by_accelerate_with_every_option_given():
    command = launch_command(8, 4)
    assert command[:4] == ["python", "-m", "accelerate.commands.launch", "--multi_gpu"]
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert (options["--num_processes"], options["--num_machines"]) == ("8", "1")
    assert options["--num_cpu_threads_per_process"] == "4"
    assert options["--main_process_port"] == "0"
    assert {"--mixed_precision", "--dynamo_backend", "--gpu_ids"} <= options.keys()
