import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { nothing, open, refusal, signedOut } from "../../test/open";

const out = { "GET /me": signedOut };

describe("a forgotten password", () => {
  it("is asked for from the sign-in page, and the answer tells nobody who has an account", async () => {
    const { sent } = open("/sign-in", {
      ...out,
      "POST /password/forgotten": () => new Response(null, { status: 202 }),
    });
    await userEvent.click(await screen.findByRole("link", { name: "Forgotten your password?" }));
    await screen.findByRole("heading", { name: "Forgotten your password?" });
    await userEvent.type(screen.getByLabelText(/^E-mail/), "ana@agency.example{Enter}");
    expect(await screen.findByRole("status")).toHaveTextContent(
      "If there is an account, a mail is on its way; the link holds for an hour.",
    );
    expect(sent.map(({ body }) => body)).toEqual([{ email: "ana@agency.example" }]);
  });
});

describe("the link to a new password", () => {
  const SECRET = "s3cr3t-of-the-link";
  const field = () => screen.findByLabelText(/^New password/);

  it("gives its secret to the form and takes it out of the address", async () => {
    const { sent, asked, history } = open(`/password-reset#${SECRET}`, {
      ...out,
      "POST /password/reset": nothing,
    });
    await field();
    await waitFor(() => expect(history.location.href).toBe("/password-reset"));
    await userEvent.type(await field(), "violet kettle marching 41{Enter}");
    expect(await screen.findByRole("heading", { name: "Sign in" })).toBeVisible();
    expect(screen.getByText(/^Your password is changed/)).toBeVisible();
    expect(sent.map(({ body }) => body)).toEqual([
      { token: SECRET, password: "violet kettle marching 41" },
    ]);
    expect(asked.filter((address) => address.includes(SECRET))).toEqual([]);
  });

  it("that does not hold any more leads to a new one", async () => {
    open(`/password-reset#${SECRET}`, {
      ...out,
      "POST /password/reset": () => refusal(410, "auth.reset_unusable"),
    });
    await userEvent.type(await field(), "violet kettle marching 41{Enter}");
    expect(await screen.findByText("This link does not hold any more")).toBeVisible();
    expect(screen.getByRole("link", { name: "Ask for a new link" })).toHaveAttribute(
      "href",
      "/forgotten-password",
    );
  });

  it("without its secret is said to be incomplete", async () => {
    const { sent } = open("/password-reset", out);
    expect(await screen.findByText("This address is not complete")).toBeVisible();
    expect(screen.queryByLabelText(/^New password/)).not.toBeInTheDocument();
    expect(sent).toEqual([]);
  });

  it("shows under the field why a password is refused", async () => {
    open(`/password-reset#${SECRET}`, {
      ...out,
      "POST /password/reset": () =>
        refusal(422, "request.invalid", {
          errors: [{ pointer: "/password", message: "Too easy to guess." }],
        }),
    });
    await userEvent.type(await field(), "password1234{Enter}");
    await waitFor(async () =>
      expect(await field()).toHaveAccessibleDescription(/Too easy to guess/),
    );
  });
});

it.each([
  ["terms", "Terms of use", /CLP_TERMS_URL/],
  ["privacy", "Privacy notice", /CLP_PRIVACY_URL/],
] as const)("the page in place of the %s says whose turn it is", async (page, title, setting) => {
  open(`/legal/${page}`, out);
  expect(await screen.findByRole("heading", { name: title })).toBeVisible();
  expect(screen.getByText(setting)).toBeVisible();
});
