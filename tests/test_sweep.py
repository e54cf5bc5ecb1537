"""Sweeps: kept through kills at any moment, on every executor, and never mixed with another sweep's store."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sweep_cells
from hypothesis import given
from hypothesis import strategies as st

from rmverify import Value
from rmverify.studies import sweep

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])}


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this never happened"
        time.sleep(0.005)


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def running(pid):
    """Whether a process still runs; one that is dead but not waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def processes(log):
    return {int(line.split()[1]) for line in log.read_text().splitlines()}


@contextmanager
def sweeping(store, log, workers, count, seconds, **options):
    """A sweep in a process of its own, which does not outlive the test."""
    arguments = map(str, (store, log, workers, count, seconds))
    command = [sys.executable, "-P", "-c", "import sweep_cells; sweep_cells.main()", *arguments]
    process = subprocess.Popen(command, env=ENVIRONMENT, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def same(one, other):
    """Whether two pieces of data agree to the last bit, their types included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, Value):
        fields = ["value", "error", "lower", "upper", "complement"]
        a, b = ({**v.as_dict(), "value": float(v)} for v in (one, other))
        return one.kind == other.kind and all(same(float(a[name]), float(b[name])) for name in fields)
    if isinstance(one, float) and not math.isnan(one):
        return struct.pack("d", one) == struct.pack("d", other)
    return one == other or (one != one and other != other)


# ------------------------------------------------------------------ plain data

NUMBERS = st.floats(allow_nan=False)
VALUES = st.builds(
    lambda value, kind, error, ends, complement: Value(
        value, kind, error, lower=min(ends), upper=max(ends), complement=complement
    ),
    NUMBERS,
    st.sampled_from(["exact", "enclosure", "upper", "lower", "surrogate", "monte-carlo"]),
    st.floats(0, allow_nan=False),
    st.tuples(NUMBERS, NUMBERS),
    NUMBERS,
)
NAMES = st.text() | st.sampled_from(["$float", "$value", "$tuple", "$dict", "key"])
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | VALUES,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(NAMES, inner),
)


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.slow
@given(DATA)
def test_data_survives_as_valid_json(data):
    text = json.dumps(sweep.encode(data), allow_nan=False)
    assert same(sweep.decode(json.loads(text, parse_constant=no_constant)), data)


def test_numpy_scalars_become_numbers():
    assert same(sweep.encode([np.float64(0.1), np.int64(3)]), [0.1, 3])


@pytest.mark.parametrize("data", [{1: 2}, {1, 2}, b"x", 1j, object(), np.ones(2), np.float32(0.1)])
def test_other_data_is_refused(data):
    with pytest.raises(ValueError, match=r"data: expected None, .* got "):
        sweep.encode([data])


# ------------------------------------------------------------------ the map


def test_results_follow_the_grid_whatever_finishes_first():
    cells = [{"x": x, "seconds": 0.1 if x == 0 else 0.0} for x in (0, 3, 2, 3, 9)]
    with ThreadPoolExecutor(2) as executor:
        results = sweep.run(sweep_cells.where, cells, executor=executor, workers=2)
    assert [root for root, _ in results] == [0, math.sqrt(3), math.sqrt(2), math.sqrt(3), 3]


def test_equal_cells_are_computed_once(tmp_path):
    log = tmp_path / "log"
    cells = sweep_cells.cells(3, log, 0.0)
    turned = [dict(reversed(cell.items())) for cell in cells]
    first, *rest = sweep.run(sweep_cells.logged, [*cells, *turned, *cells])
    assert same([first, *rest], [sweep_cells.plain(x) for x in (0, 1, 2)] * 3)
    assert lines(log) == 3
    first["root"] = None
    assert rest[2]["root"] is not None


def test_floats_that_differ_in_the_last_bit_are_different_cells(tmp_path):
    log = tmp_path / "log"
    numbers = [1.0, math.nextafter(1.0, 2.0), 1, 0.1 + 0.2, 0.3]
    sweep.run(sweep_cells.logged, [{"x": x, "log": str(log), "seconds": 0.0} for x in numbers])
    assert [line.split()[0] for line in log.read_text().splitlines()] == [str(x) for x in numbers]


def test_few_cells_are_in_flight():
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

    with Counting(3) as executor:
        sweep.run(sweep_cells.where, [{"x": x, "seconds": 0.002} for x in range(40)], executor=executor, workers=3)
    assert 3 <= most <= 6


def test_an_interrupt_takes_what_has_not_begun_back_from_the_callers_executor(tmp_path):
    log = tmp_path / "log"

    def stop(progress):
        if progress.done == 1:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(KeyboardInterrupt):
            sweep.run(sweep_cells.logged, sweep_cells.cells(20, log, 0.2), executor=executor, workers=4, progress=stop)
        assert executor.submit(math.sqrt, 4).result() == 2
    assert lines(log) == 2


@pytest.mark.slow
def test_one_pool_serves_several_sweeps():
    with sweep.pool(2) as pool:
        first = sweep.run(sweep_cells.where, [{"x": x, "seconds": 0.05} for x in range(8)], executor=pool)
        second = sweep.run(sweep_cells.where, [{"x": x, "seconds": 0.05} for x in range(8, 16)], executor=pool)
    assert [root for root, _ in first + second] == [math.sqrt(x) for x in range(16)]
    pids = {pid for _, pid in first + second}
    assert len(pids) == 2
    assert os.getpid() not in pids
    until(lambda: not any(map(running, pids)))


def test_progress(tmp_path):
    store, seen = tmp_path / "store", []
    cells = [{"a": float(x), "b": 1.0} for x in range(4)]
    sweep.run(math.isclose, cells, store=store)
    store.write_bytes(b"".join(store.read_bytes().splitlines(keepends=True)[:3]))
    sweep.run(math.isclose, cells, store=store, progress=seen.append)
    assert [(p.done, p.total, p.reused, p.failed) for p in seen] == [(n, 4, 2, 0) for n in (2, 3, 4)]
    assert seen[0].rate == 0
    assert seen[0].eta == math.inf
    assert [p.fraction for p in seen] == [0.5, 0.75, 1]
    assert seen[-1].eta == 0
    assert seen[1].rate == 1 / seen[1].seconds
    assert abs(seen[1].eta - seen[1].seconds) <= 2 * math.ulp(seen[1].seconds)  # 1 / (1 / seconds)
    seen.clear()
    sweep.run(math.isclose, cells, store=store, progress=seen.append)
    assert [(p.done, p.reused, p.eta) for p in seen] == [(4, 4, 0)]


def test_a_cell_that_raises_is_named_and_the_others_are_kept(tmp_path):
    store, seen = tmp_path / "store", []
    cells = [{"x": x, "folder": str(tmp_path)} for x in range(7)]
    with pytest.raises(
        sweep.SweepError, match=r"cell \{'x': 2, .*\}: ArithmeticError: no\nanswer \(and 1 more\)"
    ) as got:
        sweep.run(sweep_cells.needs, cells, store=store, progress=seen.append)
    assert isinstance(got.value.__cause__, ArithmeticError)
    assert (seen[-1].done, seen[-1].failed, seen[-1].eta, seen[-1].fraction) == (5, 2, 0, 1)
    assert lines(store) == 1 + 5
    (tmp_path / "repaired").touch()
    assert sweep.run(sweep_cells.needs, cells, store=store) == list(range(7))  # cell 1 would not answer twice


def test_a_result_that_is_no_plain_data_is_named(tmp_path):
    with pytest.raises(sweep.SweepError, match=r"cell \{'sigma': 1\}: ValueError: data: expected None, "):
        sweep.run(complex_numbers, [{"sigma": 1}], store=tmp_path / "store")


def complex_numbers(sigma):
    return 1j * sigma


def test_a_worker_process_that_dies_ends_the_sweep_and_keeps_the_rest(tmp_path):
    store, cells = tmp_path / "store", [{"x": x} for x in range(30)]
    with pytest.raises(sweep.SweepError, match="BrokenProcessPool"):
        sweep.run(sweep_cells.deadly, cells, store=store, workers=2)
    kept = [json.loads(line) for line in store.read_bytes().splitlines()[1:]]
    assert all(record["result"] == math.sqrt(record["cell"]["x"]) for record in kept)
    assert {record["cell"]["x"] for record in kept} <= set(range(30)) - {5}
    assert kept


# ------------------------------------------------------------------ kills


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_sweep_loses_at_most_the_cells_in_flight(tmp_path, workers):
    store, log = tmp_path / "store", tmp_path / "log"
    in_flight, kept = 1 if workers == 1 else 2 * workers, 0
    for moment in (0, 1, 4, 9, 15):  # lines in the store when the sweep is killed; 0: while it is created
        with sweeping(store, log, workers, 30, 0.05) as process:
            until(lambda moment=moment: store.exists() and lines(store) >= moment)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        if log.exists():
            until(lambda: not any(map(running, processes(log))))
        assert lines(store) >= max(moment, kept)
        kept = lines(store)
    assert kept < 31, "no kill came midway"
    calls = lines(log)
    assert calls - max(0, kept - 1) <= 5 * in_flight
    results = sweep.run(sweep_cells.logged, sweep_cells.cells(30, log, 0.05), store=store, workers=workers)
    assert same(results, [sweep_cells.plain(x) for x in range(30)])
    assert lines(log) == calls + 31 - kept
    keys = [json.loads(line)["key"] for line in store.read_bytes().splitlines()[1:]]
    assert len(set(keys)) == len(keys) == 30


def test_a_store_cut_anywhere_is_completed_to_the_same_bytes(tmp_path):
    store, whole = tmp_path / "store", tmp_path / "whole"
    cells = [{"a": a, "b": 2.0} for a in (math.inf, 2.0)]
    expected = sweep.run(math.isclose, cells, store=whole)
    content = whole.read_bytes()
    assert expected == [False, True]
    header = content.index(b"\n")
    for length in [*range(0, header, 13), *range(header, len(content))]:
        store.write_bytes(content[:length])
        assert sweep.run(math.isclose, cells, store=store) == expected
        assert store.read_bytes() == content


def test_a_last_line_that_did_not_reach_the_disk_is_computed_again(tmp_path):
    store, cells = tmp_path / "store", [{"a": a, "b": 2.0} for a in (1.0, 2.0)]
    sweep.run(math.isclose, cells, store=store)
    content = store.read_bytes()
    store.write_bytes(content[:-60] + bytes(59) + b"\n")
    assert sweep.run(math.isclose, cells, store=store) == [False, True]
    assert store.read_bytes() == content


@pytest.mark.parametrize("workers", [1, 2, 5])  # 5: more than there are cells
@pytest.mark.slow
def test_an_interrupt_ends_everything_and_leaves_a_sound_store(tmp_path, workers):
    store, log = tmp_path / "store", tmp_path / "log"
    with sweeping(store, log, workers, 3, 3600.0, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: lines(log) >= min(workers, 3))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        output, complaints = process.communicate(timeout=300)
    assert (process.returncode, output, complaints) == (130, "interrupted\n", "")
    assert not any(map(running, processes(log)))
    assert lines(store) == 1


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.06, 0.1, 0.15])
@pytest.mark.slow
def test_an_interrupt_while_the_workers_start(tmp_path, delay):
    store, log = tmp_path / "store", tmp_path / "log"
    with sweeping(store, log, 2, 3, 3600.0, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: lines(store) == 1)
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        output, complaints = process.communicate(timeout=300)
    assert (process.returncode, output, complaints) == (130, "interrupted\n", "")


# ------------------------------------------------------------------ refusals

CELLS = [{"a": a, "b": 2.0} for a in (1.0, 2.0)]


def refused(store, message, function=math.isclose, cells=CELLS, **options):
    before = store.read_bytes(), store.stat().st_mtime_ns
    with pytest.raises(ValueError, match=message):
        sweep.run(function, cells, store=store, **options)
    assert (store.read_bytes(), store.stat().st_mtime_ns) == before


def test_a_store_of_another_sweep_is_refused_and_not_touched(tmp_path):
    store = tmp_path / "store"
    sweep.run(math.isclose, CELLS, store=store)
    grid = json.loads(store.read_bytes().splitlines()[0])["grid"]
    for cells in (CELLS[:1], [*CELLS, {"a": 3.0, "b": 2.0}], [CELLS[0], {"a": math.nextafter(2, 3), "b": 2.0}]):
        refused(store, rf"store: expected grid '\w{{32}}', got '{grid}' .* in '.*store'", cells=cells)
    refused(store, "store: expected function 'sweep_cells.deadly', got 'math.isclose'", function=sweep_cells.deadly)
    refused(store, "store: expected precision 'float32', got 'float64'", precision="float32")
    refused(store, "store: expected backend 'cupy', got 'numpy'", backend="cupy")
    assert sweep.run(math.isclose, CELLS[::-1], store=store) == [True, False]


@pytest.mark.parametrize("line", [b"", b'{"key": "x"', b"half a line"])
def test_a_store_of_another_version_is_refused_and_not_touched(tmp_path, line):
    store = tmp_path / "store"
    sweep.run(math.isclose, CELLS, store=store)
    content = store.read_bytes() + line
    there = json.loads(content.splitlines()[0])["version"].encode()
    store.write_bytes(content.replace(b'"version": "' + there, b'"version": "0.0.0'))
    refused(store, f"store: expected version '{there.decode()}', got '0.0.0' in ")
    store.write_bytes(content.replace(b'"rmverify.sweep/1"', b'"rmverify.sweep/0"'))
    refused(store, "store: expected schema 'rmverify.sweep/1', got 'rmverify.sweep/0' in ")


@pytest.mark.parametrize("content", [b"d,steps\n1,2\n", b"notes", b"\n", b"[1, 2]\n", b"\x93NUMPY\x01\n", b"{}"])
def test_a_file_that_is_no_store_is_refused_and_not_touched(tmp_path, content):
    store = tmp_path / "store"
    store.write_bytes(content)
    refused(store, "store: expected a store of this package, got ")


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"null", b'{"key": "x", "cell": {}, "result": 1}', b'{"result": 1}', b"{"]
)
def test_a_damaged_line_is_refused_and_not_touched(tmp_path, damage):
    store = tmp_path / "store"
    sweep.run(math.isclose, CELLS, store=store)
    header, _, last = store.read_bytes().splitlines(keepends=True)
    for rest in (last, last[:-1]):
        store.write_bytes(header + damage + b"\n" + rest)
        refused(store, "store: expected a cell of the grid in line 2, got ")


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path):
    store, log = tmp_path / "store", tmp_path / "log"
    cells = sweep_cells.cells(3, log, 30.0)
    with sweeping(store, log, 1, 3, 30.0) as process:
        until(lambda: lines(log) == 1)
        who = f"process {process.pid}" if Path("/proc/locks").exists() else "another process"
        refused(store, f"store: {str(store)!r} is being written by {who}", function=sweep_cells.logged, cells=cells)
        assert process.poll() is None


def test_a_second_writer_in_the_same_process_is_refused(tmp_path):
    store, seen = tmp_path / "store", []

    def again(progress):
        refused(store, f"store: {str(store)!r} is being written by ")
        seen.append(progress)

    sweep.run(math.isclose, CELLS, store=store, progress=again)
    assert len(seen) == 3


@pytest.mark.parametrize("options, message", [
    ({"cells": []}, "cells: expected at least one cell, got none"),
    ({"cells": [1]}, "cells: expected mappings of names to plain data, got 1"),
    ({"cells": [{"a": 1j}]}, "cells: expected mappings of names to plain data, got {'a': 1j}"),
    ({"cells": [{1: 2}]}, "cells: expected mappings of names to plain data, got {1: 2}"),
    ({"function": lambda a, b: a}, "function: expected a function at the top level of a module, got "),
    ({"function": np.float64(3)}, "function: expected a function at the top level of a module, got "),
    ({"workers": 0}, "workers: expected an integer >= 1, got 0"),
    ({"workers": 1.5}, "workers: expected an integer >= 1, got 1.5"),
    ({"workers": 0, "executor": ThreadPoolExecutor(1)}, "workers: expected an integer >= 1, got 0"),
    ({"dask": "tcp://127.0.0.1:1", "executor": ThreadPoolExecutor(1)}, "dask: cannot be combined with an executor, "),
    ({"dask": "nowhere://127.0.0.1:1"}, "dask: expected the address of a running scheduler, "),
])  # fmt: skip
def test_bad_arguments_are_refused_before_there_is_a_store(tmp_path, options, message):
    store = tmp_path / "store"
    with pytest.raises(ValueError) as got:  # noqa: PT011
        sweep.run(**{"function": math.isclose, "cells": CELLS, "store": store, **options})
    assert str(got.value).startswith(message)
    assert not store.exists()


def test_a_store_that_cannot_be_written_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "store"):
        with pytest.raises(ValueError, match="store: expected a file that can be written, got "):
            sweep.run(math.isclose, CELLS, store=path)


# ------------------------------------------------------------------ a cluster


@contextmanager
def cluster(folder, workers):
    """A scheduler and workers, each a process, on loopback."""
    distributed = pytest.importorskip("distributed")
    contact, started = folder / "scheduler.json", []
    common = ["--host", "127.0.0.1", "--no-dashboard"]

    def start(program, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.{program}", *arguments, *common]
        started.append(subprocess.Popen(command, env=ENVIRONMENT, cwd=folder, stdout=log, stderr=log))

    with open(folder / "cluster.log", "wb") as log:
        try:
            start("dask_scheduler", "--port", "0", "--scheduler-file", str(contact))
            until(lambda: contact.exists() and contact.read_text().endswith("}"))
            address = json.loads(contact.read_text())["address"]
            for _ in range(workers):
                start("dask_worker", address, "--no-nanny", "--nthreads", "1", "--memory-limit", "0")
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=300)
            yield address, started
        finally:
            for process in started:
                process.kill()
            for process in started:
                process.wait()


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_midway_completes(tmp_path):
    store, seen = tmp_path / "store", set()
    cells = [{"x": x, "seconds": 0.05} for x in range(40)]

    def kill_one(progress):
        seen.update(json.loads(line)["result"][1] for line in store.read_bytes().splitlines()[1:])
        if victim.poll() is None and victim.pid in seen and len(seen) == 2 and progress.done >= 10:
            victim.kill()
            victim.wait()
            at.append(progress.done)

    at = []
    with cluster(tmp_path, 2) as (address, (_, victim, survivor)):
        results = sweep.run(sweep_cells.where, cells, store=store, dask=address, progress=kill_one)
        assert sweep.run(sweep_cells.where, cells, store=store) == results
    assert [root for root, _ in results] == [math.sqrt(x) for x in range(40)]
    assert 10 <= at[0] <= 30, "the worker was not killed midway"
    records = [json.loads(line)["result"][1] for line in store.read_bytes().splitlines()[1:]]
    assert set(records[: at[0]]) == {victim.pid, survivor.pid}
    assert set(records[at[0] + 4 :]) == {survivor.pid}
    assert len(records) == 40


@pytest.mark.slow
def test_a_sweep_whose_scheduler_dies_says_so_and_continues_elsewhere(tmp_path):
    store, cells = tmp_path / "store", [{"x": x, "seconds": 0.02} for x in range(20)]
    with cluster(tmp_path, 1) as (address, (scheduler, _)):

        def kill(progress):
            if progress.done == 5:
                scheduler.kill()

        with pytest.raises(sweep.SweepError, match="the Dask scheduler is gone"):
            sweep.run(sweep_cells.where, cells, store=store, dask=address, progress=kill)
    kept = lines(store) - 1
    assert 5 <= kept < 20
    seen = []
    results = sweep.run(sweep_cells.where, cells, store=store, progress=seen.append)
    assert [root for root, _ in results] == [math.sqrt(x) for x in range(20)]
    assert seen[0].reused == kept
