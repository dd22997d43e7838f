"""Models in files: .keras (a ZIP file of JSON and HDF5) and .h5 as Keras writes and reads them, and
.npz as `digits.load_model` does.
"""

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from digits.files.atomic import write_file
from digits.files.models import LAYERS
from digits.files.npz import HEADER
from digits.keras import losses, serialization
from digits.keras.config import snake_case
from digits.keras.legacy import note
from digits.keras.model import Model, Sequential
from digits.keras.optimizers import Optimizer
from digits.keras.serialization import custom_object_scope, plain
from digits.keras.structure import model_from
from digits.nn.layer import Layer as Core
from digits.nn.sequential import Input
from digits.nn.sequential import Sequential as Network
from digits.types import Array
from digits.validation import check

get_custom_objects = serialization.get_custom_objects
register_keras_serializable = serialization.register_keras_serializable

VERSION = "3.15.0"
MAX_MEMBER = 2**31
"""Bytes of one member of a .keras file: more is a mistake, or a file that means harm."""


def _h5py() -> Any:
    try:
        import h5py  # noqa: PLC0415  only these files need it
    except ImportError as error:
        raise ImportError(
            "Keras' files are HDF5, which needs the package h5py: pip install "
            "'digits-from-scratch[keras-files]', or save to a name that ends in .npz"
        ) from error
    return h5py


def _file_for(filepath: Any, overwrite: bool) -> Path:
    path = Path(filepath)
    if not overwrite and path.exists():
        raise FileExistsError(f"{path} is there already: pass overwrite=True to replace it")
    return path


# --- whole models ---------------------------------------------------------------------------------


def save_model(model: Model, filepath: Any, overwrite: bool = True, **_: Any) -> None:
    """Write a model; the end of the name says how. A name without one becomes a folder that holds
    `model.keras`.
    """
    path = _file_for(filepath, overwrite)
    suffix = path.suffix.lower()
    if suffix in (".h5", ".hdf5"):
        write_file(path, _as_h5(model))
    elif suffix == ".npz":
        to_network(model).save(path)
    elif suffix == ".keras" or (path.suffix and not path.is_dir() and " " not in path.suffix):
        write_file(path, _as_keras(model))
    else:
        note(f"{path}: a model without .keras at its end is a folder; it holds model.keras")
        path.mkdir(parents=True, exist_ok=True)
        write_file(path / "model.keras", _as_keras(model))


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, **_: Any) -> Model:
    """Read a model that `save` wrote, here or in Keras: .keras, .h5, or a folder with one; .npz,
    which holds no compilation.
    """
    path = Path(filepath)
    if path.is_dir():
        path = path / "model.keras"
    if path.exists() and not path.is_file():
        raise ValueError(f"expected a .keras or .h5 file; {path} is a pipe or a device")
    data = path.read_bytes()
    is_h5 = data[:4] == b"\x89HDF"
    if not is_h5 and not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError(f"expected a .keras or .h5 file; {path} is neither, or damaged")
    with custom_object_scope(custom_objects):
        model, compiled, memory = _from_h5(data) if is_h5 else _from_keras(data, path)
        if compile and compiled:
            _compile(model, compiled)
            if model.compiled and memory:
                model._prepare()
                model.optimizer.remember(memory, *_trained_weights(model))
    return model


def _from_keras(data: bytes, path: Path) -> tuple[Model, Any, list[Array]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if HEADER in archive.namelist():
            return _from_npz(path), None, []
        if "config.json" not in archive.namelist():
            raise ValueError(f"expected a model that `save` wrote in {path}; found other contents")
        if any(member.file_size > MAX_MEMBER for member in archive.infolist()):
            raise ValueError(f"expected members of at most {MAX_MEMBER:,} bytes in {path}")
        config = json.loads(archive.read("config.json"))
        model = model_from(config)
        with _h5py().File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
            _read_tree(model, file)
            memory = _read_memory(file)
    return model, config.get("compile_config"), memory


def _as_keras(model: Model) -> bytes:
    config = model.serialize() | {"registered_name": None}
    if hasattr(model, "outputs"):
        config["build_config"] = {"input_shape": [None, *model.inputs[0].sizes]}
    if model.compiled:
        config["compile_config"] = _compile_config(model)
    metadata = {"keras_version": VERSION, "date_saved": time.strftime("%Y-%m-%d@%H:%M:%S")}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", _weights_as_h5(model, memory=True))
    return buffer.getvalue()


def _trained_weights(model: Model) -> tuple[Any, list[int]]:
    """The weights as the optimizer has them, and the places of Keras' weights among them."""
    params = model.training_network.params
    places = {id(array): place for place, array in enumerate(params.values())}
    arrays = [id(variable.array) for variable in model.trainable_weights]
    return params, [places[array] for array in arrays if array in places]


def _write_memory(model: Model, file: Any) -> None:
    """What the optimizer remembers of the training by `fit`, as in a file .keras. Keras puts it
    elsewhere in a file .h5, but cannot train the model that it loads from that.
    """
    optimizer = model.optimizer
    begun = isinstance(optimizer, Optimizer) and optimizer.iterations and model._network is not None
    sizes = {len(slot) for slot in optimizer.slots.values()} if begun else set()
    if begun and (sizes == {model.training_network.params.flat.size} or not optimizer.slot_names):
        for number, array in enumerate(optimizer.memory(*_trained_weights(model))):
            file.create_dataset(f"optimizer/vars/{number}", data=array)


def _read_memory(file: Any) -> list[Array]:
    group = file.get("optimizer/vars", {})
    return [group[str(number)][()] for number in range(len(group))]


def _compile_config(model: Model) -> dict[str, Any]:
    known = isinstance(model.optimizer, Optimizer)
    return {
        "optimizer": plain(model.optimizer) if known else "sgd",
        "loss": plain(model.loss),
        "loss_weights": plain(model.loss_weights),
        "metrics": plain(model.metrics_given),
        "weighted_metrics": None,
    }


def _compile(model: Model, config: dict[str, Any]) -> None:
    """Compile as the file says; a model that this library cannot train is loaded all the same."""
    try:
        loss = config.get("loss")
        loss = losses.deserialize(loss) if isinstance(loss, dict) else loss
        given = {key: config.get(key) for key in ("optimizer", "metrics", "loss_weights")}
        model.compile(loss=loss, **given)
        model.metrics  # noqa: B018  looks them up while custom_objects hold
    except (KeyError, TypeError, ValueError) as error:
        note(f"the model is loaded, but not compiled: {error}")


# --- weights as Keras 3 has them: a tree of groups ------------------------------------------------


def _children(model: Model) -> list[tuple[str, Any]]:
    """The layers of a model, by the names of their groups: dense, dense_1, ..."""
    seen: dict[str, int] = {}
    found = []
    entries = [*([model.inputs[0].layer] if isinstance(model, Sequential) else []), *model.layers]
    for layer in entries:
        kind = "functional" if type(layer) is Model else snake_case(layer.serialize()["class_name"])
        count = seen[kind] = seen.get(kind, -1) + 1
        found.append((kind if count == 0 else f"{kind}_{count}", layer))
    return found[1:] if isinstance(model, Sequential) else found


def _weights_as_h5(model: Model, memory: bool = False) -> bytes:
    buffer = io.BytesIO()
    with _h5py().File(buffer, "w") as file:
        _write_tree(model, file)
        if memory:
            _write_memory(model, file)
    return buffer.getvalue()


def _write_tree(model: Model, group: Any) -> None:
    group.require_group("vars").attrs["name"] = model.name
    layers = group.require_group("layers")
    for name, layer in _children(model):
        own = layers.create_group(name)
        if isinstance(layer, Model):
            _write_tree(layer, own)
            continue
        own.create_group("vars").attrs["name"] = layer.name
        for path, variables in layer.stored().items():
            for number, variable in enumerate(variables):
                own.create_dataset(f"{path}/{number}", data=variable.array)


def _read_tree(model: Model, group: Any) -> None:
    for name, layer in _children(model):
        own = group["layers"].get(name)
        needed = isinstance(layer, Model) or layer.get_weights()
        check(own is not None or not needed, f"weights of {layer.name} in the file", None)
        if isinstance(layer, Model):
            _read_tree(layer, own)
        elif layer.get_weights():
            stored = [own.get(path, {}) for path in layer.stored()]
            layer.set_weights([part[str(i)][()] for part in stored for i in range(len(part))])


def save_weights(model: Model, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights alone, as Keras 3 does."""
    path = _file_for(filepath, overwrite)
    if not path.name.endswith(".weights.h5"):
        note(f"{path}: files of weights are called ....weights.h5 today")
        if path.suffix not in (".h5", ".hdf5", ".keras"):
            path = path.with_name(f"{path.name}.weights.h5")
    model.weights or model.training_network  # noqa: B018  raises if it has none yet
    write_file(path, _weights_as_h5(model))


def load_weights(model: Model, filepath: Any, by_name: bool = False) -> None:
    """Read weights from a file of weights or of a whole model, of any version of Keras."""
    path = Path(filepath)
    other = path.with_name(f"{path.name}.weights.h5")  # what `save_weights` made of this name
    data = (other if other.exists() and not path.is_file() else path).read_bytes()
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read("model.weights.h5")
    with _h5py().File(io.BytesIO(data), "r") as file:
        if "layer_names" in file.attrs or "model_weights" in file:
            _read_list(model, file.get("model_weights", file), by_name)
        else:
            _build_from_tree(model, file)
            _read_tree(model, file)


def _build_from_tree(model: Model, file: Any) -> None:
    """Give a stack of rows that has not seen them the shape of the first kernel in the file."""
    if hasattr(model, "outputs") or model.weights:
        return
    first = file["layers"].get(snake_case(type(model.layers[0]).__name__), {})
    kernel = first.get("vars", {}).get("0")
    known = kernel is not None and len(kernel.shape) == 2
    check(known, "a model that has seen its inputs", model.name, "build it")
    model.build((None, kernel.shape[0]))


# --- .h5, as Keras 1, 2 and 3 have it: a list of layers -------------------------------------------


def _as_h5(model: Model) -> bytes:
    buffer = io.BytesIO()
    architecture = {key: value for key, value in model.serialize().items() if key != "module"}
    with _h5py().File(buffer, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = VERSION, "numpy"
        file.attrs["model_config"] = json.dumps(architecture)
        if model.compiled:
            config = _compile_config(model)
            optimizer = config.pop("optimizer")
            config["optimizer_config"] = optimizer
            file.attrs["training_config"] = json.dumps(config)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            own = group.create_group(layer.name)
            names = [f"{i}_{v.path}".encode() for i, v in enumerate(layer.weights)]
            own.attrs["weight_names"] = names if names else np.array([], "S1")
            for name, array in zip(names, _arrays_of(layer), strict=True):
                own.create_dataset(name.decode(), data=array)
        _write_memory(model, file)
    return buffer.getvalue()


def _arrays_of(layer: Any) -> list[Array]:
    """The weights of a layer, or of a model's layers: those that are trained first, as in Keras."""
    if not isinstance(layer, Model):
        return layer.get_weights()
    return [v.numpy() for v in (*layer.trainable_weights, *layer.non_trainable_weights)]


def _from_h5(data: bytes) -> tuple[Model, Any, list[Array]]:
    with _h5py().File(io.BytesIO(data), "r") as file:
        advice = "make the model, then load_weights"
        check("model_config" in file.attrs, "a whole model", "weights alone", advice)
        model = model_from(json.loads(_text(file.attrs["model_config"])))
        _read_list(model, file["model_weights"], by_name=False)
        compiled = json.loads(_text(file.attrs.get("training_config", "null")))
        memory = _read_memory(file)
        if group := file.get("optimizer_weights"):  # of Keras
            memory = [group[_text(name)][()] for name in group.attrs["weight_names"]]
    compiled = compiled and compiled | {"optimizer": compiled.get("optimizer_config")}
    return model, compiled, memory


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_list(model: Model, group: Any, by_name: bool) -> None:
    names = [_text(name) for name in group.attrs["layer_names"]]
    stored = {n: [group[n][_text(w)][()] for w in group[n].attrs["weight_names"]] for n in names}
    if by_name:
        pairs = [(layer, stored[layer.name]) for layer in model.layers if layer.name in stored]
    else:
        layers = [layer for layer in model.layers if layer.weights]
        arrays = [found for found in stored.values() if found]
        check(len(layers) == len(arrays), f"weights of {len(layers)} layers", len(arrays))
        pairs = list(zip(layers, arrays, strict=True))
    for layer, found in pairs:
        if isinstance(layer, Model):
            variables = (*layer.trainable_weights, *layer.non_trainable_weights)
            for variable, array in zip(variables, found, strict=True):
                variable.assign(array)
        else:
            layer.set_weights(found)


# --- .npz -----------------------------------------------------------------------------------------


def _from_npz(path: Path) -> Model:
    network, entries = Network.load(path), []
    for layer in network.get_config()["layers"]:
        config = {key: value for key, value in layer.items() if value is not None}
        entries.append({"class_name": config.pop("class"), "config": config})
    model = model_from({"layers": entries, "build_input_shape": [None, *network.input_shape]})
    model.set_weights(network.get_weights())
    return model


def to_network(model: Model) -> Network:
    """The model as a `digits.Sequential`, which reads photographs: a chain of layers that
    digits.nn has, ending in a softmax or in logits.
    """
    chain = [step.layer for step in model.training_network.steps]
    straight = all(step.sources == (i,) for i, step in enumerate(model.training_network.steps))
    cores: list[Core] = [core for layer in chain for core in layer.cores]
    known = all(layer.cores for layer in chain) and {type(c) for c in cores} <= {*LAYERS.values()}
    fits, expected = straight and known, "a chain of layers that digits.nn has, for a .npz file"
    check(fits and len(model.outputs) == 1, expected, model.name, "save to .keras instead")
    shape = model.inputs[0].sizes
    copies = [type(core)(**core.get_config()) for core in cores]
    network = Network([Input(shape), *copies])
    for core, copied in zip(cores, copies, strict=True):
        for stored, arrays in ((copied.weights, core.weights), (copied.buffers, core.buffers)):
            for key, array in arrays.items():
                stored[key][...] = array
    return network
