"""Trainings by torchrun: devices, shards, equal weights, and stopping together."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import torch

from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.errors import UserError
from earmark.codec.training import distributed, language_model_run, recipe_files
from earmark.codec.training.distributed import ProcessGroup, join, single_process
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE
from earmark.codec.training.language_model_trainer import LanguageModelRecipe, LanguageModelTrainer

SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "discriminators.filters=2", "discriminators.start=0", "data.batch=4", "data.seconds=0.25",
    "training.updates=4", "validation.every=100", "validation.kbps=[1.2]", "validation.seconds=0.5",
    "validation.recordings=3",
)  # fmt: skip


@pytest.fixture
def gpus(monkeypatch):
    """Pretend that there are two GPUs, and record the calls to them."""
    calls = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.update(device=device))
    return calls


@pytest.fixture
def launched(monkeypatch):
    """Environment of the second of two processes started by torchrun."""
    joined = {}
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)

    def init(backend, timeout):
        joined.update(backend=backend, timeout=timeout)

    monkeypatch.setattr(distributed.dist, "init_process_group", init)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 2)
    return joined


@pytest.mark.parametrize("device", ["cuda", None])
def test_each_process_of_torchrun_has_a_gpu_of_its_own(gpus, launched, device):
    assert join(device) == ProcessGroup(1, 2, torch.device("cuda:1"))
    assert gpus["device"] == torch.device("cuda:1")
    assert launched["backend"] == "cpu:gloo,cuda:nccl"  # flags on the CPU do not wait for a GPU


def test_processes_may_wait_longer_than_ten_minutes(gpus, launched):
    """Rank 0 validates alone, and ViSQOL is slow."""
    join("cuda")
    assert launched["timeout"] >= timedelta(hours=12)


def test_torchrun_refuses_a_numbered_gpu(gpus, launched):
    with pytest.raises(UserError, match="--device cuda:1: torchrun gives each process a GPU of its own; write cuda"):
        join("cuda:1")


def test_more_processes_than_gpus(gpus, launched, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match=r"2 processes here, but 1 GPU\(s\); lower --nproc-per-node"):
        join("cuda")


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:1", 1), (None, 0)])
def test_one_process_uses_the_given_gpu(gpus, device, index):
    """This includes tensors made for plain "cuda", which would go to the first GPU."""
    assert join(device) == ProcessGroup(0, 1, torch.device("cuda", index))
    assert gpus["device"] == torch.device("cuda", index)


def test_a_missing_gpu(gpus, monkeypatch):
    with pytest.raises(UserError, match=r"--device cuda:2: PyTorch finds 2 GPU\(s\) here"):
        join("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"--device cuda: PyTorch finds 0 GPU\(s\) here; write cpu"):
        join("cuda")


def test_a_command_for_one_process_refuses_torchrun(launched):
    with pytest.raises(UserError, match="reproduce: trains in one process, but torchrun started several"):
        single_process("reproduce", "cpu")


KINDS = {
    "rvq": ["quantizer.kind=rvq", "training.accumulate=2"],
    "factorized": ["model.codebook_dim=4"],
    "diffq": ["quantizer.kind=diffq"],
    "gumbel": ["quantizer.kind=gumbel"],
    "muon": ["optimizer.kind=muon", "losses.levels=1.0"],
}
WORK = """
import signal
from earmark.codec.training import opening, run
trainers, before_update = [], lambda trainer: None

class Watched(opening.Trainer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        trainers.append(self)

    def update(self, batch):
        before_update(self)
        return super().update(batch)

opening.Trainer = Watched

def train(name, *settings, **more):
    recipe = recipe_files.load("tiny", (*SMALL, *settings))
    try:
        done = run.train(recipe, [shards.Shards(CORPUS)], folder / name, group, tensorboard=False, **more)
    except KeyboardInterrupt:
        done = "interrupted"
    torch.save({"done": done, **trainers.pop().state_dict()}, folder / f"{name}-{rank}.pt")

made = []
write = shards.write
shards.write = lambda *a, **k: (made.append(1), write(*a, **k))[1]
for _ in range(2):  # the first call makes the shards, the second one uses them
    found = open_shards(CORPUS.parent / "manifest.jsonl", folder / "shards", 24000, 1, group)
for name, settings in KINDS.items():
    train(name, *settings, "quantizer.penalty=0.1")
train("limit", "training.updates=1000", stop_after=0 if rank == 1 else 1000)

def before_update(trainer):
    if rank == 1 and trainer.updates == 2:
        signal.raise_signal(signal.SIGINT)

train("interrupt", "training.updates=1000")
from earmark.codec.checkpoints import identities, loading
from earmark.codec.training import language_model_run, language_model_trainer
codec = loading.load(folder / "rvq" / "model.safetensors")
recipe = language_model_trainer.LanguageModelRecipe(updates=2, batch=4, seconds=0.5, warmup=1, every=2)
known = identities.accepted_identities(codec)
language_model_run.train(recipe, codec, known, [shards.Shards(CORPUS)], folder / "lm", group, tensorboard=False)
print("recordings", len(found.recordings), "made", len(made))
leave()
"""


@pytest.fixture(scope="module")
def together(corpus, two_processes):
    """Output of the two processes, and the folder of their trainings; one start serves all tests."""
    given = f"SMALL, KINDS, CORPUS = {SMALL!r}, {KINDS!r}, Path({str(corpus)!r})\n"
    return two_processes(given + WORK)


def ranks(folder, name):
    return [torch.load(folder / f"{name}-{rank}.pt", weights_only=True) for rank in range(2)]


def flat(state, path=""):
    """Pairs (name, value) of a nested state."""
    if isinstance(state, dict):
        return [pair for key, value in state.items() for pair in flat(value, f"{path}.{key}")]
    if isinstance(state, list | tuple):
        return [pair for key, value in enumerate(state) for pair in flat(value, f"{path}.{key}")]
    return [(path, state)]


def test_rank_0_decodes_the_corpus_for_all(together):
    said, _ = together
    assert [line.splitlines()[-1] for line in said] == ["recordings 18 made 2", "recordings 18 made 0"]


@pytest.mark.parametrize("name", KINDS)
def test_both_processes_end_with_the_same_state(together, name):
    """Codebooks, networks, balancer and optimisers are equal bit for bit."""
    first, second = (flat(state) for state in ranks(together[1], name))
    assert [part for part, _ in first] == [part for part, _ in second]
    for (part, ours), (_, theirs) in zip(first, second, strict=True):
        same = torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs
        assert same, part


def test_an_interrupt_of_one_process_stops_both_at_the_same_update(together):
    """The interrupted process is the one that does not write the state."""
    found = ranks(together[1], "interrupt")
    assert [state["updates"] for state in found] == [3, 3]  # the current update is completed
    assert [state["done"] for state in found] == ["interrupted", "interrupted"]
    assert torch.load(together[1] / "interrupt" / STATE, weights_only=True)["updates"] == 3


def test_a_time_limit_stops_both_at_the_same_update(together):
    found, folder = ranks(together[1], "limit"), together[1] / "limit"
    assert [(state["updates"], state["done"]) for state in found] == [(1, False), (1, False)]
    assert json.loads((folder / "run.json").read_text())["recipe"] == recipe_files.load("tiny").name
    assert torch.load(folder / STATE, weights_only=True)["updates"] == 1


def test_a_language_model_of_two_processes_is_that_of_one(corpus, together, tmp_path):
    """Within rounding; the sequences of 3 s are longer than those drawn, so that every batch is full."""
    codec = checkpoints.load(together[1] / "rvq" / "model.safetensors")
    recipe = LanguageModelRecipe(updates=2, batch=4, seconds=0.5, warmup=1, every=2)
    alone = ProcessGroup(0, 1, torch.device("cpu"))
    accepted = identities.accepted_identities(codec)
    language_model_run.train(recipe, codec, accepted, [Shards(corpus)], tmp_path / "lm", alone, tensorboard=False)
    ours, theirs = (torch.load(each / "lm" / STATE, weights_only=True)["model"] for each in (tmp_path, together[1]))
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-3, atol=1e-5)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(UserError, match="--batch 3: cannot be divided among 2 processes"):
        LanguageModelTrainer(LanguageModelRecipe(batch=3), ENCODEC_24KHZ, ProcessGroup(0, 2, torch.device("cpu")))
