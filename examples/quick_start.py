"""From images to a trained network with the training loop written out: what `network.fit` does.
The network of TensorFlow's beginner tutorial, with Adam.
"""

import numpy as np
from tqdm import tqdm

from digits import Adam, Dense, Sequential, load_mnist, plots


def main(epochs: int = 10, dataset: str = "mnist") -> None:
    (x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, dataset=dataset)
    plots.save(plots.samples(x_train[:1], t_train[:1]), "runs/quick-start/first.png")

    rng = np.random.default_rng(0)
    network = Sequential([Dense(128, activation="relu"), Dense(10, activation="softmax")], rng=rng)
    optimizer = Adam(0.001)
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(x_train))
        for start in tqdm(range(0, len(order), 32), desc=f"epoch {epoch}", unit="batch"):
            batch = order[start : start + 32]
            _, grads = network.loss_and_gradient(x_train[batch], t_train[batch])
            optimizer.update(network.params, grads)
        loss, accuracy = network.loss(x_test, t_test), network.accuracy(x_test, t_test)
        print(f"epoch {epoch}: test loss {loss:.4f}, test accuracy {accuracy:.4f}")

    y = network.predict(x_test[:1])[0]
    print(f"the first test image is a {t_test[0]}; read as {np.argmax(y)}, {np.max(y):.1%} sure")


if __name__ == "__main__":
    main()
