// @ts-check
/** The few things every page does with elements. Text is always text: nothing here parses HTML. */

/**
 * The element with this id; a missing one is a bug in the page and throws.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no element #${id}`);
  return element;
}

/**
 * Makes an element. `on…` props are listeners, `data-…`, `aria-…`, `role`, `for` are attributes, the rest properties.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (/^(data-|aria-|role$|for$)/.test(name)) element.setAttribute(name, value);
    else Object.assign(element, { [name]: value });
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * Sets text only when it differs, so nothing is laid out or announced again.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sets or (with null) removes an attribute, only when it differs.
 * @param {Element} element
 * @param {string} name
 * @param {string | null} value
 */
export function mark(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Shows a picture, or a plain tile when there is none or it cannot be had.
 * @param {any} img
 * @param {string | null} src
 */
export function picture(img, src) {
  if (img.dataset.src === (src ?? "")) return;
  img.dataset.src = src ?? "";
  img.hidden = !src;
  img.onerror = () => (img.hidden = true);
  if (src) img.src = src;
  else img.removeAttribute("src");
}
