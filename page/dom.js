// Elements. Every text is a text node: nothing from a file or a vendor becomes HTML.

/**
 * Makes an element: `make("td", { class: "number" }, "12")`. A function is a listener of the event
 * with its name.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element with an id, which the page has. */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** The value of a colour of the style. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** A table. A column is `[heading, class]`; a cell is a text or a node. */
export function table(columns, rows) {
  const head = make("tr", {}, ...columns.map(([heading, kind]) => make("th", { class: kind ?? null, scope: "col" }, heading)));
  const body = rows.map((row) => make("tr", {}, ...row.map((cell, index) => make("td", { class: columns[index][1] ?? null }, cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

/** A number with its label, which can lead to a view. */
export function card(value, label, href = null) {
  return make("div", { class: "card" }, make("b", {}, value), href ? make("a", { href }, label) : make("span", {}, label));
}

export function tag(word, colourName) {
  const element = make("span", { class: "tag" }, word);
  element.style.background = `var(${colourName})`;
  return element;
}

/** A button that copies a text. */
export function copyButton(text) {
  const button = make("button", { type: "button", title: "Copy the command" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without permission, for example in a file from disk: the older function.
      const area = make("textarea", {}, text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}
