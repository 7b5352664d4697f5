import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { meWith, termsOf } from "../../test/fixtures";
import { json, nothing, open, refusal, signedOut } from "../../test/open";

/** A server on which the person has not agreed to what holds now. */
function serving() {
  let me: ReturnType<typeof meWith> | null = meWith({ agreed: false });
  return {
    "GET /me": () => (me ? json(me) : signedOut()),
    "GET /onboarding": () => json(me?.onboarding),
    "GET /terms": () => json(termsOf("3")),
    "PUT /terms/agreement": () => {
      me = meWith();
      return nothing();
    },
    "DELETE /session": () => {
      me = null;
      return nothing();
    },
  };
}

const title = "Please agree to go on";
const box = () => screen.findByRole("checkbox", { name: /^I agree/ });
const goOn = () => userEvent.click(screen.getByRole("button", { name: "Agree and go on" }));

it("stands before every page, and leads on to the one that was asked for", async () => {
  const { sent, history } = open("/settings", serving());
  expect(await screen.findByRole("heading", { name: title })).toBeVisible();
  expect(screen.queryByRole("navigation")).not.toBeInTheDocument();
  await box();
  await goOn();
  expect(await screen.findByText(/^Tick the box/)).toBeVisible();
  expect(sent).toEqual([]);
  await screen.findByRole("link", { name: /^Read the terms/ });
  await userEvent.click(await box());
  await goOn();
  expect(await screen.findByRole("heading", { name: "Settings" })).toBeVisible();
  expect(history.location.pathname).toBe("/settings");
  expect(sent).toEqual([
    {
      method: "PUT",
      path: "/terms/agreement",
      body: { terms_version: "3", privacy_version: "2" },
    },
  ]);
});

it.each(["/", "/approvals", "/onboarding", "/settings/api-keys"])(
  "stands before %s",
  async (path) => {
    open(path, serving());
    expect(await screen.findByRole("heading", { name: title })).toBeVisible();
  },
);

it("can be left by signing out", async () => {
  const { sent, history } = open("/", serving());
  await userEvent.click(await screen.findByRole("button", { name: "Sign out instead" }));
  expect(await screen.findByRole("heading", { name: "Sign in" })).toBeVisible();
  expect(sent.map(({ method, path }) => `${method} ${path}`)).toEqual(["DELETE /session"]);
  await waitFor(() => expect(history.location.pathname).toBe("/sign-in"));
});

it("is asked anew when the documents changed meanwhile", async () => {
  open("/", { ...serving(), "PUT /terms/agreement": () => refusal(409, "auth.terms_changed") });
  await screen.findByRole("link", { name: /^Read the terms/ });
  await userEvent.click(await box());
  await goOn();
  expect(await screen.findByRole("alert")).toHaveTextContent("Read what is there now");
  expect(await box()).not.toBeChecked();
});

it("is not shown to who has agreed", async () => {
  const { history } = open("/agreement?return=%2Fsettings", {
    ...serving(),
    "GET /me": () => json(meWith()),
  });
  expect(await screen.findByRole("heading", { name: "Settings" })).toBeVisible();
  expect(history.location.pathname).toBe("/settings");
});
