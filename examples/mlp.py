"""A multilayer perceptron: look at the digits, build, train, look at the curves, predict. The
first network of A. Géron, *Hands-On Machine Learning*, chapter 10.
"""

import numpy as np

from digits import SGD, Dense, Normalization, Sequential, load_mnist, plots


def main(epochs: int = 10, dataset: str = "mnist") -> None:
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset)
    plots.save(plots.samples(x_train[:40], t_train[:40]), "runs/mlp/samples.png")

    standardize = Normalization(np.mean(x_train), np.var(x_train))
    hidden = [Dense(300, activation="relu"), Dense(100, activation="relu")]
    layers = [standardize, *hidden, Dense(10, activation="softmax")]
    network = Sequential(layers, rng=np.random.default_rng(0))
    network.summary()

    history = network.fit(
        x_train, t_train, epochs=epochs, optimizer=SGD(0.01), validation_split=1 / 12
    )
    plots.save(plots.curves(history), "runs/mlp/curves.png")
    print(f"test accuracy {network.accuracy(x_test, t_test):.4f}")

    print(f"labels of the first three test images: {t_test[:3]}")
    print(f"predictions of the network:            {network.predict_classes(x_test[:3])}")


if __name__ == "__main__":
    main()
