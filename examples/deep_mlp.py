"""A network with twenty hidden layers: trained, saved, loaded again, and evaluated, with a
confusion matrix and its mistakes.
"""

import numpy as np

from digits import SGD, Dense, Normalization, Sequential, load_data, load_model, plots, train
from digits.evaluate import evaluate


def main(epochs: int = 10, dataset: str = "mnist", validation: int = 5_000) -> None:
    data = load_data(dataset, None, validation, seed=0)
    standardize = Normalization(np.mean(data.x_train), np.var(data.x_train))
    hidden = [Dense(100, activation="relu") for _ in range(20)]
    layers = [standardize, *hidden, Dense(10, activation="softmax")]
    network = Sequential(layers, rng=np.random.default_rng(0))
    print(f"{network.params.flat.size:,} parameters")

    train(network, data, SGD(0.01), batch_size=32, epochs=epochs)
    network.save("runs/deep-mlp/model.npz")

    loaded = load_model("runs/deep-mlp/model.npz")
    result = evaluate(loaded, data.x_test, data.t_test)
    names = [str(digit) for digit in range(10)]
    print(result.table(names))
    plots.save(plots.confusion(result.confusion), "runs/deep-mlp/confusion.png")
    mistakes = plots.mistakes(data.x_test, data.t_test, result.y)
    plots.save(mistakes, "runs/deep-mlp/mistakes.png")


if __name__ == "__main__":
    main()
