import { screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { problem } from "../../test/fixtures";
import { show } from "../../test/render";
import { ConsentProblem } from "./ConsentProblem";

const answer = (body: unknown, status = 200) =>
  vi.spyOn(globalThis, "fetch").mockResolvedValue(
    new Response(JSON.stringify(body), {
      status,
      headers: { "Content-Type": "application/json" },
    }),
  );

describe("a consent that did not lead to a connection", () => {
  it("is told in the server's words for the code", async () => {
    const title = "Not everything that we need was allowed on the platform's page.";
    const fetch = answer({ ...problem, code: "connection.scopes_missing", title });
    show(<ConsentProblem code="connection.scopes_missing" />);
    expect(await screen.findByRole("alert")).toHaveTextContent(title);
    const request = fetch.mock.calls[0]?.[0] as Request;
    expect(request.url).toContain("/api/v1/problems/connection.scopes_missing");
  });

  it("says nothing for a code that nobody knows", async () => {
    const fetch = answer({ ...problem, status: 404, code: "request.not_found" }, 404);
    show(<ConsentProblem code="made.up" />);
    await vi.waitFor(() => expect(fetch).toHaveBeenCalled());
    expect(screen.queryByRole("alert")).toBeNull();
  });
});
