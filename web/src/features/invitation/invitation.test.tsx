import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { InvitationView } from "../../api/types";
import { meWith, termsOf } from "../../test/fixtures";
import { json, open, refusal, signedOut, type Answers } from "../../test/open";

const SECRET = "s3cr3t-of-the-link";
const STRONG = "violet kettle marching 41";

const view: InvitationView = {
  organisation: "Elbe",
  email: "ben@agency.example",
  role_title: "Viewer",
  invited_by: "Ana",
  expires_at: "2026-11-28T12:00:00Z",
  has_account: false,
};

const ben = { id: "usr_2", email: view.email, name: "Ben" };
const elbe = { ...meWith().organisation, id: "org_2", name: "Elbe" };
const joined = meWith({ user: ben, organisation: elbe, permissions: ["delivery.read"] });

/** Opens the link before somebody who is not signed in, unless `GET /me` says otherwise. */
function follow(about: Partial<InvitationView>, answers: Answers = {}) {
  let here = answers["GET /me"] ?? signedOut;
  return open(`/invitation#${SECRET}`, {
    "POST /invitations/look": () => json({ ...view, ...about }),
    "POST /invitations/accept": () => {
      here = () => json(joined);
      return json(joined);
    },
    "GET /terms": () => json(termsOf("1")),
    "GET /onboarding": () => json(joined.onboarding),
    "GET /overview": () =>
      json({
        totals: [],
        freshness: { state: "none" },
        campaigns: { total: 0, behind: 0, on_pace: 0, ahead: 0, not_judged: 0 },
        open_proposals: 0,
        problems: [],
      }),
    ...answers,
    "GET /me": () => here(null),
  });
}

const accepted = (sent: { path: string; body: unknown }[]) =>
  sent.filter(({ path }) => path === "/invitations/accept").map(({ body }) => body);

describe("an invitation", () => {
  it("is joined by a new person, and its secret is nowhere but in what is posted", async () => {
    const { sent, asked, history, queries } = follow({});
    expect(await screen.findByRole("heading", { name: "Join Elbe" })).toBeVisible();
    for (const fact of ["Viewer", "Ana", view.email, /28.*2026/])
      expect(screen.getByText(fact)).toBeVisible();
    await waitFor(() => expect(history.location.href).toBe("/invitation"));
    queries.setQueryData(["of", "somebody else"], "secret");
    await userEvent.type(await screen.findByLabelText(/^Your name/), "Ben");
    await userEvent.type(screen.getByLabelText(/^Password/), STRONG);
    await screen.findByRole("link", { name: /^Read the terms/ });
    await userEvent.click(screen.getByRole("checkbox", { name: /^I agree/ }));
    await userEvent.click(screen.getByRole("button", { name: "Create the account and join" }));
    expect(await screen.findByRole("heading", { name: "Overview" })).toBeVisible();
    expect(history.location.pathname).toBe("/");
    expect(screen.getByText("Elbe")).toBeVisible();
    expect(queries.getQueryData(["of", "somebody else"])).toBeUndefined();
    expect(accepted(sent)).toEqual([
      {
        token: SECRET,
        new: { name: "Ben", password: STRONG, terms_version: "1", privacy_version: "2" },
      },
    ]);
    expect(asked.filter((address) => address.includes(SECRET))).toEqual([]);
  });

  it("is joined with the password of the account that there is", async () => {
    const { sent } = follow({ has_account: true });
    await userEvent.type(await screen.findByLabelText(/^Password/), "my password{Enter}");
    expect(await screen.findByRole("heading", { name: "Overview" })).toBeVisible();
    expect(accepted(sent)).toEqual([{ token: SECRET, password: "my password" }]);
  });

  it("is joined by who is signed in with its e-mail by one click", async () => {
    const { sent } = follow(
      { has_account: true },
      { "GET /me": () => json(meWith({ user: ben })) },
    );
    await userEvent.click(await screen.findByRole("button", { name: "Join as Ben" }));
    expect(await screen.findByRole("heading", { name: "Overview" })).toBeVisible();
    expect(accepted(sent)).toEqual([{ token: SECRET }]);
  });

  it("says to somebody else who is signed in that they will be another person", async () => {
    follow({ has_account: true }, { "GET /me": () => json(meWith()) });
    expect(await screen.findByText(/signed in as ana@agency.example/)).toBeVisible();
    expect(screen.getByLabelText(/^Password/)).toBeVisible();
    expect(screen.queryByRole("button", { name: /^Join as/ })).not.toBeInTheDocument();
  });

  it("with a wrong password stays, and says so", async () => {
    follow(
      { has_account: true },
      { "POST /invitations/accept": () => refusal(401, "auth.wrong_credentials") },
    );
    await userEvent.type(await screen.findByLabelText(/^Password/), "wrong{Enter}");
    expect(await screen.findByRole("alert")).toHaveTextContent("auth.wrong_credentials");
    expect(screen.getByRole("heading", { name: "Join Elbe" })).toBeVisible();
  });

  it("asks for the code of a second factor, and stays there when it is wrong", async () => {
    const codes: Record<string, string> = { "": "auth.code_needed", "000000": "auth.wrong_code" };
    const { sent } = follow(
      { has_account: true },
      {
        "POST /invitations/accept": (body) => {
          const refused = codes[(body as { code?: string }).code ?? ""];
          return refused ? refusal(401, refused) : json(joined);
        },
      },
    );
    await userEvent.type(await screen.findByLabelText(/^Password/), "my password{Enter}");
    const code = await screen.findByLabelText(/^Code/);
    expect(code).toHaveFocus();
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
    await userEvent.type(code, "000000{Enter}");
    expect(await screen.findByRole("alert")).toHaveTextContent("auth.wrong_code");
    expect(code).toHaveValue("");
    await userEvent.type(code, "123456{Enter}");
    expect(await screen.findByRole("heading", { name: "Overview" })).toBeVisible();
    const known = { token: SECRET, password: "my password" };
    expect(accepted(sent)).toEqual([
      known,
      { ...known, code: "000000" },
      { ...known, code: "123456" },
    ]);
  });

  it("asks for the password of who is vouched for elsewhere alone", async () => {
    const { sent } = follow(
      { has_account: true },
      {
        "GET /me": () => json(meWith({ user: ben })),
        "POST /invitations/accept": (body) =>
          (body as { password?: string }).password
            ? json(joined)
            : refusal(422, "request.invalid", {
                errors: [{ pointer: "/password", message: "This is needed." }],
              }),
      },
    );
    await userEvent.click(await screen.findByRole("button", { name: "Join as Ben" }));
    await userEvent.type(await screen.findByLabelText(/^Password/), "my password{Enter}");
    await waitFor(() =>
      expect(accepted(sent)).toEqual([
        { token: SECRET },
        { token: SECRET, password: "my password" },
      ]),
    );
  });

  it("says under its fields what is wrong with a new person", async () => {
    follow(
      {},
      {
        "POST /invitations/accept": () =>
          refusal(422, "request.invalid", {
            errors: [{ pointer: "/new/password", message: "Too easy to guess." }],
          }),
      },
    );
    await userEvent.type(await screen.findByLabelText(/^Your name/), "Ben");
    await userEvent.type(screen.getByLabelText(/^Password/), "password1234");
    await screen.findByRole("link", { name: /^Read the terms/ });
    await userEvent.click(screen.getByRole("checkbox", { name: /^I agree/ }));
    await userEvent.click(screen.getByRole("button", { name: "Create the account and join" }));
    await waitFor(() =>
      expect(screen.getByLabelText(/^Password/)).toHaveAccessibleDescription(/Too easy/),
    );
  });

  it.each(["POST /invitations/look", "POST /invitations/accept"])(
    "that %s finds to be over has a calm page",
    async (operation) => {
      follow(
        { has_account: true },
        {
          "GET /me": () => json(meWith({ user: ben })),
          [operation]: () => refusal(410, "auth.invitation_unusable"),
        },
      );
      if (operation.endsWith("accept"))
        await userEvent.click(await screen.findByRole("button", { name: "Join as Ben" }));
      expect(await screen.findByText("This invitation does not hold any more")).toBeVisible();
      expect(screen.getByText(/Ask whoever invited you/)).toBeVisible();
      expect(screen.queryByRole("alert")).not.toBeInTheDocument();
      expect(screen.getByRole("link", { name: "Sign in" })).toHaveAttribute("href", "/sign-in");
    },
  );

  it("without its secret is said to be incomplete", async () => {
    const { sent } = open("/invitation", { "GET /me": signedOut });
    expect(await screen.findByText("This address is not complete")).toBeVisible();
    expect(sent).toEqual([]);
  });
});
