/** The HTTP client: one fetch for all calls, which adds the CSRF header and turns every failure into a problem. */
import createClient from "openapi-fetch";
import createQueryClient from "openapi-react-query";
import { isProblem, unreachableProblem, unreadableProblem } from "./problem";
import type { paths } from "./schema.gen";
import type { Problem } from "./types";

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);

/** Refusals of who is signing in: no session has ended. */
const NOT_YET_IN = new Set([
  "auth.wrong_credentials",
  "auth.code_needed",
  "auth.wrong_code",
  "auth.sso_needed",
]);

let whenSignedOut: () => void = () => {};

/** What happens when the session has ended; the router registers it. */
export function onSignedOut(action: () => void): void {
  whenSignedOut = action;
}

/** The organisation that this page is about: what it asks for is refused once the browser works in another one. */
let organisation: string | undefined;
let whenElsewhere: () => void = () => window.location.reload();

export function keepToOrganisation(id: string): void {
  organisation = id;
}

/** What happens when the browser works in another organisation; tests say so. */
export function onElsewhere(action: () => void): void {
  whenElsewhere = action;
}

export async function problemFetch(request: Request): Promise<Response> {
  if (organisation) request.headers.set("X-CLP-Organisation", organisation);
  if (!SAFE_METHODS.has(request.method)) request.headers.set("X-Requested-With", "clp");
  let response: Response;
  try {
    response = await fetch(request);
  } catch (thrown) {
    if (request.signal.aborted) throw thrown;
    return problemResponse(unreachableProblem());
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (problem.code === "auth.other_organisation") whenElsewhere();
  if (response.status === 401 && !NOT_YET_IN.has(problem.code)) whenSignedOut();
  return problemResponse(problem);
}

async function readProblem(response: Response): Promise<Problem> {
  try {
    const body: unknown = await response.json();
    if (isProblem(body)) return body;
  } catch {
    // Not JSON: a proxy's page. Said as such below.
  }
  return unreadableProblem(response.status);
}

function problemResponse(problem: Problem): Response {
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: { "Content-Type": "application/problem+json" },
  });
}

export const client = createClient<paths>({
  baseUrl: typeof window === "undefined" ? "http://localhost" : window.location.origin,
  fetch: problemFetch,
});

export const api = createQueryClient(client);

/** The header that makes a request safe to send twice. */
export function idempotent(key: string): { "Idempotency-Key": string } {
  return { "Idempotency-Key": key };
}

/** One key per intent: a retry of the same intent, after a lost answer, sends the same key again. */
export class IntentKeys {
  private readonly keys = new Map<string, string>();

  keyFor(intent: string): string {
    const known = this.keys.get(intent);
    if (known) return known;
    const made = crypto.randomUUID();
    this.keys.set(intent, made);
    return made;
  }

  /** The API has answered: the next click is a new intent. */
  settle(intent: string): void {
    this.keys.delete(intent);
  }
}
