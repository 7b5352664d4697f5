import { QueryClientProvider, type Query } from "@tanstack/react-query";
import { createMemoryHistory, RouterProvider } from "@tanstack/react-router";
import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import { createQueryClient } from "../api/queries";
import type { Me, Overview, Problem } from "../api/types";
import { meWith, onboardingWith, problem } from "../test/fixtures";
import { show } from "../test/render";
import { createAppRouter } from "./router";

const overviewOf = (me: Me): Overview => ({
  totals: [],
  freshness: { state: "none" },
  campaigns: { total: 0, behind: 0, on_pace: 0, ahead: 0, not_judged: 0 },
  open_proposals: me.open_proposals,
  problems: [],
});

const meIn = (id: string, name: string, change: Partial<Me> = {}) =>
  meWith({ organisation: { ...meWith().organisation, id, name }, ...change });

const hafen = meIn("org_1", "Hafen", { open_proposals: 2 });
const elbe = meIn("org_2", "Elbe", { role: "account_lead", permissions: ["delivery.read"] });

/** Opens an address in the first of the person's organisations; what was sent is kept. */
function open(address: string, organisations: Me[], refusal?: Problem) {
  let here = organisations[0]!;
  const sent: unknown[] = [];
  const answer = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input) => {
    const request = input as Request;
    const path = new URL(request.url).pathname.replace("/api/v1", "");
    if (request.method === "PUT") {
      const body = (await request.json()) as { organisation: string };
      sent.push([path, body]);
      if (refusal) return answer(refusal, refusal.status);
      here = organisations.find(({ organisation }) => organisation.id === body.organisation)!;
      return answer(here);
    }
    if (path === "/me") return answer(here);
    if (path === "/onboarding") return answer(here.onboarding);
    if (path === "/overview") return answer(overviewOf(here));
    if (path !== "/organisations") return answer({ items: [] });
    const items = organisations.map((one) => ({
      id: one.organisation.id,
      name: one.organisation.name,
      role: one.role,
      current: one === here,
    }));
    return answer({ items });
  });
  const queries = createQueryClient();
  const history = createMemoryHistory({ initialEntries: [address] });
  show(
    <QueryClientProvider client={queries}>
      <RouterProvider router={createAppRouter(queries, history)} />
    </QueryClientProvider>,
  );
  return { sent, queries, history };
}

const switcher = (name: string) => screen.findByRole("button", { name: `Organisation: ${name}` });

async function goTo(from: string, to: RegExp) {
  await userEvent.click(await switcher(from));
  await userEvent.click(await screen.findByRole("menuitemradio", { name: to }));
}

it("another organisation takes the place of this one, and nothing of this one is kept", async () => {
  const { sent, queries } = open("/", [hafen, elbe]);
  expect(await screen.findByText("Review 2 proposals")).toBeVisible();
  const secret = ["get", "/api/v1/campaigns/{id}", "of Hafen"];
  queries.setQueryData(secret, "secret");
  await goTo("Hafen", /Elbe.*account lead/);
  expect(await switcher("Elbe")).toBeVisible();
  expect(sent).toEqual([["/session/organisation", { organisation: "org_2" }]]);
  expect(queries.getQueryData(secret)).toBeUndefined();
  expect(await screen.findByRole("heading", { name: "Overview" })).toHaveFocus();
  expect(screen.queryByText("Review 2 proposals")).not.toBeInTheDocument();
  expect(screen.queryByRole("link", { name: "Members" })).not.toBeInTheDocument();
});

it("the switch leads to the overview, by keyboard too", async () => {
  const { sent, history } = open("/settings", [hafen, elbe]);
  (await switcher("Hafen")).focus();
  await userEvent.keyboard("{Enter}");
  const menu = await screen.findByRole("menu");
  const current = within(menu).getByRole("menuitemradio", { name: /Hafen/ });
  expect(current).toBeChecked();
  await waitFor(() => expect(current).toHaveFocus());
  await userEvent.keyboard("{ArrowDown}{Enter}");
  expect(await switcher("Elbe")).toBeVisible();
  await waitFor(() => expect(history.location.pathname).toBe("/"));
  expect(sent).toHaveLength(1);
});

const isRead = (query: Query) => query.state.status === "success";

it("who belongs to one organisation is offered no other", async () => {
  const { queries } = open("/settings", [hafen]);
  const filter = { queryKey: ["get", "/api/v1/organisations"], predicate: isRead };
  await waitFor(() => expect(queries.getQueryCache().findAll(filter)).toHaveLength(1));
  expect(await screen.findByText("Hafen")).toBeVisible();
  expect(screen.queryByRole("button", { name: /^Organisation/ })).not.toBeInTheDocument();
});

it("a refusal is shown, and one stays where one is", async () => {
  const { history } = open("/settings", [hafen, elbe], {
    ...problem,
    status: 404,
    code: "not_found",
    title: "There is none.",
  });
  await goTo("Hafen", /Elbe/);
  const dialog = await screen.findByRole("dialog", { name: "You are still in Hafen" });
  expect(dialog).toHaveTextContent("There is none.");
  await userEvent.click(within(dialog).getByRole("button", { name: "Close" }));
  const button = await switcher("Hafen");
  await waitFor(() => expect(button).toHaveFocus());
  expect(history.location.pathname).toBe("/settings");
});

it("who is vouched for in one organisation alone is told so", async () => {
  const title = "Your identity provider vouches for you here alone.";
  open("/", [hafen, elbe], { ...problem, status: 403, code: "auth.session_bound", title });
  await goTo("Hafen", /Elbe/);
  const dialog = await screen.findByRole("dialog", { name: "You are still in Hafen" });
  expect(dialog).toHaveTextContent(title);
});

it("an organisation that is not set up can be left again", async () => {
  const { history } = open("/settings", [
    hafen,
    meIn("org_3", "Alster", { onboarding: onboardingWith() }),
  ]);
  await goTo("Hafen", /Alster/);
  expect(await screen.findByRole("heading", { name: "Set up your dashboard" })).toBeVisible();
  expect(history.location.pathname).toBe("/onboarding");
  await goTo("Alster", /Hafen/);
  expect(await screen.findByRole("heading", { name: "Overview" })).toBeVisible();
  expect(await switcher("Hafen")).toBeVisible();
});
