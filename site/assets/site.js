/** What every page has: appearance, language switch, copy buttons, the age of its data. */

const root = document.documentElement;
const chinese = root.lang.startsWith("zh");
const OLD_MINUTES = 60; // the site is built every 10 minutes

function scheme() {
  const button = document.querySelector("#scheme");
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.scheme = root.dataset.scheme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("scheme", root.dataset.scheme);
    } catch {
      // Storage is off: the choice holds for this page.
    }
  });
}

function languageSwitch() {
  for (const link of document.querySelectorAll("[data-keep-query]")) {
    link.addEventListener("click", () => {
      const target = new URL(link.href);
      target.search = location.search;
      target.hash = location.hash;
      link.href = target.href;
    });
  }
}

/** Copies `text` and says so on the button for two seconds. */
export async function copy(button, text) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not a secure context (plain http in a local network): the old way still works there.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hc-hidden";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = chinese ? "已复制" : "Copied";
  button.classList.add("hc-copy--done");
  setTimeout(() => {
    button.textContent = label;
    button.classList.remove("hc-copy--done");
  }, 2000);
}

/** Hands `text` out as a file. */
export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml;charset=utf-8" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

function copyButtons() {
  for (const block of document.querySelectorAll(".md-typeset .highlight pre > code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "hc-copy hc-copy--block";
    button.textContent = chinese ? "复制" : "Copy";
    button.addEventListener("click", () => copy(button, block.textContent.trimEnd()));
    block.parentElement.append(button);
  }
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-copy]");
    // A digest stands once, in the element before its button.
    if (button) copy(button, button.dataset.copy || button.previousElementSibling.textContent);
  });
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
}

function age() {
  const built = document.querySelector("time[data-built]");
  const minutes = (Date.now() - Date.parse(built.dateTime)) / 60_000;
  if (!(minutes > OLD_MINUTES)) return;
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  const text = chinese
    ? `注意：本站数据已超过 ${days ? `${days} 天` : `${hours} 小时`}没有更新，下面的状态可能已经过时。`
    : `Note: the data of this site is more than ${days ? `${days} d` : `${hours} h`} old; what it says may be out of date.`;
  const notice = document.createElement("p");
  notice.className = "hc-old";
  notice.setAttribute("role", "status");
  notice.textContent = text;
  document.querySelector("article").prepend(notice);
}

/**
 * Times in the reader's zone, with UTC as the title. The page has them in UTC, which is what a
 * reader without scripts sees; each time, its column or the footer names the zone.
 */
function times() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || zone === "UTC") return;
  const format = new Intl.DateTimeFormat("en-CA", {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
    hourCycle: "h23", timeZoneName: "shortOffset",
  });
  for (const time of document.querySelectorAll("time")) {
    const [, day, minute, named] = /^(\S{10}) (\S{5})( UTC)?$/.exec(time.textContent) ?? [];
    if (day === undefined) continue;
    const at = {};
    for (const { type, value } of format.formatToParts(new Date(`${day}T${minute}Z`))) at[type] = value;
    const offset = named ? ` ${at.timeZoneName.replace("GMT", "UTC").replace(/[+-]0$/, "")}` : "";
    time.textContent = `${at.year}-${at.month}-${at.day} ${at.hour}:${at.minute}${offset}`;
    time.title = `${day} ${minute} UTC`;
  }
  for (const name of document.querySelectorAll("[data-zone]")) name.textContent = zone;
}

scheme();
times();
languageSwitch();
copyButtons();
age();
