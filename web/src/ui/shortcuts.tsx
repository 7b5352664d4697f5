/** Single-key shortcuts. They can be switched off (WCAG 2.1.4), and never act while someone types or a dialog is open. */
import {
  createContext,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  type ReactNode,
} from "react";

const STORAGE_KEY = "clp.single-key-shortcuts";

interface Shortcuts {
  enabled: boolean;
  setEnabled: (enabled: boolean) => void;
}

const ShortcutsContext = createContext<Shortcuts>({ enabled: true, setEnabled: () => {} });

export function ShortcutsProvider({ children }: { children: ReactNode }) {
  const [enabled, remember] = useState(readEnabled);
  const value = useMemo<Shortcuts>(
    () => ({
      enabled,
      setEnabled: (wanted) => {
        remember(wanted);
        writeEnabled(wanted);
      },
    }),
    [enabled],
  );
  return <ShortcutsContext value={value}>{children}</ShortcutsContext>;
}

export function useShortcutsSwitch(): Shortcuts {
  return useContext(ShortcutsContext);
}

/** Calls the action of a key, as long as single-key shortcuts are on. */
export function useShortcuts(actions: Readonly<Record<string, () => void>>): void {
  const { enabled } = useShortcutsSwitch();
  const current = useRef(actions);
  useEffect(() => {
    current.current = actions;
  });
  useEffect(() => {
    if (!enabled) return;
    const listen = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (isBusy(event.target)) return;
      const action = current.current[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [enabled]);
}

/** Someone is typing, or a dialog or a menu has the keyboard. */
function isBusy(target: EventTarget | null): boolean {
  if (document.querySelector('[role="dialog"], [role="menu"]')) return true;
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function readEnabled(): boolean {
  try {
    return window.localStorage.getItem(STORAGE_KEY) !== "off";
  } catch {
    return true;
  }
}

function writeEnabled(enabled: boolean): void {
  try {
    window.localStorage.setItem(STORAGE_KEY, enabled ? "on" : "off");
  } catch {
    // Storage can be forbidden; the choice then lasts as long as the page.
  }
}
