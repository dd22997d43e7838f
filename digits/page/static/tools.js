// What all parts of the page use: elements, colors, pictures of numbers, and questions to the
// server.  It knows nothing of what the page is about.

import { isText, text } from "./texts.js";

export const $ = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const option = (value, textContent) => element("option", { value, textContent });

/** A row of a table: its head, and what is in its cells. */
export const tableRow = (head, ...cells) =>
  element("tr", {}, element("th", { scope: "row", textContent: head }), ...cells.map((cell) => element("td", {}, cell)));

let colors = {}; // as asking the style sheet takes time

/** A color of the style sheet, such as --ink. */
export const color = (name) => (colors[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim());
export const forgetColors = () => (colors = {});
export const percent = (p) => (p > 0.995 && p < 1 ? "> 99 %" : `${Math.round(100 * p)} %`);
export const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

let trouble = null; // what went wrong last: {code, values}, or an Error

export function complain(error) {
  trouble = error;
  showTrouble();
}

export function showTrouble() {
  $("trouble").textContent = trouble && (trouble.code ? sentence(trouble) : trouble.message);
  $("trouble").hidden = !trouble;
}

/** Act on an event; what goes wrong is told, and a fault of the page itself is logged, too. */
export const on = (node, event, act) =>
  node.addEventListener(event, async (happened) => {
    try {
      await act(happened);
    } catch (error) {
      complain(error);
      if (!error.code) throw error;
    }
  });

// --- the server ----------------------------------------------------------------------------------

/** What the server answers; throws {code, values} where there is no answer. */
export async function ask(path, body, attempts = 3) {
  const json = body && body.constructor === Object;
  const options = json
    ? { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }
    : { method: body === undefined ? "GET" : "POST", body };
  const answer = await fetch(path, options).catch(() => null);
  if (!answer) throw { code: "no_server" };
  const content = await answer.json().catch(() => ({ code: "request", values: [answer.status] }));
  if (answer.ok) return content;
  if (content.code === "busy" && attempts > 1 && !json) {
    await new Promise((resolve) => setTimeout(resolve, 400));
    return ask(path, body, attempts - 1);
  }
  throw content;
}

/** Why something cannot be done, in the language of the page; a value may be the name of a text. */
export const sentence = ({ code, values = [] }) =>
  text(`error.${code}`, ...values.map((value) => (isText(value) ? text(value) : value)));

// --- pictures of numbers -------------------------------------------------------------------------

/** A canvas with as many pixels as the screen has there; returns how many make a CSS pixel. */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return ratio;
}

/** #rrggbb as a canvas holds it: red in the lowest byte, and the highest left for opacity. */
function packed(hex) {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  return (blue << 16) | (green << 8) | red;
}

/** Maps side by side: above zero in one color, below in the other, the larger the stronger.  Small
 * numbers are made a little stronger, to be seen beside large ones. */
function sideBySide({ maps, height, width, values }) {
  const numbers = new Int8Array(bytes(values).buffer);
  const [plus, minus] = ["--plus", "--minus"].map((name) => packed(color(name)));
  const canvas = new OffscreenCanvas(width * maps, height);
  const image = new ImageData(width * maps, height);
  const pixels = new Uint32Array(image.data.buffer);
  let i = 0;
  for (let map = 0; map < maps; map++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, i++) {
        const opacity = Math.round(255 * (Math.abs(numbers[i]) / 127) ** 0.75);
        pixels[(y * maps + map) * width + x] = (opacity << 24) | (numbers[i] > 0 ? plus : minus);
      }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Paint the maps in rows, at most `rows`, as many in each as stay large enough to be seen; `labels`
 * stand below, a frame is around the map `marked`.  Returns what tells [row, column, map] of the
 * number at a point of the canvas. */
export function paintTiles(canvas, tiles, { largest = 96, labels, rows = Infinity, marked } = {}) {
  const { height, width } = tiles;
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const smallest = (height === 1 ? 11 : 34) * ratio;
  const columns = Math.max(1, Math.min(tiles.maps, Math.floor(wide / smallest), labels ? tiles.maps : 32));
  const maps = Math.min(tiles.maps, rows * columns);
  const pitch = Math.min(wide / columns, largest * ratio);
  const gap = Math.min(6 * ratio, pitch / 10);
  const tall = ((pitch - gap) * height) / width;
  const below = labels ? 18 * ratio : 0;
  const high = Math.ceil((tall + gap + below) * Math.ceil(maps / columns));
  if (canvas.width !== wide || canvas.height !== high) {
    Object.assign(canvas, { width: wide, height: high });
    canvas.style.aspectRatio = `${wide} / ${high}`;
  }
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, wide, high);
  context.imageSmoothingEnabled = false;
  Object.assign(context, { font: `${13 * ratio}px sans-serif`, textAlign: "center", textBaseline: "top" });
  const pictures = sideBySide(tiles);
  for (let map = 0; map < maps; map++) {
    const [left, top] = [(map % columns) * pitch, Math.floor(map / columns) * (tall + gap + below)];
    context.fillStyle = color("--paper");
    context.fillRect(left, top, pitch - gap, tall);
    context.drawImage(pictures, map * width, 0, width, height, left, top, pitch - gap, tall);
    context.strokeStyle = context.fillStyle = color("--quiet");
    context.lineWidth = 2 * ratio;
    if (map === marked) context.strokeRect(left, top, pitch - gap, tall);
    if (labels) context.fillText(labels[map], left + (pitch - gap) / 2, top + tall + 3 * ratio, pitch);
  }
  return (x, y) => {
    const [u, v] = [(x * canvas.width) / canvas.clientWidth, (y * canvas.width) / canvas.clientWidth];
    const map = Math.floor(v / (tall + gap + below)) * columns + Math.floor(u / pitch);
    const row = Math.min(Math.floor(((v % (tall + gap + below)) * height) / tall), height - 1);
    const column = Math.min(Math.floor(((u % pitch) * width) / (pitch - gap)), width - 1);
    return map < maps && u < pitch * columns ? [row, column, map] : null;
  };
}

/** The 28 x 28 bytes of a digit, ink as ink; `faint` paints them under something else. */
export function paintDigit(canvas, pixels, faint = 1) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const side = canvas.width / 28;
  const gap = side > 4 ? (window.devicePixelRatio || 1) / 2 : 0;
  context.fillStyle = color("--ink");
  pixels.forEach((value, i) => {
    context.globalAlpha = faint * Math.max(value / 255, side > 4 && faint === 1 ? 0.035 : 0);
    context.fillRect((i % 28) * side, Math.floor(i / 28) * side, side - gap, side - gap);
  });
  context.globalAlpha = 1;
}

/** A small picture of a digit; without a label it is one for the eye alone. */
export function thumbnail(pixels, label) {
  const canvas = element("canvas", { width: 28, height: 28, className: "thumbnail" });
  if (label) canvas.setAttribute("role", "img");
  Object.assign(canvas, label ? { ariaLabel: label } : { ariaHidden: "true" });
  paintDigit(canvas, pixels);
  return canvas;
}

/** Horizontal bars, a row each: [name, value, what is written]. */
export function bars(rows) {
  const most = Math.max(...rows.map(([, value]) => Math.abs(value)), 1e-9);
  return element("table", { className: "bars signed" }, element("tbody", {}, ...rows.map(([name, value, written]) => {
    const bar = element("i", { className: value < 0 ? "below" : "" });
    bar.style.transform = `scaleX(${Math.abs(value) / most})`;
    return tableRow(name, bar, written);
  })));
}
