import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";
import { meWith, onboardingWith, termsOf } from "../../test/fixtures";
import { json, open, refusal, type Answers } from "../../test/open";

const STRONG = "violet kettle marching 41";

async function fill(password = STRONG) {
  await userEvent.type(await screen.findByRole("textbox", { name: /Agency/ }), "Hafen");
  await userEvent.type(screen.getByRole("textbox", { name: /Your name/ }), "Ana");
  await userEvent.type(screen.getByRole("textbox", { name: /E-mail/ }), "ana@agency.example");
  await userEvent.type(screen.getByLabelText(/^Password/), password);
}

const box = () =>
  screen.getByRole("checkbox", { name: "I agree to the terms and the privacy notice" });
const send = () => userEvent.click(screen.getByRole("button", { name: "Create account" }));

/** A server on which the terms have this version. */
const holding = (version: string, answers: Answers = {}): Answers => ({
  "GET /terms": () => json(termsOf(version)),
  "GET /me": () => json(meWith({ onboarding: onboardingWith() })),
  "GET /onboarding": () => json(onboardingWith()),
  ...answers,
});

it("the first field that is wrong gets the focus", async () => {
  const { sent } = open("/sign-up", holding("1"));
  const agency = await screen.findByRole("textbox", { name: /Agency/ });
  await send();
  await waitFor(() => expect(agency).toHaveFocus());
  expect(sent).toEqual([]);
});

it("nobody signs up without agreeing", async () => {
  const { sent } = open("/sign-up", holding("1"));
  await fill();
  await send();
  expect(await screen.findByText(/^Tick the box/)).toBeVisible();
  expect(sent).toEqual([]);
});

it("what is agreed to can be read beside the form, and its versions are sent", async () => {
  const { sent } = open(
    "/sign-up",
    holding("7", { "POST /sign-up": () => json(meWith({ onboarding: onboardingWith() }), 201) }),
  );
  await fill();
  for (const [name, address] of [
    [/^Read the terms/, "https://agency.example/terms"],
    [/^Read the privacy notice/, "https://agency.example/privacy"],
  ] as const) {
    const link = screen.getByRole("link", { name });
    expect(link).toHaveAttribute("href", address);
    expect(link).toHaveAttribute("target", "_blank");
  }
  await userEvent.click(box());
  await send();
  expect(await screen.findByRole("heading", { name: "Set up your dashboard" })).toBeVisible();
  expect(sent[0]?.body).toMatchObject({
    password: STRONG,
    terms_version: "7",
    privacy_version: "2",
  });
  expect(sent[0]?.body).not.toHaveProperty("agreed");
});

it("terms that changed meanwhile are read again and agreed to anew", async () => {
  let version = "1";
  const answers = holding("1", {
    "GET /terms": () => json(termsOf(version)),
    "POST /sign-up": (body) =>
      (body as { terms_version: string }).terms_version === version
        ? json(meWith({ onboarding: onboardingWith() }), 201)
        : refusal(409, "auth.terms_changed"),
  });
  const { sent } = open("/sign-up", answers);
  await fill();
  await screen.findByRole("link", { name: /^Read the terms/ });
  version = "2";
  await userEvent.click(box());
  await send();
  expect(await screen.findByRole("alert")).toHaveTextContent("tick the box and send the form");
  await waitFor(() => expect(box()).not.toBeChecked());
  await userEvent.click(box());
  await send();
  expect(await screen.findByRole("heading", { name: "Set up your dashboard" })).toBeVisible();
  expect(sent.map(({ body }) => (body as { terms_version: string }).terms_version)).toEqual([
    "1",
    "2",
  ]);
});

it("a password that is easy to guess is refused under its field", async () => {
  const message = "This is too easy to guess.";
  open(
    "/sign-up",
    holding("1", {
      "POST /sign-up": () =>
        refusal(422, "request.invalid", { errors: [{ pointer: "/password", message }] }),
    }),
  );
  await fill("password1234");
  expect(screen.getByLabelText(/^Password/)).toHaveAccessibleDescription(
    "At least 12 characters, hard to guess",
  );
  await userEvent.click(box());
  await send();
  await waitFor(() =>
    expect(screen.getByLabelText(/^Password/)).toHaveAccessibleDescription(new RegExp(message)),
  );
  expect(screen.getByLabelText(/^Password/)).toBeInvalid();
});

it("without the documents there is nothing to agree to, and that is said", async () => {
  const { sent } = open(
    "/sign-up",
    holding("1", { "GET /terms": () => refusal(400, "web.broken") }),
  );
  await fill();
  expect(await screen.findByRole("alert")).toHaveTextContent("Refused: web.broken");
  await userEvent.click(box());
  await send();
  expect(sent).toEqual([]);
});
