// Training on the page: what is chosen, the commands, and teaching.  The server sends the state of
// the training a few times a second.

import { chosenDigit, network, read, readWith, withNetwork } from "./reading.js";
import { number, text } from "./texts.js";
import { $, ask, bytes, color, complain, element, on, option, paintTiles, percent, sentence, tableRow, thumbnail } from "./tools.js";

const RUNNING = ["preparing", "training", "paused"];
const CHOICES = { // what suits each network: optimizer, learning rate, batch size, epochs
  "two-layer": ["sgd", 0.5, 100, 10],
  mlp: ["momentum", 0.02, 32, 5],
  "mlp-adam": ["adam", 0.001, 32, 5],
  lenet5: ["adam", 0.002, 64, 4],
  fast: ["adam", 0.003, 64, 2],
  layers: ["adam", 0.002, 64, 4],
};

let state = { state: "none" };
let layers = [
  { kind: "conv", units: 8, kernel: 5, activation: "relu", rate: 0.5 },
  { kind: "max_pool", units: 8, kernel: 5, activation: "relu", rate: 0.5 },
  { kind: "dense", units: 64, kernel: 5, activation: "relu", rate: 0.5 },
];
const examples = []; // {image, label}, the visitor's own

// --- choosing ------------------------------------------------------------------------------------

const choice = (label, input) => element("label", {}, element("span", { textContent: text(label) }), input);

function options(names, value, change) {
  const select = element("select", {}, ...names.map((name) => option(name, text(name))));
  select.value = value;
  on(select, "change", () => change(select.value));
  return select;
}

function numberInput(value, most, change, step = 1) {
  const input = element("input", { type: "number", min: step < 1 ? 0 : 1, max: most, step, value });
  on(input, "change", () => change(Number(input.value)));
  return input;
}

export function showLayerList() {
  const redraw = (layer, key) => (value) => ((layer[key] = value), key === "kind" && showLayerList());
  $("layer-list").replaceChildren(...layers.map((layer, index) => {
    const kinds = ["dense", "conv", "max_pool", "average_pool", "batch_norm", "dropout"];
    const fields = [choice("kind", options(kinds, layer.kind, redraw(layer, "kind")))];
    const sized = ["dense", "conv"].includes(layer.kind);
    if (sized) fields.push(choice("units", numberInput(layer.units, layer.kind === "dense" ? 1024 : 64, redraw(layer, "units"))));
    if (layer.kind === "conv") fields.push(choice("kernel", numberInput(layer.kernel, 9, redraw(layer, "kernel"))));
    if (sized) fields.push(choice("activation", options(["relu", "sigmoid", "tanh", "elu"], layer.activation, redraw(layer, "activation"))));
    if (layer.kind === "dropout") fields.push(choice("rate", numberInput(layer.rate, 0.9, redraw(layer, "rate"), 0.05)));
    const remove = element("button", { type: "button", textContent: text("remove") });
    remove.ariaLabel = text("removeLayer", index + 1);
    on(remove, "click", () => (layers.splice(index, 1), showLayerList()));
    return element("li", {}, ...fields, remove);
  }));
}

on($("add-layer"), "click", () => {
  layers.push({ kind: "dense", units: 32, kernel: 3, activation: "relu", rate: 0.5 });
  showLayerList();
});

on($("net"), "change", () => {
  $("own-layers").hidden = $("net").value !== "layers";
  const [optimizer, rate, batch, epochs] = CHOICES[$("net").value];
  for (const [name, value] of Object.entries({ optimizer, "learning-rate": rate, "batch-size": batch, epochs })) $(name).value = value;
});

const chosen = () => ({
  data: $("data").value,
  images: Number($("images").value),
  network: $("net").value,
  layers: $("net").value === "layers" ? layers : [],
  optimizer: $("optimizer").value,
  learning_rate: Number($("learning-rate").value),
  batch_size: Number($("batch-size").value),
  epochs: Number($("epochs").value),
  seed: Math.floor(Math.random() * 1e6),
});

// --- commanding ----------------------------------------------------------------------------------

function send(path, body) {
  complain(null);
  return ask(path, body);
}

const command = (name) => send("/training/command", { command: name });

on($("settings"), "submit", (event) => {
  event.preventDefault();
  return send("/training", chosen());
});
on($("train-pause"), "click", () => command(state.state === "paused" ? "continue" : "pause"));
on($("train-step"), "click", () => command("step"));
on($("train-stop"), "click", () => command("stop"));
on($("train-use"), "click", () => {
  readWith("trained");
  $("pad").scrollIntoView({ block: "center" });
});

// --- showing -------------------------------------------------------------------------------------

/** Hear of the training while the page is seen: a browser opens few connections at a time. */
export function listen() {
  let source = null;
  const listenWhileSeen = () => {
    source?.close();
    source = document.hidden ? null : listenTo(new EventSource("/training/events"));
  };
  on(document, "visibilitychange", listenWhileSeen);
  listenWhileSeen();
}

let latest = 0; // when the digits were read with the weights of then

function listenTo(source) {
  on(source, "message", (event) => {
    const before = state.state;
    state = JSON.parse(event.data);
    showTraining();
    const ended = RUNNING.includes(before) && !RUNNING.includes(state.state);
    if (state.taught && ended) readWith("trained");
    else if (network === "trained" && (ended || performance.now() - latest > 1000)) {
      latest = performance.now();
      read(); // with the weights of now
    }
  });
  return source;
}

export function showTraining() {
  const running = RUNNING.includes(state.state);
  const has = state.iterations !== undefined;
  const trains = has && state.kind !== "teaching";
  if (has) $("networks").hidden = false;
  $("train-start").disabled = running;
  for (const name of ["train-pause", "train-stop"]) $(name).disabled = !running || state.state === "preparing";
  $("train-step").disabled = state.state !== "paused";
  $("train-pause").textContent = text(state.state === "paused" ? "continue" : "pause");
  $("train-use").disabled = !has;
  if (has) $("keep").href = "/training/model";
  else $("keep").removeAttribute("href");
  const status = text(`state.${state.state}`, sentence(state));
  const accuracy = has ? percent(state.accuracy.at(-1)[2]) : "";
  let said = has
    ? text("progress", status, number(state.iteration, 6), number(state.iterations, 6), number(state.seconds, 4), accuracy)
    : status;
  // Guesses reach 10 ± 1.3 % of 500 images.
  const guesses = trains && !running && state.accuracy.at(-1)[2] < 0.15;
  if (guesses && state.state !== "failed") said += ` ${text("learnedNothing")}`;
  if ($("train-status").textContent !== said) $("train-status").textContent = said;
  $("train-accuracy").textContent = trains ? accuracy : "";
  $("train-bar").hidden = !running && !has;
  $("train-progress").style.transform = `scaleX(${(state.iteration ?? 0) / (state.iterations ?? 1)})`;
  $("watch").hidden = !trains;
  if (trains && $("watch").offsetParent) showNews();
  showTaught();
}

function showNews() {
  const { loss, iteration, accuracy } = state;
  const steps = loss.map((value, i) => [((i + 0.5) / loss.length) * iteration, value]);
  curve($("loss-curve"), [[steps, "--plus"]], true);
  const [test, train] = [2, 1].map((column) => accuracy.map((record) => [record[0], record[column]]));
  curve($("accuracy-curve"), [[train, "--minus"], [test, "--plus"]], false);
  $("loss-curve").ariaLabel = `${text("loss")}: ${number(loss.at(-1) ?? 0)}`;
  $("accuracy-curve").ariaLabel = `${text("accuracy")}: ${percent(test.at(-1)[1])}`;
  $("first-weights").parentElement.hidden = !state.weights; // where they are no images
  if (state.weights) paintTiles($("first-weights"), state.weights, { largest: 84 });
  $("misread").replaceChildren(...state.misread.map(({ image, label, answer }) => {
    const says = text("misreadOne", label, answer);
    return element("li", {}, thumbnail(bytes(image), says), element("small", { textContent: says }));
  }));
  $("none-misread").hidden = state.misread.length > 0;
  $("check").tBodies[0].replaceChildren(...state.check.map(({ name, analytic, numerical }) =>
    tableRow(name, ...[analytic, numerical].map((value) => value.toExponential(5)))));
}

/** Curves over the batches: [[[batch, value], ...], color], the axis of the values to the left. */
function curve(canvas, lines, logarithmic) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const values = lines.flatMap(([line]) => line.map(([, value]) => value)).filter((value) => value > 0 || !logarithmic);
  const ticks = logarithmic ? [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001] : [1, 0.98, 0.95, 0.9, 0.8, 0.5, 0];
  // Errors on a logarithmic scale, so that 0.98 and 0.99 can be told apart.
  const scaled = (value) => (logarithmic ? Math.log10(Math.max(value, 1e-4)) : -Math.log10(Math.max(1.02 - value, 0.02)));
  const [low, high] = logarithmic
    ? [Math.min(...values.map(scaled), -0.5), Math.max(...values.map(scaled), 0.4)]
    : [scaled(0), scaled(1)];
  const [left, bottom] = [44, 20];
  const x = (batch) => left + ((width - left - 8) * batch) / (state.iterations || 1);
  const y = (value) => 8 + ((height - bottom - 8) * (high - scaled(value))) / (high - low || 1);
  Object.assign(context, { font: "12px sans-serif", textBaseline: "middle", textAlign: "right", lineWidth: 1 });
  for (const tick of ticks) {
    if (scaled(tick) < low - 1e-9 || scaled(tick) > high + 1e-9) continue;
    Object.assign(context, { strokeStyle: color("--line"), fillStyle: color("--quiet") });
    context.beginPath();
    context.moveTo(left, y(tick));
    context.lineTo(width - 8, y(tick));
    context.stroke();
    context.fillText(logarithmic ? String(tick) : percent(tick), left - 6, y(tick));
  }
  Object.assign(context, { textBaseline: "alphabetic", fillStyle: color("--quiet") });
  context.fillText(number(state.iterations, 6), width - 8, height - 4);
  for (const [line, stroke] of lines) {
    Object.assign(context, { strokeStyle: color(stroke), lineWidth: 2, lineJoin: "round" });
    context.beginPath();
    line.forEach(([batch, value], i) => context[i ? "lineTo" : "moveTo"](x(batch), y(value)));
    context.stroke();
  }
}

// --- teaching ------------------------------------------------------------------------------------

export function showExamples() {
  const digit = chosenDigit();
  for (const button of $("labels").children) button.disabled = !digit;
  $("no-examples").hidden = examples.length > 0;
  $("examples").replaceChildren(...examples.map(({ image, label }, index) => {
    const button = element("button", { type: "button" }, thumbnail(bytes(image), ""), element("b", { textContent: label }));
    button.ariaLabel = text("removeExample", index + 1, label);
    on(button, "click", () => (examples.splice(index, 1), showExamples()));
    return element("li", {}, button);
  }));
  $("teach").disabled = !examples.length;
}

for (let label = 0; label < 10; label++) {
  const button = element("button", { type: "button", textContent: label });
  on(button, "click", () => {
    const { image } = chosenDigit();
    examples.push({ image, label });
    showExamples();
  });
  $("labels").append(button);
}

on($("teach"), "click", () =>
  send(withNetwork("/teach"), { examples, rehearse: $("rehearse").checked }));

function showTaught() {
  const teaching = state.kind === "teaching";
  $("teach").disabled = RUNNING.includes(state.state) || !examples.length;
  $("teach-status").textContent = !teaching ? "" : state.taught
    ? text("taught", state.taught.examples) : text(`state.${state.state}`, sentence(state));
  $("taught").hidden = !(teaching && state.taught);
  if ($("taught").hidden) return;
  const { before, after } = state.taught;
  const rows = [[text("ownDigits"), before.own, after.own], [text("otherDigits"), before.others, after.others]];
  before.each.forEach((value, digit) => rows.push([text("eachDigit", digit), value, after.each[digit]]));
  const change = { "-1": "minus", 0: "", 1: "plus" };
  $("taught").tBodies[0].replaceChildren(...rows.map(([name, then, now]) =>
    tableRow(name, percent(then), element("span", { textContent: percent(now), className: change[Math.sign(now - then)] }))));
}
