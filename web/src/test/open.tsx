/** Opens an address of the application in front of a server that a test makes up. */
import { QueryClientProvider } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { vi } from "vitest";
import { createQueryClient } from "../api/queries";
import { createAppRouter } from "../app/router";
import { problem } from "./fixtures";
import { show } from "./render";

export interface Sent {
  method: string;
  path: string;
  body: unknown;
}

/** What to answer, by `METHOD /path`. What is not named is an empty list. */
export type Answers = Record<string, (body: unknown) => Response>;

export const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });

export const nothing = () => new Response(null, { status: 204 });

export const refusal = (status: number, code: string, change: object = {}) =>
  json({ ...problem, status, code, title: `Refused: ${code}`, ...change }, status);

/** The answer to who is not signed in. */
export const signedOut = () => refusal(401, "auth.required");

/** What changes something is kept in `sent`, every address that was asked in `asked`. */
export function serve(answers: Answers) {
  const sent: Sent[] = [];
  const asked: string[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const request = input as Request;
    const { method, url } = request;
    asked.push(url);
    const path = new URL(url).pathname.replace("/api/v1", "");
    const text = await request.text();
    const body: unknown = text === "" ? null : JSON.parse(text);
    if (method !== "GET") sent.push({ method, path, body });
    return answers[`${method} ${path}`]?.(body) ?? json({ items: [] });
  });
  return { sent, asked };
}

export function open(address: string, answers: Answers) {
  const { sent, asked } = serve(answers);
  const queries = createQueryClient();
  const history = createMemoryHistory({ initialEntries: [address] });
  show(
    <QueryClientProvider client={queries}>
      <RouterProvider router={createAppRouter(queries, history)} />
    </QueryClientProvider>,
  );
  return { sent, asked, history, queries };
}
