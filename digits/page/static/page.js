// The page as a whole: tabs, photos, samples, keys, language and theme.  Here the paper, the reading
// and the panels below them are connected.

import { showLayers, showReasons } from "./inside.js";
import * as paper from "./paper.js";
import * as reader from "./reading.js";
import { forgetTarget, showSteps, stop } from "./steps.js";
import { language, setLanguage } from "./texts.js";
import { $, complain, forgetColors, on, showTrouble } from "./tools.js";
import { listen, showExamples, showLayerList, showTraining } from "./training.js";

const maxPhoto = Number(document.body.dataset.maxPhoto);

// --- tabs ----------------------------------------------------------------------------------------

const tabs = [...document.querySelectorAll("[role=tab]")];
const SHOW = { layers: showLayers, reasons: showReasons, steps: showSteps, training: showTraining, teach: showExamples };
let open = "layers";

function openTab(name, focus = false) {
  open = name;
  complain(null);
  if (name !== "steps") stop();
  for (const tab of tabs) {
    const mine = tab.id === `tab-${name}`;
    tab.ariaSelected = String(mine);
    tab.tabIndex = mine ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !mine;
    if (mine && focus) tab.focus();
  }
  showPanel();
}

function showPanel() {
  $(`panel-${open}`).classList.toggle("waiting", !reader.chosenDigit());
  return Promise.resolve(SHOW[open]()).catch(complain);
}

for (const tab of tabs) {
  const name = tab.id.slice(4);
  on(tab, "click", () => openTab(name));
  on(tab, "keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) openTab(tabs.at((tabs.indexOf(tab) + step) % tabs.length).id.slice(4), true);
  });
}

// --- what is on the paper ------------------------------------------------------------------------

function showTools() {
  $("undo").disabled = !paper.past.length;
  $("redo").disabled = !paper.future.length;
  $("clear").disabled = paper.isEmpty();
}

paper.watchPaper(reader.frames, () => {
  paper.paint();
  complain(null);
  forgetTarget();
  showTools();
  reader.read();
}, reader.chooseAt);
showTools();
reader.watchReading(showPanel);

async function take(file) {
  if (!file) return;
  if (file.size > maxPhoto) return complain({ code: "photo_too_large", values: [Math.ceil(file.size / 2 ** 20), maxPhoto / 2 ** 20] });
  const bitmap = await createImageBitmap(file).catch(() => null); // null for a kind that the browser cannot show
  paper.replace({ strokes: [], photo: { file, bitmap } });
}

on($("trouble"), "click", () => complain(null));
on($("file"), "change", () => {
  take($("file").files[0]);
  $("file").value = ""; // so that the same photo can be chosen again
});
on(document, "paste", (event) => take(event.clipboardData.files[0]));
on(document, "dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
on(document, "dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
on(document, "drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  take(event.dataTransfer.files[0]);
});

for (const button of document.querySelectorAll("[data-sample]"))
  on(button, "click", async () => {
    const path = button.querySelector("path");
    return path ? paper.write(path.getAttribute("d")) : take(await (await fetch("/page/sample.jpg")).blob());
  });

// --- buttons and keys ----------------------------------------------------------------------------

function setEraser(on) {
  paper.setErasing(on);
  $("eraser").ariaPressed = String(on);
}

const ACTIONS = {
  undo: paper.undo,
  redo: paper.redo,
  clear: paper.clear,
  eraser: () => setEraser(!paper.erasing),
  open: () => $("file").click(),
};
for (const [name, action] of Object.entries(ACTIONS)) on($(name), "click", action);

function actionOf(event) {
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  if (event.altKey) return undefined;
  if (key === "z") return event.shiftKey ? ACTIONS.redo : ACTIONS.undo;
  if (key === "y" && command) return ACTIONS.redo;
  if (command) return undefined;
  const keys = { c: ACTIONS.clear, escape: ACTIONS.clear, o: ACTIONS.open, e: ACTIONS.eraser };
  keys["["] = () => reader.chooseNext(-1);
  keys["]"] = () => reader.chooseNext(1);
  return keys[key];
}

on(document, "keydown", (event) => {
  if (event.target.matches("input:not([type=checkbox]), select")) return;
  if (paper.movePen(event)) return event.preventDefault();
  const action = actionOf(event);
  if (!action) return;
  action();
  event.preventDefault();
});

// --- language, theme and size --------------------------------------------------------------------

function speak(chosen) {
  setLanguage(chosen);
  showTrouble();
  showLayerList();
  showTraining();
  showExamples();
  reader.show();
  stop();
  showPanel();
}

on($("language"), "click", () => {
  const other = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", other);
  speak(other);
});

function setTheme(theme) {
  $("theme").value = theme;
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  repaint();
}

on($("theme"), "change", () => {
  localStorage.setItem("theme", $("theme").value);
  setTheme($("theme").value);
});

function repaint() {
  forgetColors();
  reader.show();
  showExamples();
  showPanel();
}

on($("network"), "change", () => reader.readWith($("network").value));
new ResizeObserver(repaint).observe($("pad"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
setTheme(localStorage.getItem("theme") ?? "auto");
speak(localStorage.getItem("language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"));
openTab("layers");
listen();
