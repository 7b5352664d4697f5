/** Remembers, for this tab, that the browser left for a consent page from the connections. */
const KEY = "clp.reconnecting";

export function noteReconnecting(): void {
  try {
    window.sessionStorage.setItem(KEY, "yes");
  } catch {
    // Storage can be forbidden; the person then comes back to the overview.
  }
}

export function isReconnecting(): boolean {
  try {
    return window.sessionStorage.getItem(KEY) !== null;
  } catch {
    return false;
  }
}

/** The connections are on the screen again. */
export function forgetReconnecting(): void {
  try {
    window.sessionStorage.removeItem(KEY);
  } catch {
    // Nothing could have been noted either.
  }
}
