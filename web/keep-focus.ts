/** The focused element and all that it is in, from the inside out, each with its position among its siblings. */
type Trail = readonly { readonly element: Element; readonly index: number }[];

/**
 * Moves the focus to a place nearby when the focused element leaves the page. The browser would give it to the body, where a
 * screen reader starts again from the top.
 */
export function keepFocus(): void {
  // By dialog, and for the page outside of dialogs: an element that opened a dialog may leave while the dialog is open.
  const trails = new WeakMap<Element, Trail>();
  document.addEventListener('focusin', ({ target }) => {
    if (target instanceof Element) trails.set(target.closest('dialog') ?? document.body, trailOf(target));
  });
  const observer = new MutationObserver((records) => {
    if (document.activeElement !== null && document.activeElement !== document.body) return;
    const [focused, ...around] =
      trails.get([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body) ?? [];
    if (focused === undefined) return;
    const { element } = focused;
    if (!element.isConnected) focusNear([focused, ...around]);
    // An element that moves among its siblings is removed and inserted again.
    else if (records.some(({ removedNodes }) => [...removedNodes].some((node) => node.contains(element))))
      focus(element);
  });
  observer.observe(document.body, { childList: true, subtree: true });
}

function trailOf(element: Element): Trail {
  const trail = [];
  for (let at: Element | null = element; at !== null; at = at.parentElement) {
    trail.push({ element: at, index: [...(at.parentElement?.children ?? [])].indexOf(at) });
  }
  return trail;
}

/** Focuses the entry that takes the place of a removed one in its list, or the nearest region that is left. */
function focusNear(trail: Trail): void {
  const remaining = trail.findIndex(({ element }) => element.isConnected);
  const [removed, left] = [trail[remaining - 1], trail[remaining]];
  if (removed === undefined || left === undefined) return;
  const { children } = left.element;
  const successor = left.element.matches('ul, ol') ? children[Math.min(removed.index, children.length - 1)] : undefined;
  const region = successor ?? left.element.closest('li, section, dialog, main') ?? document.querySelector('main');
  if (region !== null) focus(region);
}

function focus(element: Element): void {
  if (!(element instanceof HTMLElement)) return;
  // Only for as long as it has the focus: a click on a region with `tabindex` would focus it.
  if (element.tabIndex < 0 && !element.hasAttribute('tabindex')) {
    element.tabIndex = -1;
    element.addEventListener('blur', () => element.removeAttribute('tabindex'), { once: true });
  }
  element.focus({ preventScroll: true });
}
