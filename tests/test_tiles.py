"""Tiles of particles on executors, and in stores: the numbers of the serial run, whoever computes them, and when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
import tile_scores
from mutants import tiles as mutants
from test_sweep import ENVIRONMENT, cluster, processes, running, until
from tile_scores import DIM, PLAN, TILE, Logged, N

from rmverify import Correct, Gaussian, Plan, Predict, Sampler, sample, schemes
from rmverify.cli.main import main
from rmverify.readings import particles
from rmverify.tasks import Gone, pool

COVARIANCE = [[2.0, 0.5, 0.1], [0.5, 1.0, -0.3], [0.1, -0.3, 0.25]]
TARGET = Gaussian([0.5, -1.0, 0.25], COVARIANCE)
HEUN = Plan([Predict(schemes.heun, [1.5, 1.0, 0.7])])
KINETIC = Plan([
    Predict(schemes.parallel_midpoint(strata=4, rounds=2), [1.5, 1.0, 0.7]),
    Correct(schemes.underdamped(friction=2, mass=3), 0.7, 0.2, 2),
])  # fmt: skip
LINES = 1 + -(-N // TILE)
"""Of the log of a store that is complete."""


@pytest.fixture(autouse=True)
def tiles_of_twenty(monkeypatch):
    monkeypatch.setattr(particles, "_TASK", DIM * TILE)
    monkeypatch.setattr(particles, "_TILE", DIM * TILE)


def start():
    return np.random.default_rng(1).standard_normal((N, DIM))


def lines(store):
    log = Path(store) / "tiles.jsonl"
    return log.read_bytes().splitlines(keepends=True) if log.exists() else []


def content(store):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(Path(store).iterdir())}


def refused(store, message, plan=PLAN, score=TARGET, n=N, **options):
    """A store of another run is not touched."""
    before = content(store)
    with pytest.raises(ValueError, match=message):
        sample(plan, score, n, **{"rng": 3, "store": store, **options})
    assert content(store) == before


class Stop(Exception):
    pass


class Counted:
    """A score that remembers how many particles it was asked for in the first step, and stops after so many tiles."""

    def __init__(self, most=1000):
        self.seen, self.most = [], most

    def __repr__(self):
        return "Counted"

    def __call__(self, t, x):
        if t == 1.5:
            if len(self.seen) == self.most:
                raise Stop
            self.seen.append(x.shape[0])
        return -x


# --- facts, each with its mutants -------------------------------------------------------------------------------------


def the_serial_result(tmp_path):
    """In tiles, by threads, and through a store, from normal values and from a start of one's own."""
    for plan in (PLAN, KINETIC):
        for x0 in (None, start()):
            due = sample(plan, TARGET, N, rng=3, x0=x0)
            with ThreadPoolExecutor(2) as executor:
                np.testing.assert_array_equal(sample(plan, TARGET, N, rng=3, x0=x0, executor=executor), due)
            store = tmp_path / f"{len(plan.stages)} {x0 is None}"
            there = sample(plan, TARGET, N, rng=3, x0=x0, store=store)
            np.testing.assert_array_equal(there, due)
            assert len(lines(store)) == LINES


def few_tiles_are_held(tmp_path):
    lock, inside, most = threading.Lock(), 0, 0

    class Counting(ThreadPoolExecutor):
        def submit(self, *arguments):
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            future = super().submit(*arguments)
            future.add_done_callback(leave)
            return future

    def leave(future):
        nonlocal inside
        with lock:
            inside -= 1

    with Counting(2) as executor:
        sample(PLAN, TARGET, N, rng=3, executor=executor, workers=2)
    assert 2 <= most <= 4


def what_has_not_begun_is_taken_back(tmp_path):
    def score(t, x):
        seen.append(x.shape[0])
        time.sleep(0.005)
        if len(seen) == 3:
            raise Stop
        return -x

    seen = []
    with ThreadPoolExecutor(1) as executor, pytest.raises(Stop):
        sample(Plan([Predict(schemes.euler, [1.0, 0.5])]), score, N, DIM, rng=3, executor=executor, workers=50)
    assert len(seen) <= 5


def a_run_that_is_continued(tmp_path):
    """What is there is not computed again, and nothing is left out."""
    score = Counted()
    with pool() as executor:
        sample(HEUN, score, N, DIM, rng=3, executor=executor)
    assert score.seen == [*[TILE] * (N // TILE), N % TILE]
    due, store = sample(HEUN, lambda t, x: -x, N, DIM, rng=3), tmp_path / "store"
    for most in (0, 1, 4):
        score = Counted(most)
        with pytest.raises(Stop):
            sample(HEUN, score, N, DIM, rng=3, store=store)
        assert not (store / "samples.npy").exists()
        assert (store / "samples.part").exists()
    # 0 + 1 + (4 - the first particle of the first tile, which is looked at once more) tiles
    assert len(lines(store)) == 1 + 0 + 1 + 3
    score = Counted()
    x = sample(HEUN, score, N, DIM, rng=3, store=store)
    assert sum(score.seen) == 1 + N - 4 * TILE
    assert isinstance(x, np.memmap)
    assert not x.flags.writeable
    np.testing.assert_array_equal(x, due)
    assert sorted(path.name for path in store.iterdir()) == ["samples.npy", "tiles.jsonl"]
    np.testing.assert_array_equal(np.load(store / "samples.npy", allow_pickle=False), due)
    score = Counted()
    np.testing.assert_array_equal(sample(HEUN, score, N, DIM, rng=3, store=store), due)
    assert score.seen == [1]


def tiles_that_were_lost_or_changed(tmp_path):
    """A byte that is another one, a line that is torn, a file that is gone: computed again, and nothing else is."""
    due, store = sample(HEUN, lambda t, x: -x, N, DIM, rng=3), tmp_path / "store"
    sample(HEUN, Counted(), N, DIM, rng=3, store=store)
    whole = (store / "samples.npy").read_bytes()

    def again(count):
        score = Counted()
        np.testing.assert_array_equal(sample(HEUN, score, N, DIM, rng=3, store=store), due)
        assert sum(score.seen) == count
        assert (store / "samples.npy").read_bytes() == whole

    log = (store / "tiles.jsonl").read_bytes()
    (store / "tiles.jsonl").write_bytes(log[:-9])
    again(1 + N % TILE)
    head = len(whole) - N * DIM * 8
    for number in (0, 7):  # as if it had not reached the disk
        at = head + number * TILE * DIM * 8 + 5
        (store / "samples.npy").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        again(1 + TILE)
    (store / "samples.npy").unlink()
    again(N)


def stores_of_other_runs(tmp_path):
    store = tmp_path / "store"
    sample(PLAN, TARGET, N, rng=3, store=store)
    refused(store, r"store: expected seed \[\d+, \d+\], got \[\d+, \d+\] in '.*tiles.jsonl'", rng=4)
    refused(store, "store: expected n 204, got 203", n=N + 1)
    refused(store, "store: expected dtype 'float32', got 'float64'", like=np.zeros(1, dtype=np.float32))
    refused(store, "store: expected x0 '[0-9a-f]{32}', got None", x0=start())
    refused(
        store,
        "store: expected plan '.*heun.*', got '.*randomized_midpoint",
        plan=Plan([Predict(schemes.heun, [1, 0.5])]),
    )
    refused(store, r"store: expected score 'Counted', got 'Gaussian\(dim=3", score=Counted(), dim=DIM)
    levels = Plan([Predict(schemes.randomized_midpoint, [1.5, 1.01, 0.7])])  # reads the same
    refused(store, "store: expected plan '.*3 steps|2 steps.*', got", plan=levels)
    other = Gaussian([0.5, -1.0, 0.26], COVARIANCE)  # reads the same
    assert repr(other) == repr(TARGET)
    refused(
        store,
        "store: expected .* in coordinate [012] of particle 0, which this plan, score and start make",
        score=other,
    )
    begun = tmp_path / "begun"
    sample(PLAN, TARGET, N, rng=3, store=begun, x0=start())
    changed = start()
    changed[-1, -1] += 1  # particle 0 is what it was
    refused(begun, "store: expected x0 '[0-9a-f]{32}', got '[0-9a-f]{32}'", x0=changed)


def steps_are_told(tmp_path):
    """1, 2, ..: as many as all particles together have done, those that were there included."""
    store = tmp_path / "store"
    with pytest.raises(Stop):
        sample(HEUN, Counted(6), N, DIM, rng=3, store=store)
    seen = []
    sample(HEUN, Counted(), N, DIM, rng=3, store=store, progress=seen.append)
    assert seen == [1, 2]
    with ThreadPoolExecutor(2) as executor:
        sample(PLAN, TARGET, N, rng=3, executor=executor, progress=seen.append)
    assert seen == [1, 2, 1, 2]


def the_place_of_a_bad_particle(tmp_path):
    """Its number among all, not in its tile."""
    plan, x0 = Plan([Predict(schemes.euler, [1.0, 0.5])]), np.zeros((N, DIM))
    x0[57, 0] = 3.0
    with pool() as executor, pytest.raises(ValueError, match="score: particle 57 became NaN"):
        sample(plan, tile_scores.bent, N, DIM, rng=3, x0=x0, executor=executor)


FACTS = {
    fact.__name__: fact
    for fact in (
        the_serial_result, few_tiles_are_held, what_has_not_begun_is_taken_back, a_run_that_is_continued,
        tiles_that_were_lost_or_changed, stores_of_other_runs, steps_are_told, the_place_of_a_bad_particle,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_fact(name, tmp_path):
    FACTS[name](tmp_path)


@pytest.mark.parametrize("mutant", mutants.LINES, ids=lambda mutant: mutant.name)
def test_a_line_written_wrongly_is_noticed(mutant, monkeypatch, tmp_path):
    mutant.write(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, TypeError, OSError)):
        FACTS[mutant.killed_by](tmp_path)


def test_every_fact_has_its_mutants():
    assert {mutant.killed_by for mutant in mutants.LINES} == set(FACTS)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_what_makes_no_sense_is_refused_before_there_is_a_store(tmp_path):
    store = tmp_path / "store"
    ours = Sampler(lambda model, x, noise: model(x, 1.0))
    for message, plan, options in [
        ("executor: expected a concurrent.futures.Executor, got int", PLAN, {"executor": 2}),
        ("rng: expected a seed where there is a store", PLAN, {"rng": None}),
        ("workers: expected an integer >= 1, got 0", PLAN, {"workers": 0}),
        ("plan: expected a Plan where there is a store or an executor", ours, {}),
        ("like: expected an array of numpy, cupy, torch, jax, .*, got one of array_api_strict", PLAN,
         {"like": array_api_strict.zeros(1)}),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            sample(plan, TARGET, N, **{"rng": 3, "store": store, **options})
        assert not store.exists()
    with ThreadPoolExecutor(1) as executor, pytest.raises(ValueError, match="plan: expected a Plan where"):
        sample(ours, TARGET, N, executor=executor)
    with pytest.raises(ValueError, match=r"store: expected a folder that can be made, got '.*' \(No such file"):
        sample(PLAN, TARGET, N, rng=3, store=tmp_path / "no" / "store")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"store: expected a folder that can be made, got '.*' \(File exists"):
        sample(PLAN, TARGET, N, rng=3, store=tmp_path / "file")


def test_samples_of_others_are_not_written_over(tmp_path):
    np.save(tmp_path / "samples.npy", np.ones((N, DIM)))
    refused(tmp_path, r"store: expected tiles.jsonl beside samples.npy in '.*', got none; choose another folder")
    store = tmp_path / "store"
    sample(PLAN, TARGET, N, rng=3, store=store)
    np.save(store / "samples.npy", np.ones((N, DIM + 1)))
    refused(store, rf"store: expected samples.npy to be a matrix of shape \({N}, {DIM}\) and float64")


def test_single_precision_stays_single(tmp_path):
    like = np.zeros(1, dtype=np.float32)
    due = sample(PLAN, TARGET, N, rng=3, like=like)
    with ThreadPoolExecutor(2) as executor:
        x = sample(PLAN, TARGET, N, rng=3, like=like, executor=executor)
        there = sample(PLAN, TARGET, N, rng=3, like=like, executor=executor, store=tmp_path / "store")
    assert x.dtype == there.dtype == np.float32
    np.testing.assert_array_equal(x, due)
    np.testing.assert_array_equal(there, due)


def test_warnings_are_those_of_the_caller(tmp_path):
    """`numpy.errstate` reaches the threads that fill a store."""

    def score(t, x):
        np.float64(1) / np.zeros(1)
        return -x

    with np.errstate(divide="ignore"):
        sample(HEUN, score, N, DIM, rng=3, store=tmp_path / "store", workers=2)


def test_a_second_writer_is_refused(tmp_path):
    store = tmp_path / "store"

    def score(t, x):
        if t == 1.5 and not seen:
            seen.append(t)
            with pytest.raises(ValueError, match="store: .* is being written by "):
                sample(HEUN, score, N, DIM, rng=3, store=store)
        return -x

    seen = []
    sample(HEUN, score, N, DIM, rng=3, store=store)
    assert seen == [1.5]


# --- processes and clusters -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_processes_compute_the_same(tmp_path):
    log = tmp_path / "log"
    with pool(2) as executor:
        x = sample(PLAN, Logged(log, 0.01), N, DIM, rng=3, executor=executor)
        y = sample(KINETIC, TARGET, N, rng=3, executor=executor, x0=start())
        with pytest.raises(ValueError, match=r"executor: expected a plan, .* that can be sent to a worker, got "):
            sample(PLAN, lambda t, x: -x, N, DIM, rng=3, executor=executor)
        with pytest.raises(ValueError, match="^score: particle "):
            sample(HEUN, tile_scores.bent, N, DIM, rng=3, executor=executor)
    np.testing.assert_array_equal(x, tile_scores.plain())
    np.testing.assert_array_equal(y, sample(KINETIC, TARGET, N, rng=3, x0=start()))
    assert len(processes(log)) == 2
    assert os.getpid() not in processes(log)


@pytest.mark.slow
def test_a_worker_process_that_dies_is_said(tmp_path):
    store = tmp_path / "store"
    with pool(2) as executor, pytest.raises(Gone, match="the workers are gone"):
        sample(HEUN, tile_scores.deadly, N, DIM, rng=3, executor=executor, store=store)
    x = sample(HEUN, lambda t, x: -x, N, DIM, rng=3)
    done = [json.loads(line)["cell"]["first"] for line in lines(store)[1:]]
    part = np.fromfile(store / "samples.part")[-N * DIM :].reshape(N, DIM)
    for first in done:
        np.testing.assert_array_equal(part[first : first + TILE], x[first : first + TILE])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_is_continued(tmp_path, workers):
    store, log, kept = tmp_path / "store", tmp_path / "log", 0
    command = [sys.executable, "-P", "-c", "import tile_scores; tile_scores.main()"]
    for moment in (1, 3, 6):  # lines of the log when it is killed; 1: while the first tiles are computed
        process = subprocess.Popen(
            [*command, store, log, "0.05", str(workers)], env=ENVIRONMENT, start_new_session=True
        )
        try:
            until(lambda moment=moment, process=process: len(lines(store)) >= moment or process.poll() is not None)
        finally:
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        if log.exists():
            until(lambda: not any(map(running, processes(log))))
        assert len(lines(store)) >= max(moment, kept)
        assert not (store / "samples.npy").exists()
        kept = len(lines(store))
    assert kept < LINES, "no kill came midway"
    log.unlink()
    x = tile_scores.run(store, log, 0.0)
    np.testing.assert_array_equal(x, tile_scores.plain())
    assert len(lines(store)) == LINES
    # two evaluations a step, two steps; one particle more, which is looked at again
    assert len(log.read_text().splitlines()) == 4 * (LINES - kept + 1)
    assert len({json.loads(line)["key"] for line in lines(store)[1:]}) == LINES - 1


@pytest.mark.slow
def test_a_cluster_fills_stores(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    store, log = tmp_path / "store", tmp_path / "log"
    with cluster(tmp_path, 2) as (address, _):
        with distributed.Client(address, set_as_default=False) as client:
            executor = client.get_executor(pure=False)
            np.testing.assert_array_equal(
                sample(PLAN, Logged(log, 0.02), N, DIM, rng=3, executor=executor), tile_scores.plain()
            )
        assert len(processes(log)) == 2
        with pool(dask=address) as executor:
            x = sample(PLAN, Logged(log, 0.0), N, DIM, rng=3, executor=executor, store=store)
        monkeypatch.chdir(tmp_path)
        np.savetxt("covariance.csv", COVARIANCE, delimiter=",")
        options = ["sample", "covariance.csv", "--covariance", "--steps", "3", "-n", str(N), "--seed", "5", "--quiet"]
        assert main([*options, "--dask", address, "--store", "told"]) == 0
    np.testing.assert_array_equal(x, tile_scores.plain())
    assert main([*options, "--out", "out.npy"]) == 0
    np.testing.assert_array_equal(np.load("told/samples.npy"), np.load("out.npy"))


@pytest.mark.slow
def test_a_cluster_that_dies_leaves_a_store_that_is_completed_elsewhere(tmp_path):
    store, log = tmp_path / "store", tmp_path / "log"
    with cluster(tmp_path, 1) as (address, (scheduler, worker)), pool(dask=address) as executor:

        def kill():
            until(lambda: len(lines(store)) >= 3)
            for process in (worker, scheduler):
                process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(Gone, match="the workers are gone|the Dask scheduler is gone"):
            sample(PLAN, Logged(log, 0.1), N, DIM, rng=3, executor=executor, store=store)
        killer.join()
    kept = len(lines(store))
    assert 3 <= kept < LINES
    np.testing.assert_array_equal(tile_scores.run(store, log, 0.0), tile_scores.plain())
