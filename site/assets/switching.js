/** Switching guide: an existing compose file in, the same with the chosen source out. */

import { inChina } from "./place.js";
import { copy, download } from "./site.js";
import { switched } from "./switch.js";

const form = document.getElementById("switch-form");
const { sources, words, recommended } = JSON.parse(document.getElementById("switch-facts").textContent);
const area = form.elements.file;
const result = document.getElementById("switched");
const report = document.getElementById("switch-report");

// A text area makes every line end a line feed; what was pasted or read from a file had its own.
let exact = null; // {shown, text}
let output = "";

const unified = (text) => text.replace(/\r\n?/g, "\n");

function take(text) {
  exact = { shown: unified(text), text };
  area.value = text;
  show();
}

function show() {
  const text = exact?.shown === area.value ? exact.text : area.value;
  const wanted = form.elements.target.value;
  const { text: made, changes, kept, pinned } = switched(text, sources, wanted);
  output = made;
  document.getElementById("switch-output").hidden = changes.length === 0;
  result.textContent = made;
  report.replaceChildren(...said(text, changes, kept, pinned).map(paragraph));
}

function said(text, changes, kept, pinned) {
  if (text.trim() === "") return [];
  if (changes.length + kept.length === 0) return [words.switch_none];
  const lines = changes.map(({ line, before, after }) =>
    filled(words.switch_line, { line, before, after }),
  );
  if (kept.length > 0) lines.push(filled(words.switch_kept, { lines: kept.join(", ") }));
  if (pinned.length > 0) lines.push(filled(words.switch_pinned, { lines: pinned.join(", ") }));
  return lines;
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function paragraph(text) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}

form.elements.target.value = recommended[inChina() ? "china" : "elsewhere"];
form.hidden = false;
form.addEventListener("submit", (event) => event.preventDefault());
area.addEventListener("paste", ({ clipboardData }) => {
  const text = clipboardData.getData("text/plain");
  exact = { shown: unified(text), text };
});
area.addEventListener("input", show);
form.elements.target.addEventListener("change", show);
form.elements.upload.addEventListener("click", ({ target }) => {
  target.value = ""; // the same file, edited meanwhile, can be chosen again
});
form.elements.upload.addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (file === undefined) return;
  try {
    // A byte order mark stays; a file that is not text is refused.
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    take(decoder.decode(await file.arrayBuffer()));
  } catch {
    area.value = "";
    show();
    report.replaceChildren(paragraph(words.switch_unreadable));
  }
});
document.getElementById("switch-copy").addEventListener("click", ({ currentTarget }) => {
  copy(currentTarget, output);
});
document.getElementById("switch-download").addEventListener("click", () => {
  download("docker-compose.yml", output);
});
