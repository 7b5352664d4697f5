import { describe, expect, it, vi } from "vitest";
import { problem } from "../test/fixtures";
import { IntentKeys, keepToOrganisation, onElsewhere, onSignedOut, problemFetch } from "./client";
import { asProblem, fieldErrors } from "./problem";

const request = (method = "GET") => new Request("http://localhost/api/v1/me", { method });
const answer = (body: string, status: number) =>
  vi.spyOn(globalThis, "fetch").mockResolvedValue(new Response(body, { status }));

describe("every failure is a problem", () => {
  it("when the API says so", async () => {
    answer(JSON.stringify({ ...problem, status: 409 }), 409);
    expect(await (await problemFetch(request())).json()).toMatchObject({ code: problem.code });
  });

  it("when a proxy answers with a page", async () => {
    answer("<html>Bad gateway</html>", 502);
    const body = await (await problemFetch(request())).json();
    expect(body).toMatchObject({ code: "web.unreadable", status: 502, retryable: true });
  });

  it("when nothing answers", async () => {
    vi.spyOn(globalThis, "fetch").mockRejectedValue(new TypeError("Failed to fetch"));
    const body = await (await problemFetch(request())).json();
    expect(body).toMatchObject({ code: "web.unreachable", retryable: true });
  });

  it("when something else was thrown", () => {
    expect(asProblem(new Error("boom"))).toMatchObject({ code: "web.unreadable" });
  });
});

describe("a session that has ended", () => {
  it("leads to the sign-in page, but signing in that is refused does not", async () => {
    const left = vi.fn();
    onSignedOut(left);
    for (const code of ["wrong_credentials", "code_needed", "wrong_code", "sso_needed"]) {
      answer(JSON.stringify({ ...problem, code: `auth.${code}` }), 401);
      await problemFetch(request("POST"));
    }
    expect(left).not.toHaveBeenCalled();
    answer(JSON.stringify({ ...problem, code: "auth.required" }), 401);
    await problemFetch(request());
    expect(left).toHaveBeenCalledOnce();
  });
});

describe("a page of another organisation", () => {
  it("says which one it is about, and is loaded again when that is refused", async () => {
    const elsewhere = vi.fn();
    onElsewhere(elsewhere);
    keepToOrganisation("org_1");
    const sent = request("PUT");
    answer(JSON.stringify({ ...problem, code: "auth.other_organisation" }), 409);
    await problemFetch(sent);
    expect(sent.headers.get("X-CLP-Organisation")).toBe("org_1");
    expect(elsewhere).toHaveBeenCalledOnce();
  });
});

describe("an intent", () => {
  it("keeps its key until it is answered", () => {
    const keys = new IntentKeys();
    const first = keys.keyFor("approve:1");
    expect(keys.keyFor("approve:1")).toBe(first);
    expect(keys.keyFor("approve:2")).not.toBe(first);
    keys.settle("approve:1");
    expect(keys.keyFor("approve:1")).not.toBe(first);
  });
});

it("puts a problem's field messages where the form looks for them", () => {
  const errors = [{ pointer: "/email", message: "Already in use" }];
  expect(fieldErrors({ ...problem, errors })).toEqual({ email: "Already in use" });
});
