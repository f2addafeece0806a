"""Tasks in parallel processes, one of which may die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing import forkserver
from pathlib import Path

import pytest

from earmark.baselines import programs
from earmark.codec.cores import usable_cores
from earmark.codec.errors import WriteError
from earmark.codec.parallel import ONE_THREAD
from earmark.eval.comparison import worker_process
from earmark.eval.comparison.pool import WINDOW, Workers, _hand_out, _Kind, run_tasks


def square(number: int) -> int:
    return number * number


def square_or_die(number: int) -> int:
    if number in (3, 4):
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def fail_to_write(number: int) -> int:
    raise WriteError("disk is full")


def leave_a_mark(path: Path) -> bool:
    path.touch()
    return True


def tell_and_wait(path: Path) -> bool:
    path.write_text(str(os.getpid()))
    time.sleep(300)
    return True


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_every_task_has_its_result():
    assert sorted(run_tasks(square, range(20), 2, square)) == [(n, n * n) for n in range(20)]
    assert list(run_tasks(square, [], 2, square)) == []


def test_a_process_that_dies_costs_only_its_own_task():
    """As in crashes of native code and by the kernel's out-of-memory killer."""
    results = dict(run_tasks(square_or_die, range(10), 2, lambda number: -number))
    assert results == {n: -n if n in (3, 4) else n * n for n in range(10)}


def test_tasks_of_a_run_that_was_left_early_do_not_come_back():
    with Workers(2) as workers:
        assert next(workers.run(square, [2] * 12, square)) == (2, 4)
        assert sorted(workers.run(square, [3, 4], square)) == [(3, 9), (4, 16)]
        next(workers.run(square, [2] * 12, square))
        assert workers.begin(square, [3, 4], square)() == [9, 16]
        assert not any(worker.tasks for worker in workers._workers)


def process_of(number: int) -> int:
    return os.getpid()


def test_processes_go_on_for_tasks_of_another_kind_and_end_with_the_block():
    numbers = list(range(8))
    with Workers(2) as workers:
        assert workers.begin(process_of, numbers, process_of)() == [os.getpid()] * 8  # as there are no processes yet
        scorers = {process for _, process in workers.run(process_of, numbers, process_of)}
        begun = workers.begin(process_of, numbers, process_of)
        cutters = set(begun())
        assert len(cutters) == 2
        assert scorers <= cutters
        assert os.getpid() not in cutters
        results = workers.begin(square_or_die, numbers, lambda number: -number)
        assert results() == [-n if n in (3, 4) else n * n for n in numbers]
        left = [process.pid for worker in workers._workers for process in worker.processes]
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in left))


def test_tasks_are_made_as_they_are_needed():
    """Never more than the window ahead of the finished tasks."""
    made = done = furthest = 0

    def tasks():
        nonlocal made, furthest
        for number in range(200):
            made += 1
            furthest = max(furthest, made - done)
            yield number

    for _ in run_tasks(square, tasks(), 2, square):
        done += 1
    assert made == done == 200
    assert furthest <= 2 * WINDOW + 1


def test_a_process_that_dies_late_costs_only_its_own_task():
    """Beyond the first window."""
    numbers = [*range(50, 90), 3, *range(90, 100), 4, 5]
    results = dict(run_tasks(square_or_die, iter(numbers), 1, lambda number: -number))
    assert results == {n: -n if n in (3, 4) else n * n for n in numbers}


def wait_and_name_process(task: tuple[str, int]) -> int:
    time.sleep(0.05)  # longer than handing out a task
    return os.getpid()


def test_tasks_of_a_group_go_to_one_process():
    """For example one recording in all systems; only the last group may be shared, so that no process is idle."""
    tasks = [(name, number) for name in "abcdefgh" for number in range(5)]
    by = {name: set() for name in "abcdefgh"}
    for task, process in run_tasks(wait_and_name_process, tasks, 2, lambda task: 0, group=lambda task: task[0]):
        by[task[0]].add(process)
    assert sum(len(processes) > 1 for processes in by.values()) <= 1
    assert len(set.union(*by.values())) == 2


def test_one_group_is_shared_by_all_when_there_is_no_other():
    results = run_tasks(wait_and_name_process, [("a", n) for n in range(20)], 2, lambda task: 0, group=lambda task: "a")
    assert len({process for _, process in results}) == 2


class Busy:
    """A worker that keeps its tasks."""

    def __init__(self) -> None:
        self.tasks, self.group = [], None

    def has_room(self, most: int) -> bool:
        return len(self.tasks) < most

    def take(self, work: object, task: str) -> bool:
        self.tasks.append(task)
        return True


@pytest.mark.parametrize(("waiting", "taken", "left"), [
    ("abcdef", ["ac", "bd"], "ef"),
    ("abcd", ["ac", "b"], "d"),  # whoever ends first takes the last one
    ("abc", ["a", "b"], "c"),
    ("a", ["a", ""], ""),
])  # fmt: skip
def test_the_last_task_waits_for_no_other(waiting, taken, left):
    """Behind a task that takes long, a second one would wait, while the other process has nothing to do."""
    workers, tasks = [Busy(), Busy()], list(waiting)
    _hand_out(_Kind(square, square, lambda task: task), tasks, workers)
    assert ["".join(worker.tasks) for worker in workers] == taken
    assert "".join(tasks) == left


def test_long_groups_are_begun_first():
    """Recordings of 1 to 9 s; tasks of one recording stay together."""
    workers, tasks = [Busy(), Busy()], [(name, number) for name in "19283" for number in range(2)]
    kind = _Kind(square, square, group=lambda task: task[0], size=lambda task: float(task[0]))
    _hand_out(kind, tasks, workers)
    assert [worker.tasks for worker in workers] == [[("9", 0), ("9", 1)], [("8", 0), ("8", 1)]]


@pytest.mark.parametrize("imports", [(), ("json",)])
def test_the_parent_uses_the_time_in_which_workers_start_and_work(imports):
    done = []
    tasks = [("a", n) for n in range(4)]
    results = run_tasks(
        wait_and_name_process, tasks, 2, lambda task: 0, imports=imports,
        meanwhile=(lambda number=number: done.append(number) for number in range(3)),
    )  # fmt: skip
    next(results)
    assert done == [0, 1, 2]
    results.close()
    assert list(run_tasks(square, [], 2, square, meanwhile=[lambda: done.append(3)])) == []
    assert done == [0, 1, 2]  # nothing to do takes no time


def test_a_disk_that_is_full_ends_the_run():
    with pytest.raises(WriteError, match="disk is full"):
        list(run_tasks(fail_to_write, range(5), 2, square))


def test_leaving_early_stops_handing_out_tasks(tmp_path):
    results = run_tasks(leave_a_mark, [tmp_path / str(n) for n in range(200)], 1, bool)
    next(results)
    results.close()
    assert len(list(tmp_path.iterdir())) < 200


def run_a_program(path: Path) -> bool:
    programs.run(["sh", "-c", f"echo $$ > {path}; exec sleep 300"], path.parent, 300, "mine")
    return True


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("task", ["tell_and_wait", "run_a_program"])
def test_workers_and_their_programs_end_with_their_parent(tmp_path, task, how):
    """SIGKILL leaves the parent no time to end them; an interrupt must not report leaked semaphores."""
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from test_pool import run_a_program, tell_and_wait\n"
        "from earmark.eval.comparison.pool import run_tasks\n"
        "if __name__ == '__main__':\n"
        f"    list(run_tasks({task}, [Path(sys.argv[1]) / str(n) for n in range(2)], 2, bool))\n"
    )
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "marks").mkdir()
    paths = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[3])))
    command = [sys.executable, tmp_path / "program.py", tmp_path / "marks"]
    parent = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: sum(mark.read_text() != "" for mark in (tmp_path / "marks").iterdir()) == 2)
    workers = [int(mark.read_text()) for mark in (tmp_path / "marks").iterdir()]
    os.killpg(parent.pid, how) if how == signal.SIGINT else parent.kill()
    _, said = parent.communicate(timeout=60)
    assert how == signal.SIGKILL or "leaked" not in said
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_modules_are_loaded_once_for_all_workers_and_one_that_fails_ends_nothing(tmp_path):
    (tmp_path / "slow_module.py").write_text(
        "import os\nwith open('loaded', 'a') as file:\n    print(os.getpid(), file=file)\n"
    )
    (tmp_path / "broken_module.py").write_text("raise OSError('a native library is missing')\n")
    (tmp_path / "program.py").write_text(
        "import os, sys\n"
        "from earmark.eval.comparison.pool import run_tasks\n"
        "def work(number):\n"
        "    import gc, slow_module, time\n"
        "    time.sleep(0.2)\n"
        "    assert gc.isenabled() and gc.get_freeze_count() > 10_000  # objects of modules, which it does not search\n"
        "    return os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    modules = ['broken_module', 'slow_module']\n"
        "    print(*{worker for _, worker in run_tasks(work, range(4), 2, int, imports=modules)})\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    workers, loaders = result.stdout.split(), (tmp_path / "loaded").read_text().split()
    assert len(workers) == 2
    assert len(loaders) == 1
    assert loaders[0] not in workers
    assert result.stderr == ""


def test_a_program_that_imports_the_module_of_the_server_fails_as_before():
    """The exit status is that of Python for an uncaught exception, 1."""
    code = "import earmark.eval.comparison.worker_server, gc; print(gc.get_freeze_count()); raise OSError('mine')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == "0\n"
    assert "OSError: mine" in result.stderr


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_the_modules_that_workers_share_start_no_thread_and_load_no_dask():
    """A fork copies no threads, so that a lock that one holds at that time would stay locked for ever.

    pyFFTW loads Dask's arrays for an interface that nobody uses here.
    """
    from earmark.baselines.encodec import Encodec
    from earmark.eval.metrics.registry import registered

    modules = [module for metric in registered().values() for module in metric.imports]
    modules = [name for name in dict.fromkeys([*modules, *Encodec.imports]) if find_spec(name.partition(".")[0])]
    code = (
        "import importlib, os, sys; [*map(importlib.import_module, sys.argv[1:])]; "
        "print(len(os.listdir('/proc/self/task')), 'dask' in sys.modules)"
    )
    environment = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
    command = [sys.executable, "-c", code, *modules]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "1 False\n"


def tell_what_is_set(path: Path) -> None:
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    path.write_text(f"{blocked} {sys.excepthook is sys.__excepthook__} {signal.getsignal(signal.SIGINT).__name__}")


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="no forks here")
def test_processes_of_the_program_itself_can_be_interrupted_and_report_errors_as_ever(tmp_path):
    """They come from the server of the workers, as `multiprocessing` has one per program."""
    worker_process.start()
    process = multiprocessing.get_context("forkserver").Process(target=tell_what_is_set, args=(tmp_path / "told",))
    process.start()
    process.join(60)
    assert (tmp_path / "told").read_text() == "False True default_int_handler"


def test_there_is_a_core():
    assert usable_cores() >= 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_an_interrupt_does_not_reach_the_server_that_is_still_importing():
    """Bit 1 of the mask is SIGINT, which has the number 2."""
    worker_process.start()
    server = forkserver._forkserver._forkserver_pid
    blocked = {name: _blocked(name) for name in (str(server), "self")}
    assert blocked == {str(server): True, "self": False}


def _blocked(process: str) -> bool:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (mask,) = [line.split()[1] for line in lines if line.startswith("SigBlk:")]
    return bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)
