// The page: strokes and photos in, what the network answers out.  It holds the strokes as points and
// paints them anew whenever something changes; it asks the server whenever they have changed.

const UNITS = 600; // the paper is this many units wide on every screen
const PEN = 13; // units
const STEP = 9; // units that an arrow key moves the pen

const $ = (id) => document.getElementById(id);
const pad = $("pad");
const largestPhoto = Number(document.body.dataset.largestPhoto);

let strokes = []; // each a list of points [x, y], in units
let photo = null; // {file, bitmap}; the bitmap is null for a kind that the browser cannot show
let reading = null; // the server's last answer
let chosen = 0; // which of its digits is looked at
let sheet = 0; // counts the sheets of paper: an answer for an old one is thrown away
let touched = 0; // when the paper last changed, in milliseconds
let drawing = null; // the stroke that is being drawn
let keyboard = null; // the pen that the arrow keys move: {x, y, down}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const percent = (p) => (p > 0.995 ? "> 99 %" : `${Math.round(100 * p)} %`);
const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

// --- painting ------------------------------------------------------------------------------------

/** A canvas with as many pixels as the screen has there; returns how many make a CSS pixel. */
function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return ratio;
}

const unitsHigh = () => (UNITS * pad.clientHeight) / pad.clientWidth;

/** Strokes in one colour: smooth curves through the middles between points. */
function trace(context, color) {
  Object.assign(context, { strokeStyle: color, lineWidth: PEN, lineCap: "round", lineJoin: "round" });
  for (const points of strokes) {
    const [x, y] = points[0];
    context.beginPath();
    context.moveTo(x, y);
    for (let i = 1; i < points.length - 1; i++) {
      const [[u, v], [s, t]] = [points[i], points[i + 1]];
      context.quadraticCurveTo(u, v, (u + s) / 2, (v + t) / 2);
    }
    const [u, v] = points.at(-1);
    context.lineTo(u + 0.01, v); // a dot is a line, too
    context.stroke();
  }
}

/** Where the picture that was read lies on the paper: left, top and size of its pixels, in units. */
function placeOf([width, height]) {
  const scale = Math.min(UNITS / width, unitsHigh() / height);
  return [(UNITS - scale * width) / 2, (unitsHigh() - scale * height) / 2, scale];
}

function paint() {
  fit(pad);
  const context = pad.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, pad.width, pad.height);
  context.scale(pad.width / UNITS, pad.width / UNITS);
  if (photo?.bitmap) {
    const { width, height } = photo.bitmap;
    const [left, top, scale] = placeOf([width, height]);
    context.drawImage(photo.bitmap, left, top, scale * width, scale * height);
  }
  trace(context, color("--ink"));
  if (reading) boxes(context);
  if (keyboard && document.activeElement === pad) crosshair(context);
  $("prompt").hidden = Boolean(strokes.length || photo || keyboard);
}

/** A frame around each digit that was found, a bold one around the chosen one; dashes around what
 * cannot be read. */
function boxes(context) {
  const [left, top, scale] = placeOf(reading.size);
  reading.digits.forEach((digit, index) => {
    const [x, y, w, h] = digit.box.map((side) => side * scale);
    context.strokeStyle = context.fillStyle = color(digit.unsure ? "--minus" : "--plus");
    context.lineWidth = index === chosen ? 1.6 : 0.8;
    context.strokeRect(left + x - 5, top + y - 5, w + 10, h + 10);
  });
  context.strokeStyle = color("--minus");
  context.lineWidth = 0.8;
  context.setLineDash([4, 4]);
  for (const box of reading.unread) {
    const [x, y, w, h] = box.map((side) => side * scale);
    context.strokeRect(left + x - 5, top + y - 5, w + 10, h + 10);
  }
  context.setLineDash([]);
}

function crosshair(context) {
  const { x, y, down } = keyboard;
  Object.assign(context, { strokeStyle: color("--plus"), fillStyle: color("--plus"), lineWidth: 1.5 });
  context.beginPath();
  context.arc(x, y, PEN / 2 + 2, 0, 2 * Math.PI);
  if (down) context.fill();
  context.moveTo(x - 15, y), context.lineTo(x + 15, y);
  context.moveTo(x, y - 15), context.lineTo(x, y + 15);
  context.stroke();
}

/** Numbers as squares: above zero in one colour, below in the other, the larger the stronger.
 * `values` holds `maps` pictures one after the other, each `height` x `width`, of -127 to 127. */
function picture({ maps, height, width, values }) {
  const [plus, minus] = ["--plus", "--minus"].map((name) => packed(color(name)));
  const tiles = new OffscreenCanvas(width * maps, height);
  const image = new ImageData(width * maps, height);
  const pixels = new Uint32Array(image.data.buffer);
  let i = 0;
  for (let map = 0; map < maps; map++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, i++)
        pixels[(y * maps + map) * width + x] = (opacity(values[i]) << 24) | (values[i] > 0 ? plus : minus);
  tiles.getContext("2d").putImageData(image, 0, 0);
  return tiles;
}

/** 0 to 255 for -127 to 127; small numbers are made a little stronger, to be seen beside large ones. */
const opacity = (value) => Math.round(255 * (Math.abs(value) / 127) ** 0.75);

/** #rrggbb as a canvas holds it: red in the lowest byte, and the highest left for opacity. */
function packed(hex) {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  return (blue << 16) | (green << 8) | red;
}

// --- asking --------------------------------------------------------------------------------------

/** The strokes as a PNG: black on white, as many pixels as the paper has units. */
function png() {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: UNITS, height: Math.round(unitsHigh()) });
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  trace(context, "black");
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

/** What the server answers; an Error with a sentence for the page where there is no answer. */
async function ask(path, body) {
  const answer = await fetch(path, { method: "POST", body }).catch(() => null);
  if (!answer) throw Error("The server does not answer. Is draw_digit.py still running?");
  const content = await answer.json().catch(() => ({ error: `error ${answer.status}` }));
  if (!answer.ok) throw Error(`This cannot be read: ${content.error}.`);
  return content;
}

let asking = false;
let again = false;

/** Read what is on the paper now; while an answer is awaited, only the newest question counts. */
async function read() {
  $("reading").setAttribute("aria-busy", "true");
  again = true;
  if (asking) return;
  asking = true;
  while (again) {
    again = false;
    await readOnce();
  }
  asking = false;
  $("reading").setAttribute("aria-busy", "false");
}

async function readOnce() {
  const asked = sheet;
  const since = touched;
  try {
    let answer = null;
    if (photo) answer = await ask("/photo", photo.file);
    else if (strokes.length) answer = await ask("/drawing", await png());
    if (asked !== sheet) return;
    complain("");
    reading = answer;
    chosen = nearest(strokes.at(-1)?.at(-1));
    show(performance.now() - since);
    await showLayers();
  } catch (error) {
    if (asked === sheet) complain(error.message);
  }
}

/** The digit that is being drawn: its box is the nearest to the pen. */
function nearest(point) {
  const digits = reading?.digits ?? [];
  if (!point || !digits.length) return 0;
  const distances = digits.map(({ box: [x, y, w, h] }) =>
    Math.hypot(
      Math.max(x - point[0], 0, point[0] - x - w),
      Math.max(y - point[1], 0, point[1] - y - h),
    ),
  );
  return distances.indexOf(Math.min(...distances));
}

// --- showing -------------------------------------------------------------------------------------

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function complain(sentence) {
  $("trouble").textContent = sentence;
  $("trouble").hidden = !sentence;
}

function show(milliseconds) {
  $("undo").disabled = !strokes.length;
  $("clear").disabled = !strokes.length && !photo;
  const digits = reading?.digits ?? [];
  const rows = (reading?.rows ?? []).map((_, row) => {
    const line = digits.filter((digit) => digit.row === row);
    return element("p", {}, ...line.map(({ digit, unsure }) =>
      element("span", { className: unsure ? "unsure" : "", textContent: digit })));
  });
  const nothing = reading ? "No digit yet." : "Nothing yet.";
  const text = rows.length ? rows : [element("p", { className: "empty", textContent: nothing })];
  // An unchanged answer is not said again.
  if ($("reading").innerHTML !== text.map((line) => line.outerHTML).join(""))
    $("reading").replaceChildren(...text);
  const unread = reading?.unread.length ? "Unreadable: what is framed in dashes; leave room around digits. " : "";
  const sure = digits.length ? `${sureness(digits)} Answered in ${Math.round(milliseconds)} ms.` : "";
  $("doubt").textContent = unread + sure;
  showDigits(digits);
  showChosen();
}

function sureness(digits) {
  const least = digits.reduce((a, b) => (b.confidence < a.confidence ? b : a));
  const { digit, second, confidence, unsure } = least;
  if (unsure) return `Unsure: the ${digit} (${percent(confidence)}) may be a ${second}.`;
  const sure = percent(confidence).replace("> ", "over ");
  return digits.length > 1 ? `Least sure of the ${digit}: ${sure}.` : `${sure} sure.`.replace(/^o/, "O");
}

/** A button for each digit, where there are several. */
function showDigits(digits) {
  const buttons = digits.length < 2 ? [] : digits.map((digit, index) => {
    const canvas = element("canvas", { width: 28, height: 28 });
    paintDigit(canvas, digit);
    const button = element("button", { type: "button", ariaPressed: "false" }, canvas);
    button.setAttribute("aria-label", `digit ${index + 1}: ${digit.digit}`);
    button.addEventListener("click", () => choose(index));
    return button;
  });
  $("digits").replaceChildren(...buttons);
}

/** The 28 x 28 pixels of a digit, ink as ink. */
function paintDigit(canvas, digit) {
  const ratio = canvas.id ? fit(canvas) : 1;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const pixels = digit ? bytes(digit.image) : new Uint8Array(784);
  const side = canvas.width / 28;
  const gap = side > 4 ? ratio / 2 : 0;
  context.fillStyle = color("--ink");
  pixels.forEach((value, i) => {
    context.globalAlpha = canvas.id ? Math.max(value / 255, 0.035) : value / 255;
    const [x, y] = [(i % 28) * side, Math.floor(i / 28) * side];
    context.fillRect(x, y, side - gap, side - gap);
  });
  context.globalAlpha = 1;
}

function choose(index) {
  const count = reading?.digits.length ?? 0;
  if (!count) return;
  chosen = (index + count) % count;
  showChosen();
  showLayers().catch((error) => complain(error.message));
}

function showChosen() {
  const digit = reading?.digits[chosen];
  paint();
  paintDigit($("seen"), digit);
  $("seen").setAttribute("aria-label", digit ? `What it sees of the ${digit.digit}, 28 by 28 pixels` : "28 by 28 pixels");
  [...$("digits").children].forEach((button, index) => (button.ariaPressed = String(index === chosen)));
  const p = digit ? [...digit.probabilities] : [];
  p.push(1 - p.reduce((sum, value) => sum + value, 0)); // what is left is "none"
  [...$("bars").tBodies[0].rows].forEach((row, answer) => {
    const first = answer === digit?.digit;
    row.className = first ? (digit.unsure ? "first unsure" : "first") : "";
    row.querySelector("i").style.transform = `scaleX(${digit ? Math.max(0, p[answer]) : 0})`;
    row.cells[2].textContent = digit ? percent(Math.max(0, p[answer])) : "";
  });
}

// --- layer by layer ------------------------------------------------------------------------------

const SAYS = {
  normalization: "pixels with mean 0 and variance 1",
  rescaling: "pixels in another range",
  conv2d: "strong where a small filter fits",
  max_pooling2d: "the largest number of each small window",
  average_pooling2d: "the mean of each small window",
  subsampling2d: "the mean of each small window, trained",
  batch_normalization: "every map on one scale",
  activation: "each number bent by a function",
  dense: "each number a weighted sum of all before it",
  maxout: "the largest of several weighted sums",
  zero_padding2d: "a border of zeros",
  hidden: "sigmoids of weighted sums of all pixels",
  scores: "weighted sums, one for each answer",
};

async function showLayers() {
  const digit = reading?.digits[chosen];
  if (!digit) return $("layers").replaceChildren();
  const { layers } = await ask("/layers", bytes(digit.image));
  if (digit !== reading?.digits[chosen]) return;
  const names = layers.map((layer) => layer.name).join();
  if ($("layers").dataset.names !== names || !$("layers").children.length) {
    $("layers").dataset.names = names;
    const said = new Set();
    $("layers").replaceChildren(...layers.map((layer) => describe(layer, said)));
  }
  layers.forEach((layer, index) => {
    layer.values = new Int8Array(bytes(layer.values).buffer);
    paintLayer($("layers").children[index].querySelector("canvas"), layer);
  });
}

/** A layer's name, its shape, and the first time that its kind appears, what that does. */
function describe({ name, maps, height, width }, said) {
  const kind = name.replace(/_\d+$/, "");
  const shape = height * width > 1 ? `${height} × ${width} × ${maps}` : `${maps}`;
  const saying = said.has(kind) ? "" : (SAYS[kind] ?? "");
  said.add(kind);
  const canvas = element("canvas", { role: "img", ariaLabel: `outputs of ${name}` });
  const text = element("p", {}, name, " ", element("small", { textContent: shape }));
  if (saying) text.append(element("br"), element("small", { textContent: saying }));
  return element("li", {}, text, canvas);
}

/** All maps of a layer side by side, as many in a row as stay large enough to be seen. */
function paintLayer(canvas, layer) {
  const { maps, height, width } = layer;
  const most = height === 1 && maps > 64 ? 64 : maps > 16 ? 32 : 16;
  const columns = canvas.clientWidth < 500 ? most / 2 : most;
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.round(canvas.clientWidth * ratio);
  const pitch = wide / columns;
  const gap = Math.min(2 * ratio, pitch / 8);
  const tall = ((pitch - gap) * height) / width;
  Object.assign(canvas, { width: wide, height: Math.ceil((tall + gap) * Math.ceil(maps / columns)) });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const tiles = picture(layer);
  context.fillStyle = color("--paper");
  for (let map = 0; map < maps; map++) {
    const place = [(map % columns) * pitch, Math.floor(map / columns) * (tall + gap), pitch - gap, tall];
    context.fillRect(...place);
    context.drawImage(tiles, map * width, 0, width, height, ...place);
  }
}

// --- drawing -------------------------------------------------------------------------------------

function changed() {
  touched = performance.now();
  paint();
  read();
}

function newSheet() {
  sheet += 1;
  [strokes, photo, reading, chosen, drawing] = [[], null, null, 0, null];
  if (keyboard) keyboard.down = false;
  complain("");
  show(0);
  $("layers").replaceChildren();
}

function clear() {
  newSheet();
  changed();
}

function undo() {
  strokes.pop();
  drawing = null;
  changed();
}

function begin(point) {
  if (photo) newSheet();
  drawing = [point];
  strokes.push(drawing);
}

const inUnits = ({ clientX, clientY }) => {
  const { left, top, width } = pad.getBoundingClientRect();
  return [((clientX - left) * UNITS) / width, ((clientY - top) * UNITS) / width];
};

pad.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  pad.setPointerCapture(event.pointerId);
  keyboard = null;
  begin(inUnits(event));
  changed();
});

pad.addEventListener("pointermove", (event) => {
  if (!drawing || !event.isPrimary || keyboard) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  drawing.push(...(moves.length ? moves : [event]).map(inUnits));
  changed();
});

for (const end of ["pointerup", "pointercancel"])
  pad.addEventListener(end, (event) => event.isPrimary && (drawing = null));

// --- keyboard ------------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function movePen(event) {
  keyboard ??= { x: UNITS / 2, y: unitsHigh() / 2, down: false };
  if (event.key === " ") {
    keyboard.down = !keyboard.down;
    if (keyboard.down) begin([keyboard.x, keyboard.y]);
    else drawing = null;
  } else {
    const [dx, dy] = ARROWS[event.key].map((step) => step * STEP * (event.shiftKey ? 4 : 1));
    keyboard.x = Math.min(Math.max(keyboard.x + dx, 0), UNITS);
    keyboard.y = Math.min(Math.max(keyboard.y + dy, 0), unitsHigh());
    if (keyboard.down) drawing?.push([keyboard.x, keyboard.y]);
  }
  if (keyboard.down) changed();
  else paint();
}

document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if (event.altKey || ((event.ctrlKey || event.metaKey) && key !== "z")) return;
  if (event.target === pad && (event.key in ARROWS || event.key === " ")) movePen(event);
  else if (key === "z") undo();
  else if (key === "c" || key === "escape") clear();
  else if (key === "o") $("file").click();
  else if (key === "[") choose(chosen - 1);
  else if (key === "]") choose(chosen + 1);
  else return;
  event.preventDefault();
});

for (const change of ["focus", "blur"]) pad.addEventListener(change, paint);

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);
$("open").addEventListener("click", () => $("file").click());

// --- photos --------------------------------------------------------------------------------------

async function take(file) {
  if (!file) return;
  newSheet();
  const taken = sheet;
  if (file.size > largestPhoto)
    return complain(`This photo has ${Math.ceil(file.size / 2 ** 20)} MB; up to ${largestPhoto / 2 ** 20} MB are read.`);
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (taken !== sheet) return;
  photo = { file, bitmap };
  changed();
}

$("file").addEventListener("change", () => {
  take($("file").files[0]);
  $("file").value = ""; // so that the same photo can be chosen again
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files[0]);
});

// --- the screen ----------------------------------------------------------------------------------

function repaint() {
  showDigits(reading?.digits ?? []);
  showChosen();
  showLayers().catch(() => {});
}

new ResizeObserver(repaint).observe(pad);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
show(0);
