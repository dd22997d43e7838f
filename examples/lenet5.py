"""LeNet-5 (LeCun et al. 1998), with today's relu and softmax; then it reads a picture of five
digits in a row.
"""

import numpy as np

from digits import Conv2D, Dense, Flatten, Reshape, Sequential, load_mnist, plots, read_digits
from digits.nn.pooling import AveragePooling2D, ZeroPadding2D


def main(epochs: int = 5, dataset: str = "mnist") -> None:
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset)
    padded = [Reshape((28, 28, 1)), ZeroPadding2D(2)]
    first = [Conv2D(6, 5, activation="relu"), AveragePooling2D(2)]
    second = [Conv2D(16, 5, activation="relu"), AveragePooling2D(2)]
    dense = [Flatten(), Dense(120, activation="relu"), Dense(84, activation="relu"), Dense(10)]
    layers = [*padded, *first, *second, *dense]
    network = Sequential(layers, rng=np.random.default_rng(0))

    network.fit(x_train, t_train, epochs=epochs, batch_size=64, validation_split=1 / 12)
    network.save("runs/lenet5-example/model.npz")
    plots.save(plots.weights(network.params["W1"]), "runs/lenet5-example/filters.png")
    print(f"test accuracy {network.accuracy(x_test, t_test):.4f}")

    row = np.hstack(list(x_test[:5].reshape(5, 28, 28)))
    picture = (255 - 255 * row).astype(np.uint8)  # black ink on white paper
    print(f"written {t_test[:5]}, read {read_digits(picture, network).rows}")


if __name__ == "__main__":
    main()
