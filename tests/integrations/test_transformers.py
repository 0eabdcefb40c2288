"""`report_to="tracker"` with the real Trainer of transformers and a small model made from its configuration."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments, ViTConfig, ViTForImageClassification

import tracker_core
from tracker_core import current
from tracker_core.errors import UsageError
from tracker_integrations import transformers as adapter
from tracker_integrations.transformers import TrackerCallback, rewrite_logs

pytestmark = pytest.mark.filterwarnings("ignore::Warning:transformers", "ignore::Warning:torch")


class Images(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        return {"pixel_values": torch.randn(1, 4, 4, generator=generator), "labels": index % 2}


def make_trainer(arguments: Any = None, **more: Any) -> Trainer:
    size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = ViTConfig(image_size=4, patch_size=2, num_channels=1, num_labels=2, **size)
    defaults = {
        "report_to": "tracker", "max_steps": 4, "logging_steps": 2, "per_device_train_batch_size": 4,
        "use_cpu": True, "save_strategy": "no", "disable_tqdm": True, "output_dir": "out",
    }  # fmt: skip
    return Trainer(
        model=ViTForImageClassification(config),
        args=TrainingArguments(**{**defaults, **(arguments or {})}),
        train_dataset=Images(),
        eval_dataset=Images(),
        **{"compute_metrics": accuracy, **more},
    )


def accuracy(prediction: Any) -> dict[str, Any]:
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


@pytest.fixture(autouse=True)
def no_training_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_training", None)


TRAIN = ["train/epoch", "train/grad_norm", "train/learning_rate", "train/loss"]
EVAL = ["eval/accuracy", "eval/loss", "eval/runtime", "eval/samples_per_second", "eval/steps_per_second", "train/epoch"]
TEST = ["test/accuracy", "test/loss", "test/runtime", "test/samples_per_second", "test/steps_per_second"]


def test_rows_carry_the_global_step_and_prefixes_and_evaluation_is_logged_once(recorded: Any) -> None:
    make_trainer({"eval_strategy": "steps", "eval_steps": 2}).train()
    run = recorded.only_run("huggingface")
    assert recorded.rows(run) == [(2, TRAIN), (2, EVAL), (4, TRAIN), (4, EVAL)]
    assert run.state == "running"
    tracker_core.finish()
    assert run.refresh().state == "finished"


def test_figures_of_the_whole_training_are_in_the_summary_only(recorded: Any) -> None:
    make_trainer().train()
    run = recorded.only_run("huggingface")
    single = {"train_runtime", "train_loss", "total_flos", "train_samples_per_second", "train_steps_per_second"}
    assert single <= run.summary.keys()
    assert run.keys() == TRAIN


def test_evaluate_and_predict_around_a_training_log_to_its_run(recorded: Any) -> None:
    trainer = make_trainer()
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    trainer.predict(Images())
    run = recorded.only_run("huggingface")
    expected = [(0, EVAL), (2, TRAIN), (4, TRAIN), (4, EVAL), (4, TEST)]
    assert [(step, [k for k in keys if "preparation" not in k]) for step, keys in recorded.rows(run)] == expected


def test_the_config_holds_model_and_training_without_secrets(recorded: Any) -> None:
    trainer = make_trainer({"hub_token": "secret", "learning_rate": 0.5})
    trainer.model.peft_config = {"default": SimpleNamespace(r=8)}
    trainer.train()
    config = recorded.only_run("huggingface").config
    assert (config["hidden_size"], config["model_type"], config["learning_rate"]) == (8, "vit", 0.5)
    assert config["model/num_parameters"] == sum(p.numel() for p in trainer.model.parameters())
    assert config["peft_config"] == {"default": {"r": 8}}
    assert "secret" not in str(config)
    assert not [key for key in config if key.endswith("_token")]
    assert config["label2id"] == {"LABEL_0": 0, "LABEL_1": 1}


@pytest.mark.parametrize(
    ("argument", "variable", "expected"),
    [(None, None, "huggingface"), (None, "env", "env"), ("mine", "env", "mine"), ("mine", None, "mine")],
)
def test_the_project_is_the_arguments_then_the_environments(
    recorded: Any, monkeypatch: pytest.MonkeyPatch, argument: str | None, variable: str | None, expected: str
) -> None:
    if variable:
        monkeypatch.setenv("TRACKER_PROJECT", variable)
    make_trainer({"project": argument} if argument else {}).evaluate()
    assert recorded.only_run(expected)


def test_the_runs_name_is_run_name(recorded: Any) -> None:
    make_trainer({"run_name": "small vit"}).train()
    assert recorded.only_run("huggingface").name == "small vit"


def test_every_training_is_a_run_of_its_own(recorded: Any) -> None:
    trainer = make_trainer()
    trainer.train()
    trainer.train()
    make_trainer().train()
    assert [run.state for run in recorded.runs("huggingface")] == ["finished", "finished", "running"]


def test_it_logs_into_a_run_that_the_user_began_and_leaves_it_alone(recorded: Any) -> None:
    with tracker_core.init(project="mine", config={"own": 1}) as run:
        for _ in range(2):
            make_trainer().train()
        run.log({"after": 1}, step=5)
    run = recorded.only_run("mine")
    assert [step for step, _ in recorded.rows(run)] == [2, 4, 2, 4, 5]
    assert (run.config["own"], run.config["model_type"], run.state) == (1, "vit", "finished")


class CrashAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise RuntimeError("the loss exploded")


def test_an_uncaught_crash_fails_the_run_with_its_traceback(recorded: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_transformers import *\n"
        "make_trainer(callbacks=[CrashAt(3)]).train()\n"
    )
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert process.returncode == 1
    run = recorded.only_run("huggingface")
    assert (run.state, run.view.error.type, run.view.error.message) == ("failed", "RuntimeError", "the loss exploded")
    assert "in on_step_end" in run.view.error.traceback
    assert recorded.rows(run) == [(2, TRAIN)]


def test_a_crash_that_was_caught_is_known_at_the_next_training(recorded: Any) -> None:
    with pytest.raises(RuntimeError):
        make_trainer(callbacks=[CrashAt(3)]).train()
    make_trainer().train()
    assert [run.state for run in recorded.runs("huggingface")] == ["failed", "running"]


def test_a_training_resumed_from_a_checkpoint_goes_on_with_the_steps(recorded: Any) -> None:
    saving = {"save_strategy": "steps", "save_steps": 2}
    make_trainer({**saving, "max_steps": 2}).train()
    make_trainer(saving).train(resume_from_checkpoint=True)
    first, second = recorded.runs("huggingface")
    assert (recorded.rows(first), recorded.rows(second)) == ([(2, TRAIN)], [(4, TRAIN)])


def test_a_resumed_training_goes_on_with_the_run_that_the_environment_names(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKER_RUN_ID", "long-job")
    monkeypatch.setenv("TRACKER_RESUME", "allow")
    saving = {"save_strategy": "steps", "save_steps": 2}
    make_trainer({**saving, "max_steps": 2}).train()
    tracker_core.finish()
    make_trainer(saving).train(resume_from_checkpoint=True)
    run = recorded.only_run("huggingface")
    assert (run.id, recorded.rows(run)) == ("long-job", [(2, TRAIN), (4, TRAIN)])


def test_every_trial_of_a_search_is_a_run_of_its_own(recorded: Any) -> None:
    trainer = make_trainer({"run_name": "search"})
    callback = next(c for c in trainer.callback_handler.callbacks if isinstance(c, TrackerCallback))
    user_run = tracker_core.init(project="mine")
    for number in range(2):
        # What Trainer.train does for a trial. The search itself needs a backend that is not installed here.
        trainer.state.is_hyper_param_search, trainer.state.trial_name = True, f"trial {number}"
        callback.on_train_begin(trainer.args, trainer.state, trainer.control, model=trainer.model)
        callback.on_log(trainer.args, trainer.state, trainer.control, model=trainer.model, logs={"loss": 1.0})
        callback.on_train_end(trainer.args, trainer.state, trainer.control)
    assert [(run.name, run.group) for run in recorded.runs("huggingface")] == [
        ("trial 0", "search"),
        ("trial 1", "search"),
    ]
    assert not user_run.is_finished


def test_of_two_callbacks_on_one_trainer_the_first_logs(recorded: Any) -> None:
    trainer = make_trainer({"report_to": "none"}, callbacks=[TrackerCallback(project="first")])
    trainer.add_callback(TrackerCallback(project="second"))
    trainer.evaluate()
    trainer.train()
    assert len(recorded.rows(recorded.only_run("first"))) == 3
    with pytest.raises(tracker_core.NotFoundError):
        recorded.runs("second")


def test_the_callback_takes_arguments_of_init_and_refuses_others_at_once(recorded: Any) -> None:
    make_trainer({"report_to": "none"}, callbacks=[TrackerCallback(name="n", tags=["t"], project="p")]).train()
    run = recorded.only_run("p")
    assert (run.name, run.tags) == ("n", ["t"])
    with pytest.raises(UsageError, match="porject"):
        TrackerCallback(porject="p")


def test_other_processes_than_the_first_record_nothing(folder: Path) -> None:
    trainer = make_trainer()
    trainer.state.is_world_process_zero = False
    callback = next(c for c in trainer.callback_handler.callbacks if isinstance(c, TrackerCallback))
    for event in (callback.on_train_begin, callback.on_log, callback.on_train_end):
        event(trainer.args, trainer.state, trainer.control, model=trainer.model)
    assert not folder.exists()


def test_a_metric_that_cannot_be_kept_costs_only_itself(recorded: Any, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = make_trainer(compute_metrics=lambda _: {"accuracy": 1.0, "matrix": np.eye(2)})
    trainer.evaluate()
    run = recorded.only_run("huggingface")
    assert run.summary["eval/accuracy"] == 1.0
    assert "eval/matrix" not in run.keys()  # noqa: SIM118
    assert "eval/matrix" in capsys.readouterr().err


def test_a_callback_with_an_open_run_can_be_pickled_and_copied(recorded: Any) -> None:
    trainer = make_trainer()
    trainer.train()
    callback = next(c for c in trainer.callback_handler.callbacks if isinstance(c, TrackerCallback))
    for copied in (pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)):
        assert copied._held.open() is current.get()


def test_a_disabled_run_trains_and_leaves_no_trace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_MODE", "disabled")
    trainer = make_trainer()
    trainer.train()
    trainer.evaluate()
    assert not folder.exists()


def test_prefixes() -> None:
    logs = {"loss": 1, "eval_loss": 2, "test_a_b": 3, "evaluation": 4, "eval_": 5, "epoch": 1.0}
    assert rewrite_logs(logs) == {
        "train/loss": 1,
        "eval/loss": 2,
        "test/a_b": 3,
        "train/evaluation": 4,
        "train/eval_": 5,
        "train/epoch": 1.0,
    }
