/** Tags: the filter box, over this page's rows at once and over the other pages by their index. */

const MOST_LINKS = 60;

const form = document.querySelector("[data-filter]");
if (form) {
  const rows = [...document.querySelectorAll("tbody tr")];
  const result = document.querySelector(".hc-filter-result");
  const elsewhere = result.querySelector("[data-elsewhere]");
  const links = result.querySelector("[data-links]");
  const here = Number(form.dataset.page);
  let index = null;

  const show = async () => {
    const wanted = form.elements.filter.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
      if (!row.hidden) shown += 1;
    }
    const others = wanted === "" ? [] : await matchesElsewhere(wanted);
    if (form.elements.filter.value.trim().toLowerCase() !== wanted) return;
    links.replaceChildren(...others.slice(0, MOST_LINKS).map(link));
    if (others.length > MOST_LINKS) links.append(` … (+${others.length - MOST_LINKS})`);
    elsewhere.hidden = others.length === 0;
    result.querySelector("[data-none]").hidden = shown > 0 || others.length > 0;
    result.hidden = wanted === "";
  };

  const matchesElsewhere = async (wanted) => {
    index ??= fetch(form.dataset.filter).then((answer) => (answer.ok ? answer.json() : []));
    const entries = await index;
    return entries.filter(([name, page]) => page !== here && name.toLowerCase().includes(wanted));
  };

  const link = ([name, page]) => {
    const anchor = document.createElement("a");
    anchor.href = `${form.dataset.pages}${page > 1 ? `${page}/` : ""}#tag-${name}`;
    anchor.textContent = name;
    return anchor;
  };

  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
}
