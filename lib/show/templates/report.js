// Tables that sort, scrolling boxes that the keyboard reaches, and a print with nothing folded away.
"use strict";

function key(row, column) {
  const { textContent: text, dataset: { value } } = row.cells[column];
  if (value === undefined) return text;
  return value === "" ? null : Number(value);
}

function compare(a, b) {
  if (typeof a === "number") return a - b;
  const [words, others] = [a.split(" "), b.split(" ")]; // "hybrid 0.25" before "hybrid 0.5": numbers as numbers
  for (let place = 0; place < Math.min(words.length, others.length); place++) {
    const [one, other] = [words[place], others[place]];
    const order = isNaN(one) || isNaN(other) ? one.localeCompare(other, "en", { numeric: true }) : one - other;
    if (order) return order;
  }
  return words.length - others.length;
}

function sort(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const down = heads[column].getAttribute("aria-sort") === "ascending";
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => {
    const [a, b] = [key(one, column), key(other, column)];
    if (a === null || b === null) return (a === null) - (b === null); // what is missing stays last
    return down ? compare(b, a) : compare(a, b);
  });
  table.tBodies[0].append(...rows);
  for (const head of heads) head.removeAttribute("aria-sort");
  const order = down ? "descending" : "ascending";
  heads[column].setAttribute("aria-sort", order);
  document.getElementById("sorted").textContent =
    `${table.caption.textContent}: sorted by ${heads[column].textContent}, ${order}`;
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, column));
    head.append(button);
  });
}

const boxes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const box of document.querySelectorAll(".scroll")) boxes.observe(box);

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const part of opened) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
});
