// A look inside the network: what each layer makes of the chosen digit, and one unit of a layer.
// Below, why the network answers as it does.

import { askAbout, chosenDigit } from "./reading.js";
import { isText, text, number, say } from "./texts.js";
import { $, bars, bytes, color, element, fit, on, option, paintDigit, paintTiles, thumbnail } from "./tools.js";

const WEIGHTED = ["Conv2D", "Dense", "Maxout", "Subsampling2D"]; // a group of layers begins with one
const kindName = (kind) => (isText(`kind.${kind}`) ? text(`kind.${kind}`) : kind);
export const className = (index) => (index < 10 ? String(index) : text("none"));

let layers = []; // the outputs of every layer for the chosen digit
let unit = null; // {layer, row, column, map}
const SIZES = { map: "maps", row: "height", column: "width" }; // of a layer

/** The name of a layer in plain words, and what it does. */
export function describe(kind, isLast) {
  const says = isLast ? "says.logits" : `says.${kind}`;
  return [kindName(kind), isText(says) ? text(says) : ""];
}

// --- layer by layer ------------------------------------------------------------------------------

/** The layers that are shown: all, or of each group, such as convolution, pooling and activation,
 * the last one. */
function groups() {
  const found = [];
  for (const layer of layers) {
    if (WEIGHTED.includes(layer.kind) || !found.length) found.push([]);
    found.at(-1).push(layer);
  }
  if ($("all-layers").checked) return layers.map((layer) => [layer]);
  return found.filter((group) => WEIGHTED.includes(group[0].kind));
}

export async function showLayers() {
  const answer = await askAbout("/layers");
  if (!answer) return;
  layers = answer.layers;
  const shown = groups();
  const names = shown.map((group) => group.at(-1).name + document.documentElement.lang).join();
  if ($("layers").dataset.names !== names) {
    $("layers").dataset.names = names;
    const said = new Set();
    $("layers").after($("unit")); // there while the rows are made anew
    $("layers").replaceChildren(...shown.map((group) => row(group, said)));
    listLayers();
  }
  shown.forEach((group, index) => {
    const layer = group.at(-1);
    const item = $("layers").children[index];
    const canvas = item.querySelector("canvas");
    const isLast = layer === layers.at(-1);
    const labels = isLast ? [...Array(layer.maps).keys()].map(className) : undefined;
    const rows = $("all-layers").checked ? Infinity : 2;
    const isHere = group.some((one) => one.layer === unit?.layer);
    const at = paintTiles(canvas, layer, { labels, rows, largest: isLast ? 48 : 96, marked: isHere && unit.map });
    const pick = (found) => found && choose({ layer: layer.layer, row: found[0], column: found[1], map: found[2] });
    canvas.onclick = (event) => pick(at(event.offsetX, event.offsetY));
    canvas.onkeydown = ({ key }) => { if (key === "Enter") pick([layer.height >> 1, layer.width >> 1, 0]); };
    if (isHere && $("unit").parentElement !== item) {
      const focused = document.activeElement;
      item.append($("unit"));
      focused.focus();
    }
  });
  if (unit) await showUnit();
}

function row(group, said) {
  const layer = group.at(-1);
  const isLast = layer === layers.at(-1);
  const [name, description] = describe(group[0].kind, isLast);
  const says = said.has(description) ? "" : description;
  said.add(description);
  const then = group.slice(1).map(({ kind }) => ` → ${kindName(kind)}`).join("");
  const { maps, height, width } = layer;
  const shape = height * width > 1 ? text(maps > 1 ? "shape" : "oneMap", maps, height, width) : text("unitCount", maps);
  const canvas = element("canvas", { className: "pick" });
  Object.assign(canvas, { role: "button", tabIndex: 0, ariaLabel: text("outputs", name + then) });
  const lines = element("p", {}, element("b", { textContent: name }), then, element("br"), element("small", { textContent: shape }));
  if (says) lines.append(element("br"), element("small", { textContent: says }));
  return element("li", {}, lines, canvas);
}

// --- one unit ------------------------------------------------------------------------------------

function listLayers() {
  $("unit-layer").replaceChildren(...layers.map(({ layer, name, kind }) =>
    option(layer, `${kindName(kind)} (${name})`)));
}

function choose(wanted) {
  unit = wanted;
  return showLayers();
}

async function showUnit() {
  const layer = layers.find((one) => one.layer === unit.layer) ?? layers.at(-1);
  unit.layer = layer.layer;
  for (const name in SIZES) unit[name] = Math.min(Math.max(unit[name], 0), layer[SIZES[name]] - 1);
  const answer = await askAbout(`/unit?${new URLSearchParams(unit)}`);
  if (!answer) return;
  $("unit").hidden = false;
  $("unit-layer").value = unit.layer;
  for (const name in SIZES) {
    const most = layer[SIZES[name]] - 1;
    Object.assign($(`unit-${name}`), { value: unit[name], max: most, disabled: !most });
  }
  $("unit-value").textContent = text("unitValue", number(answer.value), number(answer.bias));
  $("unit-weights").hidden = !answer.weights;
  $("unit-no-weights").hidden = Boolean(answer.weights);
  if (answer.weights) paintTiles($("unit-weights"), answer.weights, { largest: answer.weights.maps > 1 ? 44 : 168 });
  const [left, top, width, height] = answer.field;
  $("unit-field-says").textContent = text("unitFieldSays", width, height);
  fit($("unit-field"));
  paintDigit($("unit-field"), bytes(chosenDigit().image), 0.75);
  const context = $("unit-field").getContext("2d");
  const side = $("unit-field").width / 28;
  Object.assign(context, { strokeStyle: color("--plus"), lineWidth: 2 * (window.devicePixelRatio || 1) });
  context.strokeRect(left * side + 1, top * side + 1, width * side - 2, height * side - 2);
  $("whole-map").disabled = layer.height * layer.width === 1;
  const added = $("whole-map").checked ? answer.map_contributions : answer.contributions;
  $("unit-adds").replaceChildren(bars(added.map((value, i) => [className(i), value, number(value, 2)])));
}

for (const name of ["layer", ...Object.keys(SIZES)])
  on($(`unit-${name}`), "change", (event) => choose({ ...unit, [name]: Number(event.target.value) }));
on($("whole-map"), "change", showUnit);
on($("all-layers"), "change", showLayers);

// --- why? ----------------------------------------------------------------------------------------

export async function showReasons() {
  const neighbors = askAbout(`/neighbors?data=${$("among").value}`); // slower at first
  neighbors.catch(() => {}); // told below
  const why = await askAbout("/reasons");
  if (!why) return;
  const { answer, patch } = why;
  say($("reasons-intro"), "reasonsIntro", answer);
  say($("saliency-says"), "saliencySays", answer);
  say($("occlusion-says"), "occlusionSays", answer, patch);
  for (const name of ["saliency", "occlusion"]) {
    const canvas = $(name);
    paintTiles(canvas, why[name], { largest: 1000 });
    const over = canvas.getContext("2d");
    const under = element("canvas", { width: canvas.width, height: canvas.height });
    paintDigit(under, bytes(chosenDigit().image), 0.3);
    over.drawImage(under, 0, 0);
  }
  if (!$("neighbors").children.length) say($("neighbors-says"), "busy");
  const near = await neighbors;
  if (!near) return;
  say($("neighbors-says"), "neighborsSays", number(near.images, 6));
  $("neighbors").replaceChildren(...near.neighbors.map(({ image: pixels, label, distance }) => {
    const says = text("neighborLabel", label, distance.toFixed(1));
    return element("li", {}, thumbnail(bytes(pixels), says), element("small", { textContent: says }));
  }));
}

on($("among"), "change", showReasons);
