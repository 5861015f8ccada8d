// Elements. Texts become text nodes and never markup: there is no other way in this page for a text
// to reach the document.

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== ""));
  return element;
}

// A part that is folded; its content is made when it is opened first.
function folded(title, makeContent, className) {
  const part = make("details", { class: className || "fold" }, make("summary", {}, title));
  part.addEventListener("toggle", () => {
    if (part.open && part.children.length === 1) part.append(makeContent());
  });
  return part;
}

function plural(count, word) {
  return `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
}

function signed(number) {
  if (number === null) return "not a number";
  return `${number > 0 ? "+" : ""}${Number(number.toFixed(4))}`;
}
