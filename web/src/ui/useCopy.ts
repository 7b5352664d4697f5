import { useState } from "react";
import { useText } from "./text";

/** Copies a text on demand, and says how that went. */
export function useCopy(value: string): { copy: () => void; outcome: string | null } {
  const text = useText();
  const [outcome, setOutcome] = useState<"copied" | "failed" | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setOutcome("copied");
    } catch {
      setOutcome("failed");
    }
  };
  return { copy: () => void copy(), outcome: outcome && text(`copy.${outcome}`) };
}
