// One digit step by step: forward through the layers, the loss, and the gradient backward.

import { className, classes, describe } from "./inside.js";
import { askAbout, chosenDigit } from "./reading.js";
import { number, text } from "./texts.js";
import { $, bars, element, paintTiles, percent } from "./tools.js";

const PACE = 1600; // milliseconds a step is shown when it plays

// The formula of each step, as in the guide: [forward, backward].
const FORMULAS = {
  Normalization: ["y = (x − μ) / σ", "dx = dy / σ"],
  Rescaling: ["y = s x + o", "dx = s dy"],
  ZeroPadding2D: ["y[p+k, q+k] = x[p, q]", "dx[p, q] = dy[p+k, q+k]"],
  Conv2D: ["y[p,q,f] = b[f] + Σ x[p+i, q+j, c] W[i,j,c,f]", "dW[i,j,c,f] = Σ x[p+i, q+j, c] dy[p,q,f]\ndx[p+i, q+j, c] = Σ dy[p,q,f] W[i,j,c,f]"],
  MaxPooling2D: ["y = max xᵢ", "dxᵢ = dy · [xᵢ = y]"],
  AveragePooling2D: ["y = Σ xᵢ / n", "dxᵢ = dy / n"],
  Subsampling2D: ["a = w · Σ xᵢ / n + b,  y = f(a)", "da = dy f′(a)\ndw = Σ da · Σ xᵢ / n,  db = Σ da,  dxᵢ = w da / n"],
  BatchNormalization: ["y = γ (x − μ) / √(σ² + ε) + β", "dγ = Σ dy (x − μ) / √(σ² + ε), dβ = Σ dy\ndx = dy γ / √(σ² + ε)"],
  Activation: ["y = f(x)", "dx = dy f′(x)"],
  Dense: ["a = x W + b,  y = f(a)", "da = dy f′(a)\ndW = xᵀ da,  db = Σ da,  dx = da Wᵀ"],
  Maxout: ["y = maxₖ (x Wₖ + bₖ)", "dWₖ = xᵀ dy · [y = x Wₖ + bₖ]"],
};

let pass = null; // what the server answered
let at = 0;
let timer = 0;

export async function showSteps() {
  if (!chosenDigit()) return stop();
  if (!pass) $("step-title").textContent = text("busy");
  const asked = $("target").value === "" ? chosenDigit().digit : Number($("target").value);
  const answer = await askAbout(`/steps?target=${asked}`);
  if (!answer) return;
  pass = answer;
  if ($("target").options.length !== classes())
    $("target").replaceChildren(...[...Array(classes()).keys()].map((i) => element("option", { value: i, textContent: className(i) })));
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
  const name = step.kind && describe(step.kind, false)[0];
  const [forward, backward] = FORMULAS[step.kind] ?? ["", ""];
  const titles = {
    forward: () => [text("forward", name), forward],
    loss: () => [text("lossStep", number(pass.loss)), "yₖ = exp(aₖ) / Σ exp(aⱼ),  L = −Σ tₖ log yₖ\nda = y − t"],
    backward: () => [text("backward", name), backward],
    pixels: () => [text("pixelsStep"), "dL/dx"],
  };
  const [title, formula] = titles[step.phase]();
  $("step-of").textContent = text("stepOf", at + 1, pass.steps.length);
  $("step-title").textContent = title;
  $("step-formula").textContent = formula;
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
$("step-first").addEventListener("click", move(() => 0));
$("step-back").addEventListener("click", move(() => at - 1));
$("step-next").addEventListener("click", move(() => at + 1));
$("step-play").addEventListener("click", play);
$("target").addEventListener("change", showSteps);
