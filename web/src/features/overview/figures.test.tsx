import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { QueryClientProvider } from "@tanstack/react-query";
import { screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import { createQueryClient, onboardingQuery } from "../../api/queries";
import type { CampaignSummary, Overview } from "../../api/types";
import { createAppRouter } from "../../app/router";
import { meWith, onboardingWith, problem } from "../../test/fixtures";
import { show } from "../../test/render";

const eur = (amount: string) => ({ amount, currency: "EUR" });
const week = { first: "2026-11-14", last: "2026-11-20" };
const me = meWith();
const early: Overview = {
  totals: [{ currency: "EUR", delivered: eur("1234.50"), days: week, judged: null }],
  freshness: { state: "fresh", as_of: "2026-11-21T12:00:00Z" },
  campaigns: { total: 1, behind: 0, on_pace: 0, ahead: 0, not_judged: 1 },
  open_proposals: 0,
  problems: [],
};
const campaign: CampaignSummary = {
  id: "ent_1",
  platform: "dv360",
  platform_id: "51",
  name: "Brand",
  account: { id: "acc_1", name: "Nordwind" },
  currency: "EUR",
  status: "active",
  first_day: "2026-09-01",
  last_day: "2026-12-31",
  time_zone: "Europe/Berlin",
  pace: "not_judged",
  pacing: null,
  not_judged_because: "history_missing",
  delivered: { amount: eur("1234.50"), days: week },
  lines: 3,
  risk: null,
};

let answers: Record<string, unknown> = {};
let asked: string[] = [];

beforeEach(() => {
  asked = [];
  answers = {
    "/api/v1/me": me,
    "/api/v1/overview": early,
    "/api/v1/onboarding": me.onboarding,
    "/api/v1/campaigns": { items: [campaign] },
    "/api/v1/runs": { items: [] },
  };
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const { pathname } = new URL((input as Request).url);
    asked.push(pathname);
    return new Response(JSON.stringify(answers[pathname] ?? {}));
  });
});

function open() {
  const queries = createQueryClient();
  const router = createAppRouter(queries, createMemoryHistory({ initialEntries: ["/"] }));
  show(
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  );
  return queries;
}

it("shows what was delivered, and on which days, before anything is judged", async () => {
  open();
  const totals = await screen.findByRole("region", { name: "Totals per currency" });
  expect(totals).toHaveTextContent("€1,234.50");
  expect(totals).toHaveTextContent(/14.+20.*complete days/);
  expect(totals).toHaveTextContent("Nothing is judged yet.");
  const row = await screen.findByRole("row", { name: /Brand/ });
  expect(row).toHaveTextContent("€1,234.50");
  expect(row).toHaveTextContent("history on its way");
});

it("keeps what is judged apart from what was delivered", async () => {
  const judged = {
    lines: 2,
    delivered: eur("900.00"),
    expected: eur("1000.00"),
    budget: eur("3000.00"),
    index: "0.9",
  };
  answers["/api/v1/overview"] = { ...early, totals: [{ ...early.totals[0], judged }] };
  open();
  const totals = await screen.findByRole("region", { name: "Totals per currency" });
  expect(totals).toHaveTextContent("€1,234.50");
  expect(totals).toHaveTextContent("2 lines are judged: €900.00 delivered of €1,000.00 expected");
  expect(within(totals).getByText("90%")).toBeInTheDocument();
});

it("asks for totals and table together when a step of the onboarding moves", async () => {
  const queries = open();
  await screen.findByRole("row", { name: /Brand/ });
  await waitFor(() => expect(asked).toContain("/api/v1/runs"));
  const count = (path: string) => asked.filter((one) => one === path).length;
  const before = { overview: count("/api/v1/overview"), campaigns: count("/api/v1/campaigns") };
  queries.setQueryData(onboardingQuery().queryKey, onboardingWith({ state: "ready" }));
  await waitFor(() => expect(count("/api/v1/overview")).toBeGreaterThan(before.overview));
  await waitFor(() => expect(count("/api/v1/campaigns")).toBeGreaterThan(before.campaigns));
});

it("shows the same trouble of two connections twice", async () => {
  const complaints = vi.spyOn(console, "error");
  answers["/api/v1/overview"] = {
    ...early,
    problems: [
      { ...problem, detail: "One" },
      { ...problem, detail: "Two" },
    ],
  };
  open();
  expect(await screen.findAllByRole("group", { name: problem.title })).toHaveLength(2);
  expect(complaints).not.toHaveBeenCalledWith(
    expect.stringContaining("same key"),
    expect.anything(),
  );
});
