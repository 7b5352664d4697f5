/** Opening a proposal moves the focus to it; stepping through the list with j and k leaves it in the list. */
export const LIST_LINK_ID = "proposal-link-";

let stepping: string | null = null;

export function keepFocusInList(id: string): void {
  stepping = id;
  document.getElementById(LIST_LINK_ID + id)?.focus();
}

/** Whether this proposal was stepped to, not opened. Asked once per opening. */
export function wasSteppedTo(id: string): boolean {
  return stepping === id;
}

export function forgetStep(): void {
  stepping = null;
}
