// A heading that is clicked on sorts the rows of its table by its column; once more turns them round.
"use strict";
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function key(row, column) {
  const text = row.cells[column].textContent.trim();
  if (text === "-" || text === "") return { empty: true, text };
  if (text.endsWith("∞")) return { number: text.startsWith("-") ? -Infinity : Infinity, text };
  const found = text.replaceAll(",", "").match(/^[<>(+\s]*(-?\d[\d.]*)(?=$|[\s)%±])/);
  if (!found) return { text };
  const power = text.match(/× 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)/);
  const digits = power ? [...power[1]].map((sign) => (sign === "⁻" ? "-" : RAISED.indexOf(sign))).join("") : "0";
  return { number: Number(found[1]) * 10 ** Number(digits), text };
}
function compare(one, other) {
  if ("number" in one && "number" in other) return one.number - other.number || 0;
  return one.text.localeCompare(other.text, "en", { numeric: true });
}
function sort(heading) {
  const falling = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const body = heading.closest("table").tBodies[0];
  const keyed = [...body.rows].map((row) => [key(row, heading.cellIndex), row]);
  keyed.sort(([one], [other]) => !!one.empty - !!other.empty || (falling ? compare(other, one) : compare(one, other)));
  body.append(...keyed.map(([, row]) => row));
}
for (const heading of document.querySelectorAll("thead th")) {
  heading.tabIndex = 0;
  heading.title = "Sort";
  heading.addEventListener("click", () => sort(heading));
  heading.addEventListener("keydown", (event) => {
    if (event.key === "Enter") sort(heading);
  });
}
