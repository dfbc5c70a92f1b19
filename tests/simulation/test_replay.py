"""A seed is a run: the same in every process, whatever the order of its hashes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import main
from tests.simulation.mutations import BY_NAME

ROOT = Path(__file__).parents[2]
SEED = 11


def in_a_process_of_its_own(hash_seed: str) -> str:
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(SEED)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_the_same_seed_is_the_same_run_in_two_processes() -> None:
    first, second = in_a_process_of_its_own("1"), in_a_process_of_its_own("2")
    assert f"seed {SEED} kept every promise" in first
    assert "digest" in first
    assert first == second


def test_a_trace_tells_what_happened_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", str(SEED), "--trace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("customer writes" in line for line in lines)
    assert any("acknowledged" in line for line in lines)


def test_many_runs_say_how_many_hours_and_faults_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3", "--from", "7"]) == 0
    told = capsys.readouterr().out
    assert "3 runs" in told
    assert "simulated hours" in told
    assert "faults" in told


def test_several_processes_share_the_seeds() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "12", "--jobs", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert "12 runs" in done.stdout


def test_a_failing_seed_prints_the_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    mutation = BY_NAME["state without effects"]
    with mutation.applied():
        assert main(["--seeds", "1", "--from", str(mutation.seed)]) == 1
    assert f"python -m tests.simulation --seed {mutation.seed} --trace" in capsys.readouterr().out
