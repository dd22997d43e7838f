"""Two convolutions, a wide dense layer and dropout, built layer by layer and trained with Adam for
one epoch; then the feature maps of one image. The network of TensorFlow's "MNIST for experts".
"""

import numpy as np

from digits import Adam, Conv2D, Dense, Dropout, Flatten, Input, Sequential, load_mnist, plots
from digits.nn.pooling import MaxPooling2D


def main(epochs: int = 1, dataset: str = "mnist") -> None:
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset)
    network = Sequential(rng=np.random.default_rng(0))
    network.add(Input((28, 28, 1)))
    for filters in (32, 64):
        network.add(Conv2D(filters, 5, padding="same", activation="relu"))
        network.add(MaxPooling2D(2))
    network.add(Flatten())
    network.add(Dense(1024, activation="relu"))
    network.add(Dropout(0.5))
    network.add(Dense(10, activation="softmax"))
    network.summary()

    options = {"batch_size": 20, "optimizer": Adam(1e-4), "validation_split": 1 / 12}
    history = network.fit(x_train, t_train, epochs=epochs, **options)
    plots.save(plots.curves(history), "runs/conv-dropout/curves.png")
    print(f"test accuracy {network.accuracy(x_test, t_test):.4f}")

    x = x_test[:1]
    maps = [(name, z[0]) for name, z in network.activations(x) if z.ndim == 4]
    y = network.predict(x)[0]
    plots.save(plots.feature_maps(x[0], maps, y), "runs/conv-dropout/features.png")
    print(f"a {t_test[0]}, read as {np.argmax(y)}")


if __name__ == "__main__":
    main()
