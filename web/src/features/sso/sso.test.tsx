import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import type { SsoProvider } from "../../api/types";
import { meWith } from "../../test/fixtures";
import { json, nothing, open, refusal, type Answers } from "../../test/open";

const sso = {
  redirect_uri: "https://clp.example/api/v1/sso/callback",
  sign_in_url: "https://clp.example/sign-in?organisation=org_1",
};
const known: SsoProvider = {
  issuer: "https://login.agency.example",
  client_id: "clp",
  default_role: "viewer",
  required: true,
};
const roles = ["admin", "viewer"].map((name) => ({
  name,
  title: name === "admin" ? "Admin" : "Viewer",
  permissions: [],
  members: 1,
  built_in: true,
}));

function visit(before: SsoProvider | null, answers: Answers = {}, me = meWith()) {
  let provider = before;
  return open("/settings/single-sign-on", {
    "GET /me": () => json(me),
    "GET /onboarding": () => json(me.onboarding),
    "GET /sso": () => json({ ...sso, provider }),
    "GET /roles": () => json({ items: roles }),
    "PUT /sso": (body) => {
      provider = body as SsoProvider;
      return nothing();
    },
    "DELETE /sso": () => {
      provider = null;
      return nothing();
    },
    ...answers,
  });
}

const issuer = () => screen.findByLabelText(/^Issuer/);
const secret = () => screen.getByLabelText(/^Client secret/);
const role = () => screen.getByLabelText(/^People whom it knows/);
const save = () => userEvent.click(screen.getByRole("button", { name: "Save" }));

describe("single sign-on of an organisation", () => {
  it("is set up with what both sides need to know", async () => {
    const { sent } = visit(null);
    expect(await screen.findByRole("textbox", { name: "Redirect URI" })).toHaveValue(
      sso.redirect_uri,
    );
    expect(screen.getByRole("textbox", { name: "Sign-in link" })).toHaveValue(sso.sign_in_url);
    expect(screen.getByText("Not set up")).toBeVisible();
    expect(screen.queryByRole("button", { name: "Remove…" })).not.toBeInTheDocument();
    await save();
    for (const missing of [/issuer’s address/, /client’s id/, /client’s secret/])
      expect(await screen.findByText(missing)).toBeVisible();
    expect(await issuer()).toHaveFocus();
    expect(sent).toEqual([]);
    await userEvent.type(await issuer(), known.issuer);
    await userEvent.type(screen.getByLabelText(/^Client ID/), "clp");
    await userEvent.type(secret(), "s3cr3t");
    expect(role()).toHaveDisplayValue("Are not let in: members only");
    await userEvent.selectOptions(role(), "Join as Viewer");
    const required = screen.getByRole("checkbox", { name: /^Everybody has to/ });
    expect(required).toHaveAccessibleDescription(/Admins can still use theirs/);
    await userEvent.click(required);
    await save();
    expect(await screen.findByText(/^Saved/)).toBeVisible();
    expect(await screen.findByText("On")).toBeVisible();
    expect(secret()).toHaveValue("");
    expect(sent.map(({ body }) => body)).toEqual([{ ...known, client_secret: "s3cr3t" }]);
  });

  it("keeps its secret when none is typed", async () => {
    const { sent } = visit(known);
    expect(await issuer()).toHaveValue(known.issuer);
    expect(secret()).toHaveAccessibleDescription(/^Leave empty to keep/);
    expect(role()).toHaveDisplayValue("Join as Viewer");
    await userEvent.selectOptions(role(), "Are not let in: members only");
    await save();
    expect(await screen.findByText(/^Saved/)).toBeVisible();
    expect(sent.map(({ body }) => body)).toEqual([
      { ...known, default_role: null, client_secret: null },
    ]);
  });

  it("says under its fields what a provider's document lacks", async () => {
    const message = "No OpenID Connect document can be read there.";
    visit(known, {
      "PUT /sso": () =>
        refusal(422, "request.invalid", { errors: [{ pointer: "/issuer", message }] }),
    });
    await issuer();
    await save();
    await waitFor(async () =>
      expect(await issuer()).toHaveAccessibleDescription(new RegExp(message)),
    );
    expect(screen.queryByText(/^Saved/)).not.toBeInTheDocument();
  });

  it("is removed after a question", async () => {
    const { sent } = visit(known);
    await issuer();
    await userEvent.click(screen.getByRole("button", { name: "Remove…" }));
    const dialog = await screen.findByRole("dialog", { name: "Remove single sign-on?" });
    expect(sent).toEqual([]);
    await userEvent.click(within(dialog).getByRole("button", { name: "Remove single sign-on" }));
    expect(await screen.findByText("Not set up")).toBeVisible();
    await waitFor(async () => expect(await issuer()).toHaveValue(""));
    await waitFor(() =>
      expect(screen.getByRole("heading", { name: "Identity provider" })).toHaveFocus(),
    );
    expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual(["DELETE /sso"]);
  });

  it("keeps the role of who may not see the roles", async () => {
    const me = meWith({ permissions: ["sign_in.manage"] });
    const { sent, asked } = visit(known, {}, me);
    await issuer();
    expect(role()).toHaveDisplayValue("Join as viewer");
    await save();
    expect(await screen.findByText(/^Saved/)).toBeVisible();
    expect(sent[0]?.body).toMatchObject({ default_role: "viewer" });
    expect(asked.filter((address) => address.endsWith("/roles"))).toEqual([]);
  });

  it("is not asked for by who may not see it, nor are they led there", async () => {
    const { asked } = visit(known, {}, meWith({ permissions: ["delivery.read"] }));
    expect(await screen.findByText("Your role does not allow this")).toBeVisible();
    expect(screen.queryByRole("link", { name: "Single sign-on" })).not.toBeInTheDocument();
    expect(screen.getByRole("link", { name: "Sign-in security" })).toBeVisible();
    expect(asked.filter((address) => address.endsWith("/sso"))).toEqual([]);
  });
});
