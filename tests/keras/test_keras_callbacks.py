"""Callbacks: what they are told and when, and what they change in a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras_data import digits_data

from digits import keras
from digits.keras import layers

pytestmark = pytest.mark.usefixtures("seeded_keras")


def test_callbacks_are_told_in_order(rng: np.random.Generator) -> None:
    x, t = digits_data(rng, 64)
    told: list[str] = []

    class Told(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            told.append("begin")

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            told.append(f"epoch {epoch}")

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            told.append(f"batch {batch} {sorted(logs)}")

        on_test_batch_end = on_predict_batch_end = on_batch_end

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            told.append(f"end {epoch} {sorted(logs)}")
            if logs.get("acc") >= 0:
                self.model.stop_training = True

    model = keras.Sequential([layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    held_out = x[:32], t[:32]
    model.fit(x, t, 32, 9, 0, callbacks=[Told()], validation_data=held_out, initial_epoch=2)
    model.predict(x[:32], callbacks=[Told()], verbose=0)
    names = "['accuracy', 'loss']"
    batches = [f"batch {i} {names}" for i in (0, 1, 0)]
    end = "end 2 ['accuracy', 'loss', 'val_accuracy', 'val_loss']"
    assert told == ["begin", "epoch 2", *batches, end, "batch 0 ['outputs']"]
    stop = keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: setattr(model, "stop_training", True)
    )
    assert len(model.fit(x, t, callbacks=[stop], verbose=0).history["loss"]) == 1


def test_callbacks_are_asked_once_whether_they_act_after_batches(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)
    asked = []

    class Watched(keras.callbacks.Callback):
        def __getattribute__(self, name: str) -> Any:
            asked.extend([name] if name == "__dict__" else [])
            return super().__getattribute__(name)

    class Bar(keras.callbacks.ProgbarLogger):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            losses.append(logs["loss"])

    losses: list[float] = []
    model = keras.Sequential([layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    counts = []
    for epochs in (1, 3):
        asked.clear()
        model.fit(x, t, 20, epochs, 0, callbacks=[Watched()])
        counts.append(len(asked))
    assert counts[0] == counts[1]
    model.fit(x, t, 20, verbose=0, callbacks=[Bar()])
    assert len(losses) == 10


def test_early_stopping_restores_the_best_weights(rng: np.random.Generator) -> None:
    x, t = digits_data(rng)
    model = keras.Sequential([layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.SGD(50.0), "sparse_categorical_crossentropy")
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    history = model.fit(x, t, epochs=50, validation_data=(x, t), callbacks=[stop], verbose=0)
    losses = history.history["val_loss"]
    assert stop.stopped_epoch == len(losses) - 1 < 49
    late = keras.callbacks.EarlyStopping("loss", patience=2, baseline=-1.0)
    late.set_model(model)
    late.on_train_begin()
    for epoch, loss in enumerate([5, 4, 3, 4]):  # better without reaching the baseline: it waits
        late.on_epoch_end(epoch, {"loss": loss})
    assert late.stopped_epoch == 3
    assert model.evaluate(x, t, verbose=0) == pytest.approx(min(losses))


def test_learning_rates_follow_callbacks(rng: np.random.Generator, tmp_path: Path) -> None:
    x, t = digits_data(rng)
    model = keras.Sequential([layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(lr=0.1), "sparse_categorical_crossentropy")
    falling = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = model.fit(x, t, epochs=3, callbacks=[falling, log], verbose=0)
    assert history.history["lr"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "epoch,loss,learning_rate"
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    model.fit(x, t, epochs=4, callbacks=[plateau], verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 / 3 / 8)
    model.optimizer.learning_rate.assign(0.25)
    assert keras.backend.get_value(model.optimizer.lr) == pytest.approx(0.25)
