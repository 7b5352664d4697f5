import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import type { ApiKey } from "../../api/types";
import { meWith } from "../../test/fixtures";
import { json, nothing, open, refusal, serve } from "../../test/open";
import { show } from "../../test/render";
import { ApiKeysPage } from "./ApiKeysPage";

const key = (id: string, name: string, change: Partial<ApiKey> = {}): ApiKey => ({
  id,
  name,
  beginning: "clp_Ab3dEf",
  permissions: ["delivery.read", "moon.fly"],
  made_by: "Ana",
  state: "active",
  created_at: "2026-11-21T12:00:00Z",
  expires_at: "2027-02-19T12:00:00Z",
  last_used_at: null,
  ...change,
});

const SECRET = "clp_Ab3dEfGhIjKlMnOpQrStUvWxYz";

/** A server with these keys. */
function showKeys(items: ApiKey[], me = meWith()) {
  let keys = items;
  const { sent } = serve({
    "GET /api-keys": () => json({ items: keys }),
    "POST /api-keys": (body) =>
      json({ key: key("key_9", (body as { name: string }).name), secret: SECRET }, 201),
    "DELETE /api-keys/key_1": () => {
      keys = keys.map((one) => (one.id === "key_1" ? { ...one, state: "revoked" } : one));
      return nothing();
    },
  });
  show(<ApiKeysPage />, me);
  return sent;
}

async function form() {
  await userEvent.click(await screen.findByRole("button", { name: "New key…" }));
  return within(await screen.findByRole("dialog", { name: "New API key" }));
}

it("without a key, it is said what one is good for", async () => {
  showKeys([]);
  expect(await screen.findByText("No keys yet")).toBeVisible();
});

it("each key is listed with what it may do, its beginning and its state", async () => {
  showKeys([
    key("key_1", "Looker", { last_used_at: "2026-11-20T12:00:00Z" }),
    key("key_2", "Old", { state: "expired" }),
    key("key_3", "Lost", { state: "revoked" }),
    key("key_4", "Ben's", { state: "maker_left" }),
  ]);
  const table = await screen.findByRole("table", { name: "API keys" });
  const rows = within(table).getAllByRole("row").slice(1);
  expect(rows[0]).toHaveTextContent("clp_Ab3dEf…");
  expect(rows[0]).toHaveTextContent("See delivery · moon.fly");
  expect(rows[0]).toHaveTextContent("Nov 20, 2026");
  expect(rows[1]).toHaveTextContent("never");
  const states = ["Active", "Expired", "Revoked", "Maker left"];
  for (const [index, state] of states.entries()) expect(rows[index]).toHaveTextContent(state);
  const revoked = within(table).getAllByRole("button");
  expect(revoked.map((button) => button.getAttribute("aria-label"))).toEqual([
    "Revoke Looker…",
    "Revoke Ben's…",
  ]);
});

it("a new one is offered what one has oneself, but nothing that is for persons", async () => {
  showKeys(
    [],
    meWith({ permissions: ["delivery.read", "runs.read", "members.manage", "api_keys.manage"] }),
  );
  const dialog = await form();
  const names = dialog.getAllByRole("checkbox").map((box) => box.getAttribute("value"));
  expect(names).toEqual(["delivery.read", "runs.read"]);
});

it("is made, and its secret is shown once", async () => {
  const sent = showKeys([]);
  const dialog = await form();
  await userEvent.type(dialog.getByLabelText(/^Name/), "Looker");
  await userEvent.click(dialog.getByRole("checkbox", { name: "See delivery" }));
  await userEvent.selectOptions(dialog.getByLabelText(/^Ends by itself/), "365 days");
  await userEvent.click(dialog.getByRole("button", { name: "Make the key" }));
  const shown = await screen.findByRole("dialog", { name: "Your key “Looker”" });
  expect(within(shown).getByRole("textbox", { name: "Key" })).toHaveValue(SECRET);
  expect(shown).toHaveTextContent('curl -H "Authorization: Bearer $CLP_API_KEY"');
  expect(sent.map(({ body }) => body)).toEqual([
    { name: "Looker", permissions: ["delivery.read"], expires_in_days: 365 },
  ]);
  await userEvent.click(within(shown).getByRole("button", { name: "Done" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  expect(document.body).not.toHaveTextContent(SECRET);
});

it("is not made without a name and a permission", async () => {
  const sent = showKeys([]);
  const dialog = await form();
  await userEvent.click(dialog.getByRole("button", { name: "Make the key" }));
  expect(await dialog.findByText("Enter a name")).toBeVisible();
  expect(dialog.getByText("Choose at least one")).toBeVisible();
  expect(dialog.getByLabelText(/^Name/)).toHaveFocus();
  expect(sent).toEqual([]);
});

it("a refused permission is said under the permissions", async () => {
  serve({
    "POST /api-keys": () =>
      refusal(422, "request.invalid", {
        errors: [{ pointer: "/permissions/0", message: "You don't have this permission." }],
      }),
  });
  show(<ApiKeysPage />);
  const dialog = await form();
  await userEvent.type(dialog.getByLabelText(/^Name/), "Looker");
  await userEvent.click(dialog.getByRole("checkbox", { name: "See delivery" }));
  await userEvent.click(dialog.getByRole("button", { name: "Make the key" }));
  await waitFor(() =>
    expect(dialog.getAllByText("You don't have this permission.")).toHaveLength(2),
  );
});

it("is revoked after a question", async () => {
  const sent = showKeys([key("key_1", "Looker")]);
  await userEvent.click(await screen.findByRole("button", { name: "Revoke Looker…" }));
  const dialog = await screen.findByRole("dialog", { name: "Revoke Looker?" });
  expect(sent).toEqual([]);
  await userEvent.click(within(dialog).getByRole("button", { name: "Revoke the key" }));
  expect(await screen.findByText("Revoked")).toBeVisible();
  expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual(["DELETE /api-keys/key_1"]);
});

it("is not asked for by who may not, at its own address either", async () => {
  const { asked } = open("/settings/api-keys", {
    "GET /me": () => json(meWith({ permissions: ["delivery.read"] })),
  });
  expect(await screen.findByText("Your role does not allow this")).toBeVisible();
  expect(asked.filter((address) => address.includes("api-keys"))).toEqual([]);
  expect(screen.queryByRole("link", { name: "API keys" })).not.toBeInTheDocument();
});

it("is led to from the settings", async () => {
  open("/settings", { "GET /me": () => json(meWith()) });
  await userEvent.click(await screen.findByRole("link", { name: "API keys" }));
  expect(await screen.findByRole("heading", { name: "API keys" })).toBeVisible();
});
