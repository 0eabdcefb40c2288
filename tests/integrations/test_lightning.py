"""`Trainer(logger=TrackerLogger())` with the real Trainers of both packages, and with Fabric."""

from __future__ import annotations

import argparse
import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning
import pytest
import pytorch_lightning
import torch
from lightning.pytorch.loggers import CSVLogger

import tracker_core
from tracker_core import current
from tracker_core.errors import UsageError
from tracker_integrations.lightning import TrackerLogger

pytestmark = [
    pytest.mark.filterwarnings("ignore::Warning:lightning"),
    pytest.mark.filterwarnings("ignore::Warning:pytorch_lightning"),
]


def make_model(package: Any, crash_at: int | None = None, **hyper_parameters: Any) -> Any:
    class Model(package.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)
            if hyper_parameters:
                self.save_hyperparameters(hyper_parameters)

        def _loss(self, batch: Any) -> Any:
            return self.layer(batch[0]).square().mean()

        def training_step(self, batch: Any, index: int) -> Any:
            if index == crash_at:
                raise RuntimeError("the loss exploded")
            loss = self._loss(batch)
            self.log("train/loss", loss)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val/loss", self._loss(batch))

        def test_step(self, batch: Any, index: int) -> None:
            self.log("test/loss", self._loss(batch))

        def _data(self) -> Any:
            return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 4)), batch_size=2)

        train_dataloader = val_dataloader = test_dataloader = _data

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Model()


def make_trainer(logger: Any, package: Any = lightning, **arguments: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    basic = {"accelerator": "cpu", "max_epochs": 2, "log_every_n_steps": 2, "num_sanity_val_steps": 0}
    return package.Trainer(logger=logger, **{**quiet, **basic, **arguments})


EXPECTED_FIT = [
    (1, ["epoch", "train/loss"]),
    (3, ["epoch", "train/loss"]),
    (3, ["epoch", "val/loss"]),
    (5, ["epoch", "train/loss"]),
    (7, ["epoch", "train/loss"]),
    (7, ["epoch", "val/loss"]),
]


@pytest.mark.parametrize("package", [lightning, pytorch_lightning])
def test_rows_carry_the_global_step_and_exactly_the_logged_keys(recorded: Any, package: Any) -> None:
    make_trainer(TrackerLogger(), package).fit(make_model(package))
    run = recorded.only_run("lightning_logs")
    assert recorded.rows(run) == EXPECTED_FIT
    assert run.series("epoch").values.tolist() == [0, 0, 0, 1, 1, 1]
    assert run.series("train/loss").steps.tolist() == [1, 3, 5, 7]


def test_fit_then_test_is_one_run_that_is_finished_at_the_end(recorded: Any) -> None:
    trainer = make_trainer(TrackerLogger(), max_epochs=1)
    model = make_model(lightning)
    trainer.fit(model)
    assert recorded.only_run("lightning_logs").state == "running"
    trainer.test(model, verbose=False)
    tracker_core.finish()
    run = recorded.only_run("lightning_logs")
    assert run.state == "finished"
    assert recorded.rows(run)[-1] == (4, ["epoch", "test/loss"])


def test_two_fits_of_one_logger_are_one_run(recorded: Any) -> None:
    logger = TrackerLogger()
    for _ in range(2):
        make_trainer(logger, max_epochs=1).fit(make_model(lightning))
    assert len(recorded.rows(recorded.only_run("lightning_logs"))) == 6


def test_the_next_logger_ends_the_run_before(recorded: Any) -> None:
    for rate in (0.1, 0.2):
        make_trainer(TrackerLogger(name=f"rate {rate}"), max_epochs=1).fit(make_model(lightning))
    assert [(run.name, run.state) for run in recorded.runs("lightning_logs")] == [
        ("rate 0.1", "finished"),
        ("rate 0.2", "running"),
    ]


def test_the_next_init_ends_the_run_before(recorded: Any) -> None:
    make_trainer(TrackerLogger(), max_epochs=1).fit(make_model(lightning))
    tracker_core.log({"after": 1})
    with tracker_core.init(project="other"):
        tracker_core.log({"x": 1})
    assert recorded.only_run("lightning_logs").state == "finished"
    assert recorded.only_run("lightning_logs").summary["after"] == 1
    assert recorded.only_run("other").keys() == ["x"]


def test_two_loggers_of_one_trainer_are_two_runs(recorded: Any) -> None:
    loggers = [TrackerLogger(project="a"), TrackerLogger(project="b")]
    make_trainer(loggers).fit(make_model(lightning))
    for project in "ab":
        run = recorded.only_run(project)
        assert recorded.rows(run) == EXPECTED_FIT
        assert len(run.view.sessions) == 1


def test_it_logs_into_a_run_that_the_user_began_and_leaves_it_alone(recorded: Any) -> None:
    run = tracker_core.init(project="mine", id="given")
    logger = TrackerLogger()
    make_trainer(logger, max_epochs=1).fit(make_model(lightning))
    assert logger.experiment is run
    assert (logger.name, logger.version) == ("mine", "given")
    with pytest.raises(RuntimeError):
        make_trainer(logger, max_epochs=1).fit(make_model(lightning, crash_at=0))
    assert not run.is_finished
    run.finish()
    assert recorded.only_run("mine").state == "finished"


def test_a_named_id_is_not_logged_into_another_run(recorded: Any) -> None:
    tracker_core.init(project="mine")
    make_trainer(TrackerLogger(version="v1", project="theirs"), max_epochs=1).fit(make_model(lightning))
    assert recorded.only_run("theirs").id == "v1"
    assert recorded.only_run("mine").keys() == []


def test_an_id_used_before_is_gone_on_with(recorded: Any) -> None:
    for _ in range(2):
        make_trainer(TrackerLogger(id="again"), max_epochs=1).fit(make_model(lightning))
        tracker_core.finish()
    run = recorded.only_run("lightning_logs")
    assert len(run.view.sessions) == 2
    assert len(recorded.rows(run)) == 6


def test_a_crash_ends_the_run_as_failed_with_its_traceback(recorded: Any) -> None:
    with pytest.raises(RuntimeError):
        make_trainer(TrackerLogger()).fit(make_model(lightning, crash_at=3))
    run = recorded.only_run("lightning_logs")
    assert run.state == "failed"
    assert (run.view.error.type, run.view.error.message) == ("RuntimeError", "the loss exploded")
    assert "in training_step" in run.view.error.traceback
    assert recorded.rows(run) == EXPECTED_FIT[:1]


def test_ctrl_c_ends_the_run_as_failed(recorded: Any) -> None:
    class Interrupt(lightning.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_end(self, *args: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        make_trainer(TrackerLogger(), callbacks=[Interrupt()]).fit(make_model(lightning))
    assert recorded.only_run("lightning_logs").view.error.type == "KeyboardInterrupt"


def test_a_requeued_slurm_job_was_preempted(recorded: Any) -> None:
    logger = TrackerLogger()
    logger.log_metrics({"a": 1.0})
    logger.finalize("finished")  # as Lightning does before it calls scontrol
    logger.experiment.end(143, None, signal="SIGTERM")
    assert recorded.only_run("lightning_logs").state == "preempted"


def test_a_crash_that_was_caught_can_be_gone_on_from(recorded: Any) -> None:
    logger = TrackerLogger()
    with pytest.raises(RuntimeError):
        make_trainer(logger).fit(make_model(lightning, crash_at=3))
    assert logger.experiment.is_finished  # looking at it does not make it run again
    assert recorded.only_run("lightning_logs").state == "failed"
    make_trainer(logger, max_epochs=1).fit(make_model(lightning))
    tracker_core.finish()
    run = recorded.only_run("lightning_logs")
    assert run.state == "finished"
    assert [step for step, _ in recorded.rows(run)] == [1, 1, 3, 3]


def test_an_uncaught_crash_fails_the_process_and_the_run(recorded: Any, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import lightning\n"
        "from test_lightning import *\n"
        "make_trainer(TrackerLogger()).fit(make_model(lightning, crash_at=1))\n"
    )
    process = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert process.returncode == 1
    run = recorded.only_run("lightning_logs")
    assert (run.state, run.view.error.message) == ("failed", "the loss exploded")


@dataclasses.dataclass
class HyperParameters:
    rate: float = 0.1


@pytest.mark.parametrize(
    "params", [{"rate": 0.1}, argparse.Namespace(rate=0.1), HyperParameters()], ids=lambda p: type(p).__name__
)
def test_hyper_parameters_are_recorded_from_dict_namespace_and_dataclass(recorded: Any, params: Any) -> None:
    TrackerLogger().log_hyperparams(params)
    assert recorded.only_run("lightning_logs").config == {"rate": 0.1}


def test_saved_hyper_parameters_of_the_module_are_in_the_config(recorded: Any) -> None:
    model = make_model(lightning, rate=0.1, layers=[1, 2], act=torch.nn.ReLU, nested={"a": {"b": None}})
    make_trainer(TrackerLogger(config={"own": 1}), max_epochs=1).fit(model)
    assert recorded.only_run("lightning_logs").config == {
        "own": 1,
        "rate": 0.1,
        "layers": [1, 2],
        "act": "torch.nn.modules.activation.ReLU",
        "nested": {"a": {"b": None}},
    }


def test_metrics_that_other_loggers_share_are_not_changed(recorded: Any) -> None:
    metrics = {"a": 1.0, "b": torch.tensor(2.0)}
    TrackerLogger(prefix="tmp").log_metrics(metrics=metrics, step=7)
    assert metrics == {"a": 1.0, "b": torch.tensor(2.0)}
    run = recorded.only_run("lightning_logs")
    assert recorded.rows(run) == [(7, ["tmp-a", "tmp-b"])]
    assert run.summary == {"tmp-a": 1.0, "tmp-b": 2.0}


def test_images_sounds_videos_and_tables_are_logged_as_with_other_loggers(recorded: Any) -> None:
    logger, picture = TrackerLogger(), torch.rand(3, 4, 4)
    logger.log_image("image", [picture, picture], step=1, caption=["a", "b"])
    logger.log_audio("audio", [torch.zeros(100)], step=1, sample_rate=[8000])
    logger.log_video("video", [torch.zeros(2, 3, 4, 4)], step=1, fps=[2])
    logger.log_table("table", columns=["a"], data=[[1]], step=2)
    logger.log_text("text", columns=["a"], data=[["b"]], step=2)
    with pytest.raises(tracker_core.UsageError, match="caption"):
        logger.log_image("image", [picture], caption="a")
    tracker_core.finish()
    run = recorded.only_run("lightning_logs")
    first, second = run.history()
    assert [item["caption"] for item in first["image"]["items"]] == ["a", "b"]
    assert (first["audio"]["items"][0]["sample_rate"], first["video"]["items"][0]["fps"]) == (8000, 2)
    assert (second["table"]["n_rows"], second["text"]["columns"]) == (1, ["a"])
    assert len(run.files()) == 6


def test_it_works_beside_another_logger(recorded: Any, tmp_path: Path) -> None:
    make_trainer([TrackerLogger(), CSVLogger(tmp_path)]).fit(make_model(lightning))
    assert recorded.rows(recorded.only_run("lightning_logs")) == EXPECTED_FIT


def test_a_metric_called_step_is_the_step(recorded: Any) -> None:
    class ByEpoch(lightning.Callback):  # type: ignore[misc, name-defined]
        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            module.log_dict({"step": float(trainer.current_epoch), "done": 1.0})

    make_trainer(TrackerLogger(), callbacks=[ByEpoch()], log_every_n_steps=100, limit_val_batches=0).fit(
        make_model(lightning)
    )
    assert [step for step, _ in recorded.rows(recorded.only_run("lightning_logs"))] == [0, 1]


def test_checkpoints_lie_under_save_dir_project_and_run(tmp_path: Path) -> None:
    logger = TrackerLogger(save_dir=tmp_path / "out", project="digits", id="r1")
    assert logger.log_dir == str(tmp_path / "out" / "digits" / "r1")
    make_trainer(logger, max_epochs=1, enable_checkpointing=True).fit(make_model(lightning))
    assert [path.suffix for path in (tmp_path / "out" / "digits" / "r1" / "checkpoints").iterdir()] == [".ckpt"]


def test_nothing_is_begun_before_training_and_in_a_fast_dev_run(folder: Path) -> None:
    logger = TrackerLogger()
    make_trainer(logger, fast_dev_run=True).fit(make_model(lightning))
    assert (logger.version, current.active(), folder.exists()) == (logger.version, [], False)


def test_a_pickled_logger_goes_on_with_the_open_run(recorded: Any) -> None:
    logger = TrackerLogger(save_dir="out", project="digits")
    run = logger.experiment
    trainer = pickle.loads(pickle.dumps(make_trainer(logger)))
    assert trainer.logger.experiment is run
    trainer.logger.log_metrics({"acc": 1.0})
    assert (trainer.logger.name, trainer.logger.save_dir, trainer.logger.version) == ("digits", "out", logger.version)
    assert recorded.only_run("digits").keys() == ["acc"]


def test_a_logger_pickled_to_another_process_goes_on_with_the_run(recorded: Any, tmp_path: Path) -> None:
    logger = TrackerLogger()
    logger.log_metrics({"a": 1.0}, step=1)
    (tmp_path / "logger.pickle").write_bytes(pickle.dumps(logger))
    code = 'import pickle; pickle.load(open("logger.pickle", "rb")).log_metrics({"a": 2.0}, step=2)'
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)
    logger.log_metrics({"a": 3.0}, step=3)
    tracker_core.finish()
    run = recorded.only_run("lightning_logs")
    assert sorted(run.series("a").values.tolist()) == [1.0, 2.0, 3.0]
    assert run.state == "finished"


@pytest.mark.parametrize("arguments", [{"log_model": True}, {"checkpoint_name": "x"}, {"porject": "x"}])
def test_arguments_without_effect_are_refused_at_once(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"TrackerLogger\\({next(iter(arguments))}=\\)"):
        TrackerLogger(**arguments)


def test_init_arguments_reach_the_run(recorded: Any) -> None:
    logger = TrackerLogger("first", group="g", tags=["x"], notes="n", job_type="train", offline=True, anonymous=None)
    run = logger.experiment
    assert (run.name, run.group, run.tags, run.notes, run.job_type) == ("first", "g", ("x",), "n", "train")
    assert run.mode == "offline"


def test_the_project_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKER_PROJECT", "from the shell")
    assert TrackerLogger().name == "from the shell"
    assert TrackerLogger(project="given").name == "given"


def test_a_disabled_run_trains_and_leaves_no_trace(folder: Path) -> None:
    trainer = make_trainer(TrackerLogger(mode="disabled"), max_epochs=1)
    trainer.fit(make_model(lightning))
    trainer.test(make_model(lightning), verbose=False)
    assert not folder.exists()


def test_ranks_above_0_record_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = TrackerLogger()
    assert logger.experiment.log({"a": 1}) is None
    logger.log_metrics({"a": 1.0}, step=0)
    logger.log_hyperparams({"a": 1})
    logger.finalize("failed")
    assert not folder.exists()


def test_the_working_directory_may_change_before_training(recorded: Any, tmp_path: Path, monkeypatch: Any) -> None:
    logger = TrackerLogger()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    logger.log_metrics({"a": 1.0})
    assert recorded.only_run("lightning_logs").keys() == ["a"]


def test_fabric_logs_at_its_step(recorded: Any) -> None:
    fabric = lightning.Fabric(loggers=TrackerLogger(), accelerator="cpu")
    fabric.log("loss", torch.tensor(0.5), step=3)
    fabric.log_dict({"loss": 0.25, "accuracy": 1}, step=4)
    fabric.logger.log_hyperparams({"rate": 0.1})
    fabric.logger.finalize("success")
    run = recorded.only_run("lightning_logs")
    assert recorded.rows(run) == [(3, ["loss"]), (4, ["accuracy", "loss"])]


def test_it_is_a_logger_of_both_packages() -> None:
    assert issubclass(TrackerLogger, lightning.pytorch.loggers.Logger)
    assert issubclass(TrackerLogger, pytorch_lightning.loggers.Logger)


def test_only_the_imported_package_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys, pytorch_lightning\n"
        "from tracker_integrations.lightning import TrackerLogger\n"
        "assert issubclass(TrackerLogger, pytorch_lightning.loggers.Logger)\n"
        "assert 'lightning' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)


def test_importing_the_core_imports_no_framework(tmp_path: Path) -> None:
    code = (
        "import sys, tracker_core, tracker_integrations\n"
        "assert not {'torch', 'lightning', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60)
