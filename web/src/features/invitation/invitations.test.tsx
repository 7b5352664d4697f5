import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it, vi } from "vitest";
import type { Invitation, NewInvitation, Role } from "../../api/types";
import { json, nothing, refusal, serve } from "../../test/open";
import { show } from "../../test/render";
import { Invitations } from "./Invitations";

const role = (name: string, title: string): Role => ({
  name,
  title,
  built_in: true,
  permissions: [],
  members: 0,
});
const ROLES = [role("admin", "Admin"), role("viewer", "Viewer")];

const invitation = (id: string, email: string, change: Partial<Invitation> = {}): Invitation => ({
  id,
  email,
  role: "viewer",
  role_title: "Viewer",
  invited_by: "Ana",
  sent_at: "2026-11-21T12:00:00Z",
  expires_at: "2026-11-28T12:00:00Z",
  expired: false,
  mailed: true,
  ...change,
});

const LINK = "https://platform.example/invitation#s3cr3t";

const made = (email: string, mail: NewInvitation["mail"]): NewInvitation => ({
  invitation: invitation("inv_9", email, { mailed: mail === "sent" }),
  link: LINK,
  mail,
});

/** A server with these invitations. */
function open(items: Invitation[], mail: NewInvitation["mail"] = "sent") {
  let waiting = items;
  const { sent } = serve({
    "GET /invitations": () => json({ items: waiting }),
    "POST /invitations": (body) => json(made((body as { email: string }).email, mail), 201),
    "DELETE /invitations/inv_1": () => {
      waiting = waiting.filter(({ id }) => id !== "inv_1");
      return nothing();
    },
  });
  show(<Invitations roles={ROLES} />);
  return sent;
}

async function invite(email: string) {
  await userEvent.click(await screen.findByRole("button", { name: "Invite…" }));
  const dialog = await screen.findByRole("dialog", { name: "Invite a colleague" });
  await userEvent.type(within(dialog).getByLabelText(/^E-mail/), email);
  await userEvent.click(within(dialog).getByRole("button", { name: "Invite" }));
}

it("nobody is waiting, and what to do about that is said", async () => {
  open([]);
  expect(await screen.findByText("Nobody is waiting")).toBeVisible();
});

it.each([
  ["sent", "The mail with the link is on its way."],
  ["failed", /could not be sent. Pass the link on yourself/],
  ["off", "This deployment sends no mail. Pass the link on yourself."],
] as const)("when the mail is %s, that is said, and the link is there", async (mail, words) => {
  const sent = open([], mail);
  await invite("ben@agency.example");
  const dialog = await screen.findByRole("dialog", { name: "ben@agency.example is invited" });
  expect(within(dialog).getByText(words)).toBeVisible();
  expect(within(dialog).getByRole("textbox", { name: "Link" })).toHaveValue(LINK);
  expect(dialog).toHaveTextContent(/shown this once.*Whoever has it can join/);
  expect(sent).toEqual([
    {
      method: "POST",
      path: "/invitations",
      body: { email: "ben@agency.example", role: "viewer" },
    },
  ]);
});

it("the link is copied, and that is said", async () => {
  open([]);
  await invite("ben@agency.example");
  const write = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  await userEvent.click(await screen.findByRole("button", { name: "Copy: Link" }));
  expect(await screen.findByText("Copied")).toBeVisible();
  expect(write).toHaveBeenCalledWith(LINK);
});

it("where the browser forbids to copy, the link is there to be copied by hand", async () => {
  open([]);
  await invite("ben@agency.example");
  vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("forbidden"));
  await userEvent.click(await screen.findByRole("button", { name: "Copy: Link" }));
  expect(await screen.findByText(/copy it by hand/)).toBeVisible();
});

it("an address that is none is not sent", async () => {
  const sent = open([]);
  await invite("ben");
  expect(await screen.findByText(/^Enter an e-mail address/)).toBeVisible();
  expect(sent).toEqual([]);
});

it("a refusal is shown in the dialog, under its field", async () => {
  serve({
    "POST /invitations": () =>
      refusal(422, "request.invalid", {
        errors: [{ pointer: "/email", message: "This person belongs to it already." }],
      }),
  });
  show(<Invitations roles={ROLES} />);
  await invite("ben@agency.example");
  await waitFor(() =>
    expect(screen.getByLabelText(/^E-mail/)).toHaveAccessibleDescription(
      "This person belongs to it already.",
    ),
  );
});

it("what became of each is marked", async () => {
  open([
    invitation("inv_1", "ben@agency.example"),
    invitation("inv_2", "cem@agency.example", { mailed: false }),
    invitation("inv_3", "dan@agency.example", { mailed: false, expired: true }),
  ]);
  const table = await screen.findByRole("table", { name: "Invitations" });
  const rows = within(table).getAllByRole("row").slice(1);
  const marks = ["Waiting", "Not mailed", "Expired"];
  for (const [index, mark] of marks.entries()) expect(rows[index]).toHaveTextContent(mark);
  expect(rows[0]).toHaveTextContent("by Ana");
  expect(rows[0]).toHaveTextContent("Nov 28, 2026");
});

it("sent again, there is a new link", async () => {
  const sent = open([invitation("inv_1", "ben@agency.example")]);
  await userEvent.click(
    await screen.findByRole("button", { name: "Send again to ben@agency.example" }),
  );
  expect(await screen.findByRole("textbox", { name: "Link" })).toHaveValue(LINK);
  expect(sent.map(({ body }) => body)).toEqual([{ email: "ben@agency.example", role: "viewer" }]);
});

it("is withdrawn after a question, and the focus stays in the section", async () => {
  const sent = open([invitation("inv_1", "ben@agency.example")]);
  await userEvent.click(
    await screen.findByRole("button", { name: "Withdraw the invitation of ben@agency.example…" }),
  );
  expect(sent).toEqual([]);
  await userEvent.click(await screen.findByRole("button", { name: "Withdraw the invitation" }));
  await waitFor(() => expect(screen.getByRole("heading", { name: "Invitations" })).toHaveFocus());
  expect(await screen.findByText("Nobody is waiting")).toBeVisible();
  expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "DELETE /invitations/inv_1",
  ]);
});
