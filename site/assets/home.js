/** Home: the source to recommend for this reader. */

import { inChina } from "./place.js";

const box = document.querySelector("[data-choose]");
const here = inChina();
const wanted = here ? box.dataset.china : box.dataset.elsewhere;

for (const card of box.querySelectorAll("[data-source]")) {
  const isWanted = card.dataset.source === wanted;
  card.classList.toggle("hc-source--first", isWanted);
  card.querySelector(".hc-badge--recommended").hidden = !isWanted;
  const standIn = card.querySelector("[data-stand-in]");
  if (standIn) standIn.hidden = !isWanted || card.dataset.inChina === String(here);
}
