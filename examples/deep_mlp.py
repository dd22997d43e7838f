"""A network with twenty hidden layers: trained, saved, loaded again, and evaluated, with a
confusion matrix and its mistakes.
"""

import numpy as np

from digits import SGD, Dense, Normalization, Sequential, load_mnist, load_model, plots
from digits.evaluate import evaluate


def main(epochs: int = 10, dataset: str = "mnist") -> None:
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset)
    standardize = Normalization(np.mean(x_train), np.var(x_train))
    hidden = [Dense(100, activation="relu") for _ in range(20)]
    layers = [standardize, *hidden, Dense(10, activation="softmax")]
    network = Sequential(layers, rng=np.random.default_rng(0))
    print(f"{network.params.flat.size:,} parameters")

    network.fit(x_train, t_train, epochs=epochs, optimizer=SGD(0.01), validation_split=1 / 12)
    network.save("runs/deep-mlp/model.npz")

    loaded = load_model("runs/deep-mlp/model.npz")
    result = evaluate(loaded, x_test, t_test)
    print(f"test accuracy {result.accuracy:.4f}")
    print(result.table())
    plots.save(plots.confusion(result.confusion), "runs/deep-mlp/confusion.png")
    mistakes = plots.mistakes(x_test, t_test, result.y)
    plots.save(mistakes, "runs/deep-mlp/mistakes.png")


if __name__ == "__main__":
    main()
