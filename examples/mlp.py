"""A multilayer perceptron: look at the digits, build, train, look at the curves, predict.  The
first network of A. Géron, *Hands-On Machine Learning*, chapter 10.
"""

import numpy as np

from digits import SGD, Dense, Normalization, Sequential, load_data, plots, train


def main(epochs: int = 10, dataset: str = "mnist", validation: int = 5_000) -> None:
    data = load_data(dataset, None, validation, seed=0)
    plots.save(plots.samples(data.x_train[:40], data.t_train[:40]), "runs/mlp/samples.png")

    standardize = Normalization(np.mean(data.x_train), np.var(data.x_train))
    hidden = [Dense(300, activation="relu"), Dense(100, activation="relu")]
    layers = [standardize, *hidden, Dense(10, activation="softmax")]
    network = Sequential(layers, rng=np.random.default_rng(0))
    network.summary()

    history = train(network, data, SGD(0.01), batch_size=32, epochs=epochs)
    plots.save(plots.curves(history), "runs/mlp/curves.png")
    print(f"test accuracy {network.accuracy(data.x_test, data.t_test):.4f}")

    print(f"labels of the first three test images: {data.t_test[:3]}")
    print(f"predictions of the network:            {network.predict_classes(data.x_test[:3])}")


if __name__ == "__main__":
    main()
