"""Training in a process of its own: what is left when it is done, when it fails, when it or its caller is killed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.influence.training.jobs import JobDirectory, Result, job_bytes, job_from, job_hash
from influence_assets.influence.training.local import _WORKER, LocalTrainer
from influence_assets.influence.training.trainer import (
    Checkpoint,
    Example,
    LossPoint,
    Method,
    TrainingJob,
    TrainingSettings,
)
from resources.durable import alone
from resources.errors import InfluenceError, InputError
from resources.local.weights import adapter_files_hash
from resources.messages import Message
from tests import forked
from tests.influence.training.conftest import a_job, conversations

REPOSITORY = Path(__file__).resolve().parents[3]
CALLER = """
import os, sys
from pathlib import Path
from influence_assets.influence.training.jobs import job_from
from influence_assets.influence.training.local import LocalTrainer
LocalTrainer().train(job_from(Path(sys.argv[1]).read_bytes()), lambda step, steps: print(step, flush=True))
"""


def test_a_job_survives_the_death_of_its_caller_and_of_its_process(base: Path, tmp_path: Path) -> None:
    """The first process is a real one; those after it, which nobody has to outlive, are forks."""
    job = a_job(base, tmp_path / "job", Method.KTO, epochs=16)
    folder = JobDirectory(job.out)

    process = _killed_caller(job, tmp_path)
    with alone(job.out / "lock") as free:
        assert not free  # while the training process is there, nobody else starts one
    process.resume()
    with folder.locked():
        process.wait(10)
    assert not folder.adapter.exists()
    assert folder.result(job_hash(job)) is None

    job = dataclasses.replace(job, settings=job.settings.model_copy(update={"python": str(forked.interpreter())}))

    def kill(*_: int) -> None:
        _trainer_of(os.getpid()).send_signal(signal.SIGKILL)

    with pytest.raises(InfluenceError, match="was killed by signal 9 and left no adapter"):
        LocalTrainer().train(job, kill)
    assert not folder.adapter.exists()

    progress: list[tuple[int, int]] = []
    done = LocalTrainer().train(job, lambda step, steps: progress.append((step, steps)))
    assert progress == [(step, 48) for step in range(1, 49)]
    assert [point.step for point in done.loss_curve] == list(range(1, 49))
    assert {path.name for path in job.out.iterdir()} == {"adapter", "job.json", "lock", "log.txt", "result.json"}
    _check_equal_to_a_run_in_this_process(done, job, tmp_path / "here")

    before = (folder.adapter / "adapter_model.safetensors").stat()
    assert LocalTrainer().train(job) == done
    assert (folder.adapter / "adapter_model.safetensors").stat() == before


def _trainer_of(pid: int) -> psutil.Process:
    """The training process among the children of a process, which may have others (another test's, a library's), some
    of which have ended."""
    children = psutil.Process(pid).children()
    (worker,) = (one for one in children if _WORKER in one.as_dict(["cmdline"], ad_value=[])["cmdline"])
    return worker


def _killed_caller(job: TrainingJob, tmp_path: Path) -> psutil.Process:
    """The training process, stopped, of a caller that was killed after the first step."""
    (tmp_path / "caller.json").write_bytes(job_bytes(job))
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(tmp_path / "caller.json")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert caller.stdout is not None
    assert caller.stdout.readline() == b"1\n"
    worker = _trainer_of(caller.pid)
    worker.suspend()
    caller.kill()
    caller.wait()
    caller.stdout.close()
    return worker


def _check_equal_to_a_run_in_this_process(done: Checkpoint, job: TrainingJob, here: Path) -> None:
    from influence_assets.influence.training.methods import train

    trained = train(dataclasses.replace(job, out=here), here / "scratch", here / "adapter", lambda *_: None)
    assert adapter_files_hash(here / "adapter") == adapter_files_hash(Path(done.adapter_path)) == done.adapter_sha256
    assert trained.loss_curve == done.loss_curve
    assert (done.n_rows, done.n_desirable, done.n_undesirable) == (12, 8, 4)


def test_what_the_process_finds_wrong_is_an_input_error_here(base: Path, tmp_path: Path) -> None:
    nothing = Example("e7", (Message(role="user", content="a"),), (0,))
    job = dataclasses.replace(a_job(base, tmp_path, python=str(forked.interpreter())), examples=(nothing,))
    with pytest.raises(InputError, match=r"training examples: \[e7\]\.learned: .*\(got 0\)") as caught:
        LocalTrainer().train(job)
    assert caught.value.value == 0


def test_accelerate_launches_with_the_users_file(base: Path, tmp_path: Path) -> None:
    config = tmp_path / "accelerate.yaml"
    config.write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nnum_processes: 1\nuse_cpu: true\n"
        "machine_rank: 0\nnum_machines: 1\nmixed_precision: 'no'\n"
    )
    job = a_job(base, tmp_path / "a", accelerate_config=str(config), python=str(forked.interpreter()))
    launched = LocalTrainer().train(job)
    from influence_assets.influence.training.methods import train

    train(a_job(base, tmp_path / "b"), tmp_path / "scratch", tmp_path / "b" / "adapter", lambda *_: None)
    assert launched.adapter_sha256 == adapter_files_hash(tmp_path / "b" / "adapter")


def _interpreter(tmp_path: Path, script: str) -> str:
    """Stands for the interpreter of another environment."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_end_of_the_log_is_in_the_error(base: Path, tmp_path: Path) -> None:
    python = _interpreter(tmp_path, 'echo "$@" >&2; echo "no module named trl" >&2; exit 7')
    with pytest.raises(InfluenceError) as caught:
        LocalTrainer().train(a_job(base, tmp_path / "job", python=python))
    assert "ended with exit code 7" in str(caught.value)
    assert str(caught.value).endswith(f"training.worker {tmp_path / 'job'}\nno module named trl")


def test_success_without_an_adapter_is_no_success(base: Path, tmp_path: Path) -> None:
    python = _interpreter(tmp_path, 'echo \'{"step": 1, "steps": 2}\'; echo noise; exit 0')
    progress: list[tuple[int, int]] = []
    with pytest.raises(InfluenceError, match="ended with exit code 0 and left no adapter"):
        LocalTrainer().train(
            a_job(base, tmp_path / "job", python=python), lambda step, steps: progress.append((step, steps))
        )
    assert progress == [(1, 2)]


def test_the_process_reports_to_nobody_it_was_not_told_to(base: Path, tmp_path: Path) -> None:
    python = _interpreter(tmp_path, "env >&2; exit 1")
    with pytest.raises(InfluenceError):
        LocalTrainer().train(a_job(base, tmp_path / "job", python=python))
    environment = (tmp_path / "job" / "log.txt").read_text().splitlines()
    assert {"HF_HUB_DISABLE_TELEMETRY=1", "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1"} <= set(environment)


def test_an_error_in_the_callers_progress_ends_the_process(base: Path, tmp_path: Path) -> None:
    python = _interpreter(
        tmp_path, 'echo $$ > pid; mv pid "$(dirname $0)"; echo \'{"step": 1, "steps": 2}\'; exec sleep 60'
    )

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalTrainer().train(a_job(base, tmp_path / "job", python=python), stop)
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("field", ["base_model", "python", "accelerate_config", "previous_adapter"])
def test_files_that_are_not_there_are_named(base: Path, tmp_path: Path, field: str) -> None:
    job = a_job(base, tmp_path / "job")
    if field in ("base_model", "previous_adapter"):
        job = dataclasses.replace(job, **{field: str(tmp_path / "nowhere")})
    else:
        job = a_job(base, tmp_path / "job", **{field: str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match=r"no such "):
        LocalTrainer().train(job)


def finished(job: TrainingJob) -> tuple[JobDirectory, Result]:
    """A job directory as a worker leaves it."""
    folder = JobDirectory(job.out)
    folder.begin(job)
    made = folder.scratch / "adapter"
    made.mkdir()
    (made / "adapter_model.safetensors").write_bytes(b"weights")
    (made / "adapter_config.json").write_text("{}")
    result = Result(job_hash(job), adapter_files_hash(made), 1, 1, 0, 0, 0, 9, (LossPoint(1, 0.5),), {"a": 1.0})
    folder.finish(made, result)
    return folder, result


def test_a_result_counts_for_its_own_job_and_its_own_files(base: Path, tmp_path: Path) -> None:
    job = a_job(base, tmp_path / "job")
    folder, result = finished(job)
    assert folder.result(job_hash(job)) == result
    assert folder.result("0" * 64) is None
    time.sleep(0.01)  # another time of change
    (folder.adapter / "adapter_model.safetensors").write_bytes(b"weightz")
    assert folder.result(job_hash(job)) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"job_sha256": "x"}'])
def test_a_damaged_result_is_no_result(base: Path, tmp_path: Path, damage: bytes) -> None:
    job = a_job(base, tmp_path / "job")
    folder, _ = finished(job)
    (folder.root / "result.json").write_bytes(damage)
    assert folder.result(job_hash(job)) is None


def test_a_project_that_moves_keeps_its_result(base: Path, tmp_path: Path) -> None:
    job = a_job(base, tmp_path / "job")
    finished(job)
    (tmp_path / "job").rename(tmp_path / "elsewhere")
    moved = LocalTrainer().train(dataclasses.replace(job, out=tmp_path / "elsewhere"))
    assert moved.adapter_path == str(tmp_path / "elsewhere" / "adapter")
    assert str(tmp_path) not in json.dumps(json.loads((tmp_path / "elsewhere" / "result.json").read_text()))


def test_the_hash_of_a_job_sees_what_changes_the_adapter_and_nothing_else(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    job = a_job(base, tmp_path)
    others = [
        dataclasses.replace(job, seed=6),
        dataclasses.replace(job, examples=job.examples[1:]),
        dataclasses.replace(job, examples=conversations(Method.KTO)),
        dataclasses.replace(job, previous_adapter=str(adapter)),
        a_job(base, tmp_path, learning_rate=0.03),
        a_job(base, tmp_path, lora={"rank": 5, "alpha": 8}),
    ]
    assert len({job_hash(other) for other in (job, *others)}) == 1 + len(others)
    same = dataclasses.replace(a_job(base, tmp_path / "x", report_to=("tensorboard",), python="p"))
    assert job_hash(same) == job_hash(job)


TEXT = st.text(st.characters(categories=("L", "N", "Z", "C")), max_size=20)  # lone surrogates among them


@given(TEXT, TEXT, st.sampled_from(Method), st.booleans(), st.integers(0, 2**63))
def test_a_job_is_written_and_read_as_it_is(content: str, name: str, method: Method, good: bool, seed: int) -> None:
    messages = (Message(role="user", content=content), Message(role="assistant", content=content))
    example = Example(name, messages, (1,), good, name, "static")
    settings = TrainingSettings(method=method, report_to=("wandb",), learning_rate=1 / 3)
    job = TrainingJob("base", None, (example,), settings, seed, Path("out"))
    assert job_from(job_bytes(job)) == job
