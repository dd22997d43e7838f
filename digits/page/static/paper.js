// The paper: strokes as points, or a photo, and what was on it before, for undo and redo.  A mouse,
// a finger or the keyboard moves the pen and the eraser.

import { $, bytes, color, fit } from "./tools.js";

export const UNITS = 600; // the paper is this many units wide on every screen
const PEN = 13; // units
const RUBBER = 22; // units, radius of the eraser
const STEP = 9; // units that an arrow key moves the pen
const CLICK = 5; // units; who moves less has clicked, not drawn
const KEPT = 100; // sheets that can be undone

const pad = $("pad");

/** What is on the paper: strokes, each a list of points [x, y] in units, and a photo or null. */
export let sheet = { strokes: [], photo: null };
export let erasing = false;

export let past = []; // what undo brings back; redo, the future
export let future = [];
let started = null; // the sheet before the gesture that is going on
let last = null; // the latest point of that gesture
let pen = null; // the pen that the arrow keys move: {x, y, down}
let frames = () => {}; // paints what the network found
let changed = () => {};
let clicked = () => false;

export const isEmpty = () => !sheet.strokes.length && !sheet.photo;
const unitsHigh = () => (UNITS * pad.clientHeight) / pad.clientWidth;

/** `paintFrames(context, place)` paints over the ink, `onChange()` hears that something changed, and
 * `onClick(point)` returns whether a click meant something other than a dot. */
export function watchPaper(paintFrames, onChange, onClick) {
  [frames, changed, clicked] = [paintFrames, onChange, onClick];
}

// --- the sheets ----------------------------------------------------------------------------------

function remember(before) {
  past = [...past, before].slice(-KEPT);
  future = [];
}

/** Put something else on the paper; what was there can be had back. */
export function replace(next) {
  remember(sheet);
  sheet = next;
  changed();
}

export const clear = () => isEmpty() || replace({ strokes: [], photo: null });

export function undo() {
  if (!past.length) return;
  future.push(sheet);
  sheet = past.pop();
  end();
  if (pen) pen.down = false;
  changed();
}

export function redo() {
  if (!future.length) return;
  past.push(sheet);
  sheet = future.pop();
  changed();
}

export function setErasing(on) {
  erasing = on;
  pad.classList.toggle("erasing", on);
}

// --- gestures ------------------------------------------------------------------------------------

/** From the first point to the last, one gesture is one entry of the past. */
function begin(point) {
  started = sheet;
  last = point;
}

const end = () => ([started, last] = [null, null]);

function draw(points) {
  if (sheet === started) {
    // The first movement: a photo makes room, and can be had back by undo.
    const strokes = started.photo ? [] : started.strokes;
    remember(started);
    sheet = { strokes: [...strokes, [last]], photo: null };
  }
  sheet.strokes.at(-1).push(...points);
  last = points.at(-1);
  changed();
}

/** Take away the ink within the eraser's reach between the latest point and this one. */
function erase(point) {
  const near = ([x, y]) => {
    const [dx, dy] = [point[0] - last[0], point[1] - last[1]];
    const along = ((x - last[0]) * dx + (y - last[1]) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.min(Math.max(along, 0), 1);
    return Math.hypot(x - last[0] - t * dx, y - last[1] - t * dy) < RUBBER;
  };
  const left = sheet.strokes.flatMap((stroke) => {
    if (!stroke.some((p, i) => near(p) || (i && near(middle(p, stroke[i - 1]))))) return [stroke];
    const parts = [[]];
    for (const p of dense(stroke)) near(p) ? parts.push([]) : parts.at(-1).push(p);
    return parts.filter((part) => part.length);
  });
  last = point;
  if (left.length === sheet.strokes.length && left.every((stroke, i) => stroke === sheet.strokes[i])) return;
  if (sheet === started) remember(started);
  sheet = { ...sheet, strokes: left };
  changed();
}

const middle = ([x, y], [u, v]) => [(x + u) / 2, (y + v) / 2];

/** The same stroke with points that lie close to each other. */
function dense(stroke) {
  const points = [stroke[0]];
  for (let i = 1; i < stroke.length; i++) {
    const [[x, y], [u, v]] = [stroke[i - 1], stroke[i]];
    const n = Math.ceil(Math.hypot(u - x, v - y) / 4) || 1;
    for (let k = 1; k <= n; k++) points.push([x + ((u - x) * k) / n, y + ((v - y) * k) / n]);
  }
  return points;
}

const inUnits = ({ clientX, clientY }) => {
  const { left, top, width } = pad.getBoundingClientRect();
  return [((clientX - left) * UNITS) / width, ((clientY - top) * UNITS) / width];
};

pad.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  pad.setPointerCapture(event.pointerId);
  pen = null;
  begin(inUnits(event));
  if (erasing) erase(last);
});

// A stroke may begin on a sample that lies on the empty paper: it is one as soon as the pointer moves.
let pressed = null;
const prompt = $("prompt");
prompt.addEventListener("pointerdown", (event) => (pressed = event));
prompt.addEventListener("pointermove", (event) => {
  if (!pressed || !event.isPrimary || !(event.buttons & 1)) return;
  if (Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < CLICK) return;
  pad.setPointerCapture(event.pointerId);
  begin(inUnits(pressed));
  pressed = null;
});

pad.addEventListener("pointermove", (event) => {
  if (!last || !event.isPrimary || pen) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  const points = (moves.length ? moves : [event]).map(inUnits);
  if (erasing) return points.forEach(erase);
  const [x, y] = points.at(-1);
  if (sheet === started && Math.hypot(x - last[0], y - last[1]) < CLICK) return;
  draw(points);
});

pad.addEventListener("pointerup", (event) => {
  if (!last || !event.isPrimary) return;
  const isClick = sheet === started && !erasing;
  if (isClick && !clicked(last) && !sheet.photo) draw([last]); // a dot
  end();
});
pad.addEventListener("pointercancel", (event) => event.isPrimary && end());

// --- the keyboard --------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Whether a key moves the pen, or puts it down. */
export function movePen(event) {
  if (event.target !== pad || !(event.key in ARROWS || event.key === " ")) return false;
  pen ??= { x: UNITS / 2, y: unitsHigh() / 2, down: false };
  if (event.key === " ") {
    pen.down = !pen.down;
    if (pen.down) begin([pen.x, pen.y]);
    if (pen.down) erasing ? erase(last) : draw([[pen.x, pen.y]]);
    else end();
  } else {
    const [dx, dy] = ARROWS[event.key].map((step) => step * STEP * (event.shiftKey ? 4 : 1));
    pen.x = Math.min(Math.max(pen.x + dx, 0), UNITS);
    pen.y = Math.min(Math.max(pen.y + dy, 0), unitsHigh());
    if (pen.down && last) erasing ? erase([pen.x, pen.y]) : draw([[pen.x, pen.y]]);
  }
  paint();
  return true;
}

for (const change of ["focus", "blur"]) pad.addEventListener(change, () => paint());

// --- painting ------------------------------------------------------------------------------------

/** Strokes in one color: smooth curves through the middles between points. */
function trace(context, ink) {
  Object.assign(context, { strokeStyle: ink, lineWidth: PEN, lineCap: "round", lineJoin: "round" });
  for (const points of sheet.strokes) {
    context.beginPath();
    context.moveTo(...points[0]);
    for (let i = 1; i < points.length - 1; i++)
      context.quadraticCurveTo(...points[i], ...middle(points[i], points[i + 1]));
    const [u, v] = points.at(-1);
    context.lineTo(u + 0.01, v); // a dot is a line, too
    context.stroke();
  }
}

/** Where a picture lies on the paper: left, top and size of its pixels, in units. */
export function placeOf([width, height]) {
  const scale = Math.min(UNITS / width, unitsHigh() / height);
  return [(UNITS - scale * width) / 2, (unitsHigh() - scale * height) / 2, scale];
}

export function paint() {
  fit(pad);
  const context = pad.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, pad.width, pad.height);
  context.scale(pad.width / UNITS, pad.width / UNITS);
  const bitmap = sheet.photo?.bitmap;
  if (bitmap) {
    const [left, top, scale] = placeOf([bitmap.width, bitmap.height]);
    context.drawImage(bitmap, left, top, scale * bitmap.width, scale * bitmap.height);
  }
  trace(context, color("--ink"));
  frames(context);
  if (pen && document.activeElement === pad) crosshair(context);
  $("prompt").hidden = !isEmpty() || Boolean(pen);
}

function crosshair(context) {
  const { x, y, down } = pen;
  Object.assign(context, { strokeStyle: color("--plus"), fillStyle: color("--plus"), lineWidth: 1.5 });
  context.beginPath();
  context.arc(x, y, erasing ? RUBBER : PEN / 2 + 2, 0, 2 * Math.PI);
  if (down && !erasing) context.fill();
  context.moveTo(x - 15, y), context.lineTo(x + 15, y);
  context.moveTo(x, y - 15), context.lineTo(x, y + 15);
  context.stroke();
}

/** The strokes as a PNG: black on white, as many pixels as the paper has units. `toBlob` takes
 * six times as long, as it waits for the browser to be idle. */
export function png() {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: UNITS, height: Math.round(unitsHigh()) });
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  trace(context, "black");
  return bytes(canvas.toDataURL("image/png").split(",")[1]);
}

// --- an example that is drawn --------------------------------------------------------------------

/** Write an SVG path in a picture of 90 x 56 as a pen does, at once where motion is not wanted. */
export async function write(path) {
  const [left, top, scale] = placeOf([90, 56]);
  const paths = path.split("M").slice(1).map((part) => part.split(" ").map((point) => {
    const [x, y] = point.split(",").map(Number);
    return [left + scale * x, top + scale * y];
  }));
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return replace({ strokes: paths, photo: null });
  const mine = { strokes: [], photo: null };
  replace(mine);
  for (const points of paths) {
    mine.strokes.push([points[0]]);
    for (const point of points.slice(1)) {
      if (sheet !== mine) return; // somebody else draws, or undoes
      mine.strokes.at(-1).push(point);
      changed();
      await new Promise((resolve) => setTimeout(resolve, 16));
    }
  }
}
