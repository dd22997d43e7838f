// A tour of the page in a real browser, through every state that it can be in, at one size of the
// window, in English and light, in Chinese and dark.  Prints what is wrong, a line each.
//
//     PAGE_NPM=FOLDER node page_tour.mjs BROWSER ADDRESS SIZE [PICTURES]
//
// FOLDER has npm's puppeteer-core and axe-core; BROWSER is a path, SIZE desk, upright or across.
// With PICTURES, a folder, every state is kept there as PNG, in both languages and both themes.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.PAGE_NPM}/`);
const puppeteer = (await import(require.resolve("puppeteer-core"))).default;
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const SIZES = { desk: [1280, 900], upright: [390, 844], across: [844, 390] };

const [executablePath, address, size, pictures] = process.argv.slice(2);
const isFirefox = /firefox/.test(executablePath);
const [width, height] = SIZES[size];
const isPhone = size !== "desk";
const pointer = isPhone ? 1 : 6; // Firefox's number for a finger, or for a mouse
const browser = await puppeteer.launch({
  browser: isFirefox ? "firefox" : "chrome", executablePath, headless: true,
  args: isFirefox ? [] : ["--no-sandbox"],
  extraPrefsFirefox: { "intl.accept_languages": "en-US", "ui.primaryPointerCapabilities": pointer, "ui.allPointerCapabilities": pointer },
});
const page = await browser.newPage();
const emulated = isPhone && !isFirefox;
await page.setViewport({ width, height, deviceScaleFactor: emulated ? 2 : 1, isMobile: emulated, hasTouch: emulated });

const problems = [];
const problem = (where, what) => problems.push(`${size}, ${where}: ${what}`);
let expected = false; // whether the browser is about to complain of an answer that is an error
page.on("console", (message) => expected || (message.type() === "error" && problem("console", message.text())));
page.on("pageerror", (error) => problem("script", error.message));
page.on("request", (request) => request.url().startsWith(address) || request.url().startsWith("data:") || problem("request", request.url()));

const text = (id) => page.$eval(`#${id}`, (node) => node.textContent);
const click = (selector) => page.$eval(selector, (node) => node.click());
const choose = (id, value) => page.select(`#${id}`, value);
const until = (script, timeout = 60_000) => page.waitForFunction(script, { timeout });
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const settled = async () => {
  await pause(100);
  await until("document.getElementById('reading').ariaBusy === 'false'");
  await pause(pictures ? 200 : 100);
};
const status = (pattern, timeout) => until(`${pattern}.test(document.getElementById('train-status').textContent)`, timeout);
const expect = (where, is, what) => is || problem(where, what);

/** Draw lines, in parts of the paper's height. */
async function draw(...paths) {
  const box = await (await page.$("#pad")).boundingBox();
  for (const path of paths) {
    const places = path.map(([x, y]) => [box.x + x * box.height, box.y + y * box.height]);
    await page.mouse.move(...places[0]);
    await page.mouse.down();
    for (const place of places) await page.mouse.move(...place);
    await page.mouse.up();
  }
}

/** Look at one state in every language and theme. */
async function look(state) {
  for (const language of ["en", "zh"]) {
    for (const theme of pictures ? ["light", "dark"] : [language === "en" ? "light" : "dark"]) {
      const where = `${state}, ${language}, ${theme}`;
      await choose("theme", theme);
      await settled();
      const path = `${pictures}/${size}-${language}-${theme}-${state}.png`;
      if (pictures) await page.screenshot({ path, fullPage: !isPhone || !["empty", "scrolled"].includes(state) });
      await page.evaluate(AXE);
      for (const found of await page.evaluate("axe.run().then(({violations}) => violations.map((v) => v.id + ' ' + v.nodes[0].html))"))
        problem(where, found);
    }
    const [wide, cut, english] = await page.evaluate(() => {
      const own = (node) => [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent).join(" ").trim();
      const shown = [...document.querySelectorAll("body *")].filter((node) => node.offsetParent && own(node));
      return [
        document.documentElement.scrollWidth - innerWidth,
        shown.filter((node) => node.clientWidth > 2 && node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).display !== "inline").map(own),
        shown.map(own).filter((words) => /[A-Za-z]{4,} [A-Za-z]{3,}/.test(words) && !/784-|SGD/.test(words)),
      ];
    });
    expect(`${state}, ${language}`, wide <= 0, `wider than the window by ${wide}`);
    expect(`${state}, ${language}`, !cut.length, `cut off: ${cut.join(" | ")}`);
    if (language === "zh") expect(state, !english.length, `English in Chinese: ${english.join(" | ")}`);
    await click("#language");
  }
}

const tab = async (name) => (await click(`#tab-${name}`), settled());
const sample = async (name, digits = name) => {
  await click("#clear");
  await click(`[data-sample="${name}"]`);
  await until(`document.getElementById('reading').textContent === '${digits}'`);
  await pause(500);
  await settled();
};

await page.goto(address);
await until("document.getElementById('reading').textContent");
await look("empty");
for (const name of ["reasons", "steps", "teach"]) await tab(name), await look(`${name}-empty`);
await tab("layers");

// Drawing, undo, redo, a click on a frame, what cannot be read.
const reads = async (where, expected) => {
  await settled();
  const found = await text("reading");
  expect(where, expected === (/\d/.test(found) ? found : ""), `reads ${found}, not ${expected}`);
};
const press = async (...keys) => {
  for (const key of keys) await page.keyboard.down(key);
  for (const key of keys.reverse()) await page.keyboard.up(key);
};
const clickAt = async (x, y) => {
  const box = await (await page.$("#pad")).boundingBox();
  await page.mouse.click(box.x + x * box.height, box.y + y * box.height);
};
const one = [[0.3, 0.2], [0.28, 0.5], [0.26, 0.8]];
await draw(one);
await reads("drawing", "1");
await press("Control", "z");
await reads("undo", "");
await press("Control", "Shift", "Z");
await reads("redo", "1");
await draw(one.map(([x, y]) => [x + 0.6, y]));
await reads("a second digit", "11");
await clickAt(0.28, 0.5);
await reads("a click on a frame draws nothing", "11");
const chosen = () => page.$eval("#digits [aria-pressed=true]", (node) => [...node.parentElement.children].indexOf(node));
expect("a click on a frame", (await chosen()) === 0, "it does not choose that digit");
await press("c");
await reads("clear", "");
await press("z");
await reads("undo of clear", "11");
await press("z");
await reads("undo of the second digit", "1");
const zigzag = [...Array(30).keys()].map((i) => [0.6 + i * 0.02, 0.2 + 0.6 * (i % 2)]);
await draw(zigzag, zigzag.map(([x, y]) => [x, 1 - y]));
await settled();
await look("unread");
await click("#eraser");
await look("eraser");
await click("#eraser");

// The keyboard alone: the pen goes right and then down to the left, a 7.
await click("#clear");
await page.$eval("#theme", (node) => node.focus());
for (let i = 0; i < 3 && (await page.evaluate("document.activeElement.id")) !== "pad"; i++) await press("Tab");
for (const key of ["ArrowUp", "ArrowUp", "ArrowLeft"]) await press("Shift", key);
await press(" ");
for (let i = 0; i < 8; i++) await press("ArrowRight");
for (let i = 0; i < 7; i++) for (const key of ["ArrowDown", "ArrowDown", "ArrowLeft"]) await press(key);
await press(" ");
await reads("the keyboard", "7");
await look("keyboard");
await page.$eval("#pad", (node) => node.blur());

// A look inside.
await sample("2026");
await look("rows");
await sample("3");
await look("layers");
await click("#all-layers");
await settled();
await look("layers-all");
await click("#all-layers");
await settled();
await page.$eval("#layers canvas", (canvas) => canvas.scrollIntoView({ block: "center" }));
await (await page.$("#layers canvas")).click({ offset: { x: 20, y: 10 } });
await until("!document.getElementById('unit').hidden");
await look("unit");
if (isPhone) {
  await page.$eval("#unit", (node) => node.scrollIntoView());
  await pause(100);
  const seen = await page.$eval("#reading", (node) => node.getBoundingClientRect().bottom > 0 && node.getBoundingClientRect().top < innerHeight);
  expect("scrolled", seen, "the reading is out of view");
  await look("scrolled");
}
await tab("reasons");
await until("document.querySelectorAll('#neighbors li').length");
await look("reasons");
await tab("steps");
await until("document.getElementById('step-of').textContent");
const steps = Number((await text("step-of")).match(/of (\d+)/)[1]);
for (let i = 1; i <= steps; i++) {
  if (i === 2) await look("steps-forward");
  const title = await text("step-title");
  if (title.includes("the loss is")) await look("steps-loss");
  if (i === steps - 2) await look("steps-backward");
  if (i === steps) await look("steps-pixels");
  await click("#step-next");
}

// A training.
await tab("training");
await look("training-empty");
await choose("net", "layers");
await look("training-layers");
await choose("net", "two-layer");
await page.$eval("#learning-rate", (input) => (input.value = "10"));
await page.$eval("#images", (input) => (input.value = "99"));
expected = true;
await click("#train-start");
await until("!document.getElementById('trouble').hidden");
await look("training-refused");
expected = false;
await choose("net", "mlp-adam");
await choose("net", "lenet5");
await page.$eval("#images", (input) => (input.value = "12000"));
const began = Date.now();
await click("#train-start");
await until("!document.getElementById('watch').hidden");
await click("#train-pause");
await status("/^Paused/");
const paused = await text("train-status");
await pause(700);
expect("pause", paused === (await text("train-status")), "the training goes on while it is paused");
await look("training-paused");
await click("#train-step");
await until(`document.getElementById('train-status').textContent !== ${JSON.stringify(paused)}`);
await click("#train-pause");
await status("/^Done/", 120_000);
const [, accuracy] = (await text("train-status")).match(/accuracy (\d+)/);
expect("training", Number(accuracy) >= 93, `accuracy ${accuracy} %`);
console.error(`${size}: ${await text("train-status")} ${(Date.now() - began) / 1000} s with pauses`);
await look("training-done");
await click("#train-use");
await settled();

// Teaching.
await tab("teach");
for (const label of [4, 4, 8]) await click(`#labels button:nth-child(${label})`);
await look("teach");
await click("#teach");
await until("!document.getElementById('taught').hidden");
await look("taught");

// A photo, and what is none.
await choose("network", "first");
await tab("layers");
await sample("photo", "3141592653");
await look("photo");
await page.$eval("#pad", (node) => node.scrollIntoView({ block: "center" }));
await clickAt(0.4, 0.95);
await settled();
expect("a click on a photo", (await text("reading")).includes("314"), "discards it");
expected = true;
await page.evaluate(() => {
  const files = new DataTransfer();
  files.items.add(new File(["no picture"], "notes.png", { type: "image/png" }));
  document.dispatchEvent(Object.assign(new DragEvent("drop", { dataTransfer: files })));
});
await until("!document.getElementById('trouble').hidden");
await settled();
expect("no photo", (await text("reading")).includes("314"), "what was on the paper is gone");
await look("no-photo");

await browser.close();
for (const line of problems) console.log(line);
process.exit(problems.length ? 1 : 0);
