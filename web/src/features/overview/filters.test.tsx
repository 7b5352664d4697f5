import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, expect, it, vi } from "vitest";
import { createQueryClient } from "../../api/queries";
import type { Overview } from "../../api/types";
import { createAppRouter } from "../../app/router";
import { meWith } from "../../test/fixtures";
import { show } from "../../test/render";
import { QueryClientProvider } from "@tanstack/react-query";

const me = meWith();
const overview: Overview = {
  totals: [],
  freshness: { state: "fresh", as_of: "2026-11-21T12:00:00Z" },
  campaigns: { total: 9, behind: 4, on_pace: 3, ahead: 2, not_judged: 5 },
  open_proposals: 0,
  problems: [],
};
const ANSWERS: Readonly<Record<string, unknown>> = {
  "/api/v1/me": me,
  "/api/v1/overview": overview,
  "/api/v1/onboarding": me.onboarding,
  "/api/v1/campaigns": { items: [] },
  "/api/v1/runs": { items: [] },
};

let asked: URL[] = [];

beforeEach(() => {
  asked = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const url = new URL((input as Request).url);
    asked.push(url);
    return new Response(JSON.stringify(ANSWERS[url.pathname] ?? {}));
  });
});

function open(address: string) {
  const queries = createQueryClient();
  const history = createMemoryHistory({ initialEntries: [address] });
  const router = createAppRouter(queries, history);
  show(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
  return router;
}

const campaignsAsked = () => asked.findLast((url) => url.pathname === "/api/v1/campaigns");

it("is read from the address: a shared link shows the same list", async () => {
  open("/?pace=behind&q=brand");
  expect(await screen.findByRole("radio", { name: "Behind 4" })).toBeChecked();
  expect(screen.getByRole("searchbox", { name: "Search campaigns" })).toHaveValue("brand");
  expect(campaignsAsked()?.searchParams.get("pace")).toBe("behind");
  expect(campaignsAsked()?.searchParams.get("q")).toBe("brand");
});

it("is written to the address, and asked of the server", async () => {
  const router = open("/");
  await userEvent.click(await screen.findByRole("radio", { name: "Ahead 2" }));
  await waitFor(() => expect(router.state.location.search).toEqual({ pace: "ahead" }));
  await userEvent.type(screen.getByRole("searchbox", { name: "Search campaigns" }), "kestrel");
  await waitFor(() => expect(router.state.location.search).toMatchObject({ q: "kestrel" }));
  await waitFor(() => expect(campaignsAsked()?.searchParams.get("q")).toBe("kestrel"));
  expect(campaignsAsked()?.searchParams.get("pace")).toBe("ahead");
});

it("finds what is not judged, too", async () => {
  const router = open("/");
  await userEvent.click(await screen.findByRole("radio", { name: "Not judged 5" }));
  await waitFor(() => expect(router.state.location.search).toEqual({ pace: "not_judged" }));
  await waitFor(() => expect(campaignsAsked()?.searchParams.get("pace")).toBe("not_judged"));
});

it("can be cleared when nothing matches", async () => {
  const router = open("/?q=nothing");
  await userEvent.click(await screen.findByRole("button", { name: "Clear filters" }));
  await waitFor(() => expect(router.state.location.search).toEqual({}));
});
