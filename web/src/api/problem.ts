/**
 * Every failure reaches the screens as one shape: the API's problem. What never reached the API, or came back as
 * something else (a proxy's page), is given the same shape here.
 */
import { messages } from "../app/messages";
import type { Problem } from "./types";

export const UNREACHABLE = "web.unreachable";
export const UNREADABLE = "web.unreadable";

export function unreachableProblem(): Problem {
  return {
    type: `/problems/${UNREACHABLE}`,
    code: UNREACHABLE,
    title: messages["problem.unreachable.title"],
    unharmed: messages["problem.unreachable.unharmed"],
    next: messages["problem.unreachable.next"],
    status: 503,
    retryable: true,
  };
}

export function unreadableProblem(status: number): Problem {
  return {
    type: `/problems/${UNREADABLE}`,
    code: UNREADABLE,
    title: messages["problem.unreadable.title"],
    unharmed: messages["problem.unreadable.unharmed"],
    next: messages["problem.unreadable.next"],
    status,
    retryable: status >= 500,
  };
}

/** Whatever was thrown, as a problem. */
export function asProblem(thrown: unknown): Problem {
  if (isProblem(thrown)) return thrown;
  return unreadableProblem(500);
}

export function isProblem(value: unknown): value is Problem {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as Partial<Problem>).code === "string" &&
    typeof (value as Partial<Problem>).title === "string"
  );
}

/** The messages that belong to form fields, by field name: `/email` → `email`. */
export function fieldErrors(problem: Problem): Record<string, string> {
  const pairs = (problem.errors ?? []).map(
    (error) => [error.pointer.replace(/^\//, "").replaceAll("/", "."), error.message] as const,
  );
  return Object.fromEntries(pairs);
}
