/**
 * "Test from here": how soon each registry answers this browser.
 *
 * A page may not read what another host answers, only that it did (fetch, mode "no-cors"). So this
 * measures the way to the registry's front door, not the speed of a pull.
 */

const ROUNDS = 3; // the first one also connects; the shortest is shown
const PATIENCE = 8000; // ms

const table = document.getElementById("reach");
const button = table.querySelector("button");

async function once(address) {
  const started = performance.now();
  await fetch(address, {
    mode: "no-cors", cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer",
    signal: AbortSignal.timeout(PATIENCE),
  });
  return performance.now() - started;
}

async function reach(cell) {
  cell.textContent = "…";
  try {
    let shortest = Infinity;
    for (let round = 0; round < ROUNDS; round += 1) {
      shortest = Math.min(shortest, await once(cell.dataset.reach));
    }
    cell.textContent = `${Math.max(1, Math.round(shortest))} ms`;
  } catch {
    cell.textContent = table.dataset.unreached;
  }
}

button.addEventListener("click", async () => {
  button.disabled = true;
  await Promise.all([...table.querySelectorAll("[data-reach]")].map(reach));
  button.disabled = false;
});
table.hidden = false;
