"""A multilayer perceptron: look at the digits, build, train, look at the curves, predict.  The
first network of the Keras tutorials (Géron, *Hands-On Machine Learning*, chapter 10).
"""

import math

import numpy as np

from digits import plots
from digits.nn.layers import Dense, Normalization
from digits.nn.optimizers import SGD
from digits.nn.sequential import Sequential
from train_net import load_data, train


def main(epochs: int = 10, dataset: str = "mnist", validation: int = 5_000) -> None:
    data = load_data(dataset, None, validation, seed=0)
    plots.save(plots.samples(data.x_train[:40], data.t_train[:40]), "runs/mlp/samples.png")

    standardize = Normalization(np.mean(data.x_train), np.var(data.x_train))
    hidden = [Dense(300, activation="relu"), Dense(100, activation="relu")]
    layers = [standardize, *hidden, Dense(10, activation="softmax")]
    network = Sequential(layers, rng=np.random.default_rng(0))
    network.summary()

    batches = math.ceil(len(data.x_train) / 32)
    history = train(network, data, SGD(0.01), batch_size=32, iterations=epochs * batches)
    plots.save(plots.curves(history), "runs/mlp/curves.png")
    print(f"test accuracy {network.accuracy(data.x_test, data.t_test):.4f}")

    print(f"the first three test images are   {data.t_test[:3]}")
    print(f"and the network takes them for    {network.predict_classes(data.x_test[:3])}")


if __name__ == "__main__":
    main()
