// Every text of the page, in English and in simplified Chinese, is in texts.json.  "{0}" stands for
// a value.

const TEXTS = await (await fetch("/page/texts.json")).json();

export let language = "en";

/** The text of this name in the language of the page. */
export function text(name, ...values) {
  const found = TEXTS[name]?.[language === "zh" ? 1 : 0] ?? name;
  return found.replace(/\{(\d)\}/g, (_, i) => values[i]);
}

export const isText = (name) => name in TEXTS;

/** Fill in every element that names its text (data-text), its label (data-label) or both. */
export function setLanguage(chosen) {
  language = chosen;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = text("title");
  for (const node of document.querySelectorAll("[data-text]"))
    node.textContent = text(node.dataset.text, ...(node.dataset.values?.split("|") ?? []));
  for (const node of document.querySelectorAll("[data-label]")) node.ariaLabel = text(node.dataset.label);
}

/** Give an element a text, which changes with the language. */
export function say(node, name, ...values) {
  node.dataset.text = name;
  node.dataset.values = values.join("|");
  node.textContent = text(name, ...values);
}

/** A number as it is written in the language of the page. */
export function number(value, digits = 3) {
  if (value && Math.abs(value) < 1e-3) return value.toExponential(digits - 1);
  return Number(value || 0).toLocaleString(language === "zh" ? "zh-CN" : "en-US", { maximumSignificantDigits: digits });
}
