/** The form of the compose builder: reads fields, asks compose.js, shows file and errors. */

import { generate, settled } from "./compose.js";
import { inChina } from "./place.js";
import { received, shared } from "./share.js";
import { copy, download } from "./site.js";
import { meant } from "./typed.js";

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const facts = read("facts");
const here = inChina();
const recommended = read("recommended")[here ? "china" : "elsewhere"];
const generatedAt = new Date(); // once, so that the same choices give the same file
const form = document.getElementById("builder-form");
const touched = new Set();

let output = null;
let isPressed = false; // a pointer is down

function fromAddress() {
  const query = new URLSearchParams(location.search);
  const source = query.get("source");
  const profile = query.get("profile");
  form.elements.source.value = facts.sources.some(({ id }) => id === source)
    ? source
    : recommended;
  form.elements.profile.value = Object.hasOwn(facts.profiles, profile) ? profile : facts.defaults.profile;
  for (const [field, value] of Object.entries(received(location.hash.slice(1), facts))) {
    fill(field, value);
  }
}

function fill(field, value) {
  const control = form.elements[field];
  if (field === "executors") {
    for (const box of control) box.checked = value.includes(box.value);
  } else if (control.type === "checkbox") {
    control.checked = value;
  } else if (control.tagName !== "SELECT" || [...control.options].some((one) => one.value === value)) {
    control.value = value;
  }
}

/**
 * Source and profile only: what a person types becomes part of an address by the button for it
 * alone. The rest of a shared address no longer holds once something is changed.
 */
function toAddress({ source, profile }) {
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("source", source);
  address.searchParams.set("profile", profile);
  history.replaceState(null, "", address);
}

function choices() {
  const options = { profile: form.elements.profile.value };
  for (const field of facts.profiles["full-custom"]) {
    const control = form.elements[field];
    if (field === "executors") {
      const ticked = form.querySelectorAll('input[name="executors"]:checked');
      options.executors = [...ticked].map(({ value }) => value);
    } else if (control.type === "checkbox") {
      options[field] = control.checked;
    } else {
      options[field] = control.value;
    }
  }
  return options;
}

/** Whether a field has a say: its profile shows it, and what it belongs to is switched on. */
function isShown(field, options) {
  if (!facts.profiles[options.profile].includes(field)) return false;
  if (field === "claudeUrl") return options.claudeProvider === "custom";
  if (field === "puid" || field === "pgid") {
    return options.hostOS === "linux" && !options.workdirCreatedByRoot;
  }
  if (field === "workdirCreatedByRoot") return options.hostOS === "linux";
  if (field === "licenseKey") return options.licenseKeyType === "custom";
  if (field === "codeServerPassword") {
    return options.codeServer && options.codeServerAuth === "password";
  }
  if (field === "codeServerPublishedPort") return options.codeServer && options.codeServerPublish;
  if (field.startsWith("codeServer") && field !== "codeServer") return options.codeServer;
  if (field === "httpsPort" || field === "lanIp") return options.https;
  return true;
}

function showFields(options) {
  for (const box of form.querySelectorAll("[data-field]")) {
    box.hidden = !isShown(box.dataset.field, options);
  }
  for (const group of form.querySelectorAll("[data-executor]")) {
    group.hidden = !options.executors.includes(group.dataset.executor);
  }
  for (const group of form.querySelectorAll("[data-profile]")) {
    group.hidden = group.dataset.profile !== options.profile;
  }
  for (const card of form.querySelectorAll(".hc-choice[data-source]")) {
    const isRecommended = card.dataset.source === recommended;
    card.querySelector("[data-recommended]").hidden = !isRecommended;
    const isStandIn = isRecommended && card.dataset.inChina !== String(here);
    card.querySelector("[data-reason]").hidden = !isRecommended || isStandIn;
    card.querySelector("[data-stand-in]").hidden = !isStandIn;
  }
}

/** What is merely not filled in yet is no mistake until its field was visited or a copy is tried. */
const isQuiet = ({ field, rule }) => rule === "required" && !touched.has(field);

function showErrors(errors) {
  const first = new Map();
  for (const error of errors) {
    if (!first.has(error.field) && !isQuiet(error)) first.set(error.field, error.rule);
  }
  for (const place of form.querySelectorAll("[data-error]")) {
    const field = place.dataset.error;
    const rule = first.get(field);
    place.hidden = rule === undefined;
    place.textContent = rule === undefined ? "" : facts.words[`rule_${rule}`];
    const control = document.getElementById(field);
    if (rule === undefined) control.removeAttribute("aria-invalid");
    else control.setAttribute("aria-invalid", "true");
  }
  showVerdict(first, errors.length === 0);
  for (const button of form.querySelectorAll(".hc-buttons button")) {
    button.setAttribute("aria-disabled", String(errors.length > 0));
  }
}

function showVerdict(first, isReady) {
  const { ready, blocked, waiting } = facts.words;
  const verdict = document.getElementById("verdict");
  const state = isReady ? " hc-verdict-box--ready" : first.size === 0 ? " hc-verdict-box--waiting" : "";
  verdict.className = `hc-verdict-box${state}`;
  verdict.textContent = isReady ? ready : first.size === 0 ? waiting : blocked.replace("{n}", first.size);
  for (const [field] of first) {
    const link = document.createElement("a");
    link.href = `#${field}`;
    link.textContent = facts.words[field];
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.getElementById(field).focus();
    });
    verdict.append(" ", link);
  }
}

function show() {
  const options = choices();
  output = generate(options, facts, generatedAt);
  document.getElementById("compose").textContent = output.compose;
  document.getElementById("caddy").hidden = output.caddyfile === null;
  document.getElementById("caddyfile").textContent = output.caddyfile ?? "";
  const tags = facts.live[options.source]?.tags ?? [];
  document.getElementById("known-tags").replaceChildren(...tags.map((tag) => new Option(tag, tag)));
  showFields(options);
  showErrors(output.errors);
  return options;
}

function act(id, action) {
  document.getElementById(id).addEventListener("click", ({ currentTarget }) => {
    if (output.errors.length === 0) {
      action(currentTarget);
      return;
    }
    for (const { field } of output.errors) touched.add(field);
    show();
    document.getElementById("verdict").focus();
  });
}

/** A field that was visited. While a pointer is down nothing may move: the click would miss. */
function visit(field) {
  touched.add(field);
  if (!isPressed) show();
}

fromAddress();
form.hidden = false;
show();
form.addEventListener("input", ({ target }) => {
  touched.add(target.name);
  toAddress(show());
});
form.addEventListener("change", ({ target }) => {
  // What counts is what the field shows.
  if (target.matches("input:not([type=checkbox], [type=radio])")) {
    const text = meant(target.name, target.value);
    if (text !== target.value) target.value = text;
  }
});
form.addEventListener("focusout", ({ target }) => {
  if (target.name) visit(target.name);
});
document.addEventListener("pointerdown", () => { isPressed = true; }, true);
for (const end of ["pointerup", "pointercancel"]) {
  document.addEventListener(end, () => {
    isPressed = false;
    setTimeout(show); // after the click
  }, true);
}
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => {
  fromAddress();
  show();
});
act("copy", (button) => copy(button, output.compose));
act("download", () => download("docker-compose.yml", output.compose));
act("copy-caddyfile", (button) => copy(button, output.caddyfile));
act("download-caddyfile", () => download("Caddyfile", output.caddyfile));
document.getElementById("share").addEventListener("click", ({ currentTarget }) => {
  const chosen = settled(choices(), facts);
  const address = new URL(location.pathname, location.href);
  address.search = new URLSearchParams({ source: chosen.source, profile: chosen.profile });
  address.hash = shared(chosen, facts);
  copy(currentTarget, address.href);
});
