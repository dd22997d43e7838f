"""Two convolutions, a wide dense layer and dropout, trained with Adam for a number of batches; then
the feature maps of one image.  The network of TensorFlow's tutorial "MNIST for experts".
"""

import numpy as np

from digits import Adam, Conv2D, Dense, Dropout, Flatten, Reshape, Sequential, plots
from digits.nn.pooling import MaxPooling2D
from train_net import load_data, train


def main(iterations: int = 2_000, dataset: str = "mnist", validation: int = 5_000) -> None:
    data = load_data(dataset, None, validation, seed=0)
    first = [Conv2D(32, 5, padding="same", activation="relu"), MaxPooling2D(2)]
    second = [Conv2D(64, 5, padding="same", activation="relu"), MaxPooling2D(2)]
    dense = [Flatten(), Dense(1024, activation="relu"), Dropout(0.5), Dense(10)]
    layers = [Reshape((28, 28, 1)), *first, *second, *dense]
    network = Sequential(layers, rng=np.random.default_rng(0))
    network.summary()

    history = train(network, data, Adam(1e-4), batch_size=20, iterations=iterations)
    plots.save(plots.curves(history), "runs/conv-dropout/curves.png")
    print(f"test accuracy {network.accuracy(data.x_test, data.t_test):.4f}")

    x = data.x_test[:1]
    y = network.predict(x)[0]
    maps = [(name, z[0]) for name, z in network.activations(x) if z.ndim == 4 and z.shape[3] > 1]
    plots.save(plots.feature_maps(x[0], maps, y), "runs/conv-dropout/features.png")
    print(f"a {data.t_test[0]}, read as {np.argmax(y)}")


if __name__ == "__main__":
    main()
