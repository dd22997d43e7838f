"""A layer that is written as one formula on tensors. The tape computes its gradient, so that it
needs no rule of its own.
"""

from typing import Any

from digits.keras.layer import Layer
from digits.keras.variable import Variable


class Formula(Layer):
    """A step of a model by a formula: a subclass gives `call`, and `make_weights` if it has any."""

    def make_weights(self, shape: Any) -> None:
        """Make the variables, and check the inputs, of that shape, the samples counted in; a list
        of shapes, if there are several inputs.
        """

    def variable(self, name: str, shape: Any) -> Variable:
        """A variable with the initializer, regularizer and constraint among the arguments."""
        kind = name.rpartition("/")[2]
        return self.add_weight(
            name,
            shape,
            initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer", None),
            constraint=self.constraints.get(f"{kind}_constraint"),
        )

    def build(self, input_shape: Any) -> None:
        if not self.built:
            self.make_weights(input_shape)
            if not self.trainable:
                self.trainable = False  # for the layers within, too
            self.built = True
            if self.first_weights is not None:
                self.set_weights(self.first_weights)

    def compute(self, inputs: Any, training: Any, *_: Any, **options: Any) -> Any:
        self._refuse(options)
        y = super().compute(inputs, training)
        if self.activity_regularizer:
            self.add_loss(self.activity_regularizer(y) / len(y))
        return y

    def _follow(self, inputs: Any, training: Any, *_: Any, **options: Any) -> Any:
        self._refuse(options)
        several = isinstance(inputs, list | tuple)
        self.input_sizes = [part.sizes for part in inputs] if several else inputs.sizes
        return self._as_step(inputs, training)
