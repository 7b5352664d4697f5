/** As the `ref` of what the person goes on with: it has the focus as soon as it is there. */
export function focusNow(element: HTMLElement | null): void {
  element?.focus();
}
