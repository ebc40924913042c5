"use strict";
// Rows are filtered and tables sorted in place: all text is in the page already, and none of it is in here.
for (const browser of document.querySelectorAll("[data-browse]")) {
  const entries = [...browser.querySelectorAll(".entry")];
  const [text, ...choices] = browser.querySelectorAll("input, select");
  const shown = browser.querySelector("[role=status]");
  const words = new Map(entries.map((entry) => [entry, entry.textContent.toLowerCase()]));
  const filter = () => {
    let number = 0;
    for (const entry of entries) {
      const fits = choices.every(({ name, value }) =>
        !value || entry.getAttribute(`data-${name}`).split("\n").includes(value));
      entry.hidden = !fits || !words.get(entry).includes(text.value.toLowerCase());
      number += !entry.hidden;
    }
    shown.textContent = `${number} of ${entries.length} rows shown`;
  };
  for (const event of ["input", "change"]) browser.addEventListener(event, filter);
  filter();
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const place = [...head.parentNode.children].indexOf(head);
    const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
    const read = (line) => {
      const cell = line.children[place];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    body.append(...[...body.rows].sort((a, b) => turn * order(read(a), read(b))));
  });
}

for (const figure of document.querySelectorAll("figure[data-points]")) {
  const points = JSON.parse(figure.dataset.points);
  const picture = figure.querySelector("svg");
  const said = figure.querySelector("output");
  const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  dot.setAttribute("r", "4");
  dot.setAttribute("style", "fill: none; stroke: var(--ink)");
  const leave = () => { dot.remove(); said.textContent = ""; };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const scale = picture.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const far = ([px, py]) => 9 * (px - x) ** 2 + (py - y) ** 2;
    const nearest = points.reduce((best, point) => far(point) < far(best) ? point : best);
    dot.setAttribute("cx", nearest[0]);
    dot.setAttribute("cy", nearest[1]);
    picture.append(dot);
    said.textContent = nearest[2];
  });
  picture.addEventListener("pointerleave", leave);
}
