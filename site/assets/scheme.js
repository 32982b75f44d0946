// Before the page is drawn: the appearance that the reader chose here, else the system's.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("scheme");
  } catch {
    // Storage is off: the system's appearance it is.
  }
  const { dataset } = document.documentElement;
  const follow = () => {
    dataset.scheme = system.matches ? "dark" : "light";
  };
  if (chosen === "light" || chosen === "dark") dataset.scheme = chosen;
  else {
    follow();
    system.addEventListener("change", follow);
  }
})();
