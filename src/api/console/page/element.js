// Elements without markup: whatever a message carries becomes text and never HTML.

const SVG = 'http://www.w3.org/2000/svg';

/** An element: `h('td', { class: 'number' }, 'text', other)`. Functions become listeners. */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Changes a text only where it differs, so that nothing is laid out or read out again for nothing. */
export function put(element, text) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
}

/** Shows or hides. */
export function show(element, is_shown) {
  element.hidden = !is_shown;
}
