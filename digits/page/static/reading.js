// What the network reads: it is asked whenever the paper has changed.  The page then shows the
// digits, the frames around them, and how sure the network is.

import * as paper from "./paper.js";
import { language, number, say, text } from "./texts.js";
import { $, ask, bytes, color, complain, element, fit, on, paintDigit, percent } from "./tools.js";

const certainty = (p) => percent(Math.min(p, 0.999)); // no network is certain

const SLOW = 250; // milliseconds after which a busy sign is shown
const PACE = 250; // milliseconds between two looks inside while one draws

export let reading = null; // the server's latest answer
export let network = "first"; // the network that reads
let answers = {}; // about the digits of this reading
let chosen = 0; // which of its digits is looked at
let touched = 0; // when the paper last changed, in milliseconds
let told = 0; // when the others last looked at the digit
let asking = false;
let again = false;
let busy = 0;
let watcher = () => {};

/** The digit that is looked at, or undefined. */
export const chosenDigit = () => reading?.digits[chosen];
/** `watch()` is called when another digit is looked at, or the same one anew. */
export const watchReading = (watch) => (watcher = watch);
export const withNetwork = (path) => `${path}${path.includes("?") ? "&" : "?"}network=${network}`;

/** What the server answers about the chosen digit, asked once for each reading; undefined if there is
 * no digit, or by then another. */
export async function askAbout(path) {
  const digit = chosenDigit();
  if (!digit) return undefined;
  const question = `${chosen}${path}`;
  const forget = (error) => (delete answers[question], Promise.reject(error));
  const answer = await (answers[question] ??= ask(withNetwork(path), bytes(digit.image)).catch(forget));
  return digit === chosenDigit() ? answer : undefined;
}

export function readWith(name) {
  network = name;
  $("network").value = name;
  read();
}

/** Read what is on the paper now; while an answer is awaited, only the newest question counts. */
export async function read() {
  touched = performance.now();
  $("reading").ariaBusy = "true";
  again = true;
  if (asking) return;
  asking = true;
  busy = setTimeout(() => ($("busy").hidden = false), SLOW);
  while (again) {
    again = false;
    await readOnce();
  }
  clearTimeout(busy);
  $("busy").hidden = true;
  asking = false;
  $("reading").ariaBusy = "false";
}

function tell() {
  told = performance.now();
  return watcher();
}

async function readOnce() {
  const [since, sheet, { photo, strokes }] = [touched, paper.sheet, paper.sheet];
  const isCurrent = () => photo === paper.sheet.photo && (strokes.length === 0) === (paper.sheet.strokes.length === 0);
  try {
    let answer = null;
    if (photo) answer = await ask(withNetwork("/photo"), photo.file);
    else if (strokes.length) answer = await ask(withNetwork("/drawing"), paper.png());
    if (!isCurrent()) return;
    [reading, answers] = [answer, {}];
    chosen = nearest(sheet.strokes.at(-1)?.at(-1));
    show(performance.now() - since);
    // Before the next question, as the browser and the server share the processors; seldom while
    // one draws, as the next question waits for it.
    if (!again || performance.now() - told > PACE) await tell();
  } catch (error) {
    if (!isCurrent()) return;
    reading = null;
    show(0);
    await tell();
    if (error.code === "picture") paper.undo(); // what was there before
    complain(error);
  }
}

/** Where what was read lies on the paper: a photo fits into it, a drawing is the paper. */
const place = () => (paper.sheet.photo ? paper.placeOf(reading.size) : [0, 0, paper.UNITS / reading.size[0]]);

/** How far a point, in units, is from the box of a digit. */
function distance([x, y], { box }) {
  const [left, top, scale] = place();
  const [u, v, w, h] = box.map((n) => n * scale);
  return Math.hypot(Math.max(left + u - x, 0, x - left - u - w), Math.max(top + v - y, 0, y - top - v - h));
}

/** The digit that is being drawn: its box is the nearest to the pen. */
function nearest(point) {
  const digits = reading?.digits ?? [];
  if (!point || !digits.length) return 0;
  const distances = digits.map((digit) => distance(point, digit));
  return distances.indexOf(Math.min(...distances));
}

/** Choose the framed digit at a point; false if there is none. */
export function chooseAt(point) {
  const index = (reading?.digits ?? []).findIndex((digit) => distance(point, digit) <= 5);
  if (index >= 0) choose(index);
  return index >= 0;
}

function choose(index) {
  const count = reading?.digits.length ?? 0;
  if (!count) return;
  chosen = (index + count) % count;
  showChosen();
  tell();
}

export const chooseNext = (step) => choose(chosen + step);

// --- showing -------------------------------------------------------------------------------------

/** A frame around each digit that was found, a bold one around the chosen one; dashes around what
 * cannot be read. */
export function frames(context) {
  if (!reading) return;
  const [left, top, scale] = place();
  const gap = Math.min(5, ...reading.digits.map(({ box }) => box[3] * scale / 12));
  const frame = (box, stroke, width) => {
    const [x, y, w, h] = box.map((n) => n * scale);
    const sides = [left + x - gap, top + y - gap, w + 2 * gap, h + 2 * gap];
    Object.assign(context, { strokeStyle: color("--paper"), lineWidth: width + 1 });
    if (paper.sheet.photo) context.strokeRect(...sides);
    Object.assign(context, { strokeStyle: stroke, lineWidth: width });
    context.strokeRect(...sides);
  };
  reading.digits.forEach((digit, index) =>
    frame(digit.box, color(digit.unsure ? "--minus" : "--plus"), index === chosen ? 1.8 : 0.8));
  context.setLineDash([5, 4]);
  for (const box of reading.unread) frame(box, color("--minus"), 1.4);
  context.setLineDash([]);
}

let milliseconds = 0;

export function show(took = milliseconds) {
  milliseconds = took;
  const digits = reading?.digits ?? [];
  const rows = (reading?.rows ?? []).map((_, row) => {
    const line = digits.filter((digit) => digit.row === row);
    return element("p", {}, ...line.map(({ digit, unsure }) =>
      element("span", { className: unsure ? "unsure" : "", textContent: digit })));
  });
  const nothing = text(reading ? "noDigit" : "nothing");
  const shown = rows.length ? rows : [element("p", { className: "empty", textContent: nothing })];
  // An unchanged answer is not said again.
  if ($("reading").innerHTML !== shown.map((line) => line.outerHTML).join("")) $("reading").replaceChildren(...shown);
  const parts = [];
  if (reading?.unread.length) parts.push(text("unread"));
  if (digits.length) parts.push(sureness(digits), text("answered", Math.round(took)));
  if (reading) say($("about"), "about", number(reading.parameters, 9));
  $("doubt").textContent = parts.join(language === "zh" ? "" : " ");
  showDigits(digits);
  showChosen();
}

function sureness(digits) {
  const least = digits.reduce((a, b) => (b.confidence < a.confidence ? b : a));
  const { digit, second, confidence, unsure } = least;
  if (unsure) return text("unsure", digit, certainty(confidence), second);
  return digits.length > 1 ? text("leastSure", digit, certainty(confidence)) : text("sure", certainty(confidence));
}

/** A button for each digit, where there are several. */
function showDigits(digits) {
  const buttons = digits.length < 2 ? [] : digits.map((digit, index) => {
    const canvas = element("canvas", { width: 28, height: 28 });
    paintDigit(canvas, bytes(digit.image));
    const button = element("button", { type: "button", ariaPressed: "false" }, canvas);
    button.ariaLabel = text("foundOne", index + 1, digit.digit);
    on(button, "click", () => choose(index));
    return button;
  });
  $("digits").replaceChildren(...buttons);
}

function showChosen() {
  const digit = chosenDigit();
  paper.paint();
  fit($("seen"));
  paintDigit($("seen"), digit ? bytes(digit.image) : new Uint8Array(784));
  [...$("digits").children].forEach((button, index) => (button.ariaPressed = String(index === chosen)));
  const p = digit ? [...digit.probabilities] : [];
  p.push(1 - p.reduce((sum, value) => sum + value, 0)); // what is left is "none"
  [...$("bars").tBodies[0].rows].forEach((row, answer) => {
    const first = answer === digit?.digit;
    row.hidden = answer === reading?.classes; // a network without "none"
    row.className = first ? (digit.unsure ? "first unsure" : "first") : "";
    row.querySelector("i").style.transform = `scaleX(${digit ? Math.max(0, p[answer]) : 0})`;
    row.cells[2].textContent = digit ? certainty(Math.max(0, p[answer])) : "";
  });
}
