import type { Problem } from "../../api/types";
import type { Text } from "../../ui/text";

/** The consent page answers through the address bar, with a code only; the words for it are here. */
export function consentProblem(code: string, text: Text): Problem {
  const denied = code === "connection.consent_denied";
  return {
    type: `/problems/${code}`,
    code,
    title: text(denied ? "consent.denied.title" : "consent.failed.title"),
    unharmed: text("consent.unharmed"),
    next: text(denied ? "consent.denied.next" : "consent.failed.next"),
    status: denied ? 403 : 502,
    retryable: true,
  };
}
