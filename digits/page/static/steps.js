// One digit step by step: forward through the layers, the loss, and the gradient backward.  Each
// step shows its formula and its numbers.

import { className, describe } from "./inside.js";
import { askAbout, chosenDigit, reading } from "./reading.js";
import { number, text } from "./texts.js";
import { $, bars, element, on, option, paintTiles, percent } from "./tools.js";

const PACE = 1600; // milliseconds a step is shown when it plays

// The formulas of each step, and the chapter of the guide where they are: [forward, backward, chapter].
const FORMULAS = {
  Normalization: ["y = (x − μ) / σ", "dx = dy / σ", 1],
  Rescaling: ["y = s x + o", "dx = s dy"],
  ZeroPadding2D: ["y[p+k, q+k] = x[p, q]", "dx[p, q] = dy[p+k, q+k]"],
  Conv2D: ["a[p,q,f] = Σ x[p+i, q+j, c] W[i,j,c,f] + b[f],  y = f(a)", "da = dy f′(a)\ndW[i,j,c,f] = Σ x[p+i, q+j, c] da[p,q,f]\ndx[a,b,c] = Σ da[a−i, b−j, f] W[i,j,c,f]", 7],
  MaxPooling2D: ["y = max xᵢ", "dxᵢ = dy · [xᵢ = y]", 7],
  AveragePooling2D: ["y = Σ xᵢ / n", "dxᵢ = dy / n", 7],
  Subsampling2D: ["a = w · Σ xᵢ / n + b,  y = f(a)", "da = dy f′(a)\ndw = Σ da · Σ xᵢ / n,  db = Σ da,  dxᵢ = w da / n"],
  BatchNormalization: ["z = (x − μ) / s,  s = √(v + ε),  y = γ z + β", "dγ = Σ dy z,  dβ = Σ dy,  dx = γ dy / s", 9],
  Activation: ["y = f(x)", "dx = dy f′(x)", 4],
  Dense: ["a = x W + b,  y = f(a)", "da = dy f′(a)\ndW = xᵀ da,  db = Σ da,  dx = da Wᵀ", 4],
  loss: ["yₖ = exp(aₖ) / Σ exp(aⱼ),  L = −Σ tₖ log yₖ\nda = y − t", "", 3],
  pixels: ["dL/dx", "", 4],
  Maxout: ["y = maxₖ (x Wₖ + bₖ)", "dWₖ = xᵀ dy · [y = x Wₖ + bₖ]"],
};

let pass = null; // what the server answered
let at = 0;
let timer = 0;

export async function showSteps() {
  if (!chosenDigit()) return stop();
  if (!pass) $("step-title").textContent = text("busy");
  const { value } = $("target");
  const asked = value === "" || value >= reading.classes ? chosenDigit().digit : Number(value);
  const answer = await askAbout(`/steps?target=${asked}`);
  if (!answer) return;
  pass = answer;
  $("target").replaceChildren(...pass.probabilities.map((_, i) => option(i, className(i))));
  $("target").value = asked;
  showStep(Math.min(at, pass.steps.length - 1));
}

/** A new digit is right as it was read, until somebody says otherwise. */
export const forgetTarget = () => ($("target").value = "");

function showStep(index) {
  if (!pass) return;
  at = Math.min(Math.max(index, 0), pass.steps.length - 1);
  const step = pass.steps[at];
  const isLast = step.layer === pass.steps.findLast((one) => one.phase === "forward").layer;
  const title = text(`phase.${step.phase}`, step.kind ? describe(step.kind)[0] : number(pass.loss));
  const [forward, backward, chapter] = FORMULAS[step.kind ?? step.phase] ?? ["", ""];
  $("step-of").textContent = text("stepOf", at + 1, pass.steps.length);
  $("step-title").textContent = title;
  $("step-formula").textContent = step.phase === "backward" ? backward : forward;
  $("step-chapter").textContent = chapter ? text("chapter", chapter) : "";
  $("step-progress").style.transform = `scaleX(${(at + 1) / pass.steps.length})`;
  const isLoss = step.phase === "loss";
  $("step-tiles").hidden = isLoss;
  if (isLoss) {
    const rows = pass.probabilities.map((p, i) => [className(i) + (i === pass.target ? " ✓" : ""), p, percent(p)]);
    $("step-more").replaceChildren(bars(rows));
  } else {
    const labels = isLast && step.height === 1 ? [...Array(step.maps).keys()].map(className) : undefined;
    paintTiles($("step-tiles"), step, { labels, largest: step.maps === 1 ? 224 : labels ? 48 : 110 });
    $("step-tiles").ariaLabel = title;
    const norms = Object.entries(step.norms ?? {});
    $("step-more").replaceChildren(...norms.map(([weight, norm]) =>
      element("p", { textContent: text("gradientNorm", weight, number(norm)) })));
  }
}

export function stop() {
  clearInterval(timer);
  timer = 0;
  $("step-play").textContent = text("play");
}

function play() {
  if (timer) return stop();
  if (pass && at === pass.steps.length - 1) showStep(0);
  $("step-play").textContent = text("pauseShow");
  timer = setInterval(() => {
    if (!pass || at >= pass.steps.length - 1) return stop();
    showStep(at + 1);
  }, PACE);
}

const move = (to) => () => (stop(), showStep(to()));
on($("step-first"), "click", move(() => 0));
on($("step-back"), "click", move(() => at - 1));
on($("step-next"), "click", move(() => at + 1));
on($("step-play"), "click", play);
on($("target"), "change", showSteps);
