"""LeNet-5 (LeCun et al. 1998), with today's relu and softmax; then it reads a picture of five
digits in a row.
"""

import numpy as np

from digits import Adam, Conv2D, Dense, Flatten, Reshape, Sequential, plots, read_digits
from digits.nn.pooling import AveragePooling2D, ZeroPadding2D
from train_net import load_data, train


def main(epochs: int = 5, dataset: str = "mnist", validation: int = 5_000) -> None:
    data = load_data(dataset, None, validation, seed=0)
    padded = [Reshape((28, 28, 1)), ZeroPadding2D(2)]
    first = [Conv2D(6, 5, activation="relu"), AveragePooling2D(2)]
    second = [Conv2D(16, 5, activation="relu"), AveragePooling2D(2)]
    dense = [Flatten(), Dense(120, activation="relu"), Dense(84, activation="relu"), Dense(10)]
    layers = [*padded, *first, *second, *dense]
    network = Sequential(layers, rng=np.random.default_rng(0))

    train(network, data, Adam(0.001), batch_size=64, epochs=epochs)
    network.save("runs/lenet5-example/model.npz")
    plots.save(plots.weights(network.params["W1"]), "runs/lenet5-example/filters.png")
    print(f"test accuracy {network.accuracy(data.x_test, data.t_test):.4f}")

    row = np.hstack(list(data.x_test[:5].reshape(5, 28, 28)))
    picture = (255 - 255 * row).astype(np.uint8)  # black ink on white paper
    print(f"written {data.t_test[:5]}, read {read_digits(picture, network).rows}")


if __name__ == "__main__":
    main()
