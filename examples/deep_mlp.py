"""Twenty hidden layers: how deep may a stack be?  Trained, saved, loaded again, and then examined
for what it mistakes for what.  The deep network of the Keras tutorials.
"""

import math

import numpy as np

from digits import plots
from digits.evaluate import evaluate
from digits.nn.layers import Dense, Normalization
from digits.nn.optimizers import SGD
from digits.nn.sequential import Sequential
from train_net import load_data, train


def main(epochs: int = 10, dataset: str = "mnist", validation: int = 5_000) -> None:
    data = load_data(dataset, None, validation, seed=0)
    standardize = Normalization(np.mean(data.x_train), np.var(data.x_train))
    hidden = [Dense(100, activation="relu") for _ in range(20)]
    layers = [standardize, *hidden, Dense(10, activation="softmax")]
    network = Sequential(layers, rng=np.random.default_rng(0))
    print(f"{network.params.flat.size:,} parameters")

    batches = math.ceil(len(data.x_train) / 32)
    train(network, data, SGD(0.01), batch_size=32, iterations=epochs * batches)
    network.save("runs/deep-mlp/model.npz")

    network = Sequential.load("runs/deep-mlp/model.npz")
    result = evaluate(network, data.x_test, data.t_test)
    print(result.table())
    plots.save(plots.confusion(result.confusion), "runs/deep-mlp/confusion.png")
    mistakes = plots.mistakes(data.x_test, data.t_test, result.y)
    plots.save(mistakes, "runs/deep-mlp/mistakes.png")


if __name__ == "__main__":
    main()
