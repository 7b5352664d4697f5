#!/usr/bin/env node
/**
 * The main job in a real browser, against a running platform: sign-up → wizard → dashboard → campaign → approval →
 * "Applied and verified"; then a second approval with the keyboard alone. Its variables are those of harness.mjs.
 */
import {
  allow,
  awaitProposals,
  base,
  focused,
  MAX_TABS,
  openApprovable,
  openBrowser,
  patiently,
  selectAll,
  signOut,
  signUp,
  step,
  tabTo,
  verified,
  walk,
} from "./harness.mjs";

const person = {
  agency: "Harbour & Field",
  name: "Ana Approver",
  email: `ana.${Date.now()}@agency.example`,
  password: "correct horse battery staple",
};

const browser = await openBrowser();
const { page, check, heading, button, inbox, detail, main } = browser;

async function register() {
  await page.goto(`${base}/`);
  await heading("Sign in").waitFor();
  await check("sign-in");
  await page.getByRole("link", { name: "Create one for your agency" }).click();
  await heading(/Create your agency/).waitFor();
  await check("sign-up");
  await signUp(browser, person);
}

async function connect() {
  await button("Connect Display & Video 360").waitFor();
  await check("wizard-connect");
  await button("Connect Display & Video 360").click();
  await allow(browser, () => check("consent"));
}

async function choose() {
  await page.reload();
  await heading("Choose the advertisers to bring in", 2).waitFor();
  await selectAll(browser);
  await check("wizard-choose");
  await button("Bring them in").click();
}

/** The first days may be in before axe is done: the check is of whichever screen is there. */
async function progress() {
  const steps = page.getByRole("list", { name: "Steps of the setup" });
  await steps.or(heading("Overview")).first().waitFor();
  if (await steps.isVisible()) await check("wizard-progress");
  await heading("Overview").waitFor(patiently);
}

async function dashboard() {
  await page.getByRole("region", { name: "Totals per currency" }).waitFor(patiently);
  // The first days are shown before they are judged: the picture is of an overview that somebody can act on.
  const campaigns = page.getByRole("table", { name: "Campaigns" });
  await campaigns.getByText(/^(Behind|On pace|Ahead)/).first().waitFor(patiently);
  await check("overview");
}

async function filter() {
  await page.getByRole("radiogroup", { name: "Pace" }).getByText(/^Behind/).click();
  await page.waitForURL(/pace=behind/);
  await page.reload();
  await page.getByRole("table", { name: "Campaigns" }).getByRole("link").first().waitFor();
  const judgements = page.getByRole("table", { name: "Campaigns" }).getByRole("row");
  const rows = await judgements.count();
  const behind = await judgements.filter({ hasText: "Behind" }).count();
  if (behind !== rows - 1) throw new Error(`the filter shows ${rows - 1} campaigns, ${behind} of them behind`);
}

async function campaign() {
  const link = page.getByRole("table", { name: "Campaigns" }).getByRole("link").first();
  const name = (await link.textContent()).trim();
  await link.click();
  await heading(name).waitFor();
  await page.getByRole("figure", { name: "Pacing curve" }).waitFor();
  await page.getByRole("table", { name: "Lines" }).waitFor();
  await check("campaign");
  await page.getByRole("radiogroup", { name: "Show the curve as" }).getByText("View as table").click();
  await page.getByRole("table", { name: "Spend against plan by day" }).waitFor();
  await check("campaign-table");
}

async function proposals() {
  await awaitProposals(browser);
  await check("approvals");
}

async function approve() {
  const yes = await openApprovable(browser);
  await check("approval");
  await yes.click();
  await page.getByRole("dialog", { name: "Approve this change?" }).waitFor();
  await check("approval-question");
  await button("Approve the change").click();
  await verified(browser);
  await check("approval-verified");
}

/** From here on the mouse does not exist. */
async function byKeyboard() {
  await page.goto(`${base}/approvals`);
  await inbox().getByRole("link").first().waitFor();
  await page.keyboard.press("Tab");
  await expectFocus(/Skip to content/, "the first Tab does not reach the skip link");
  await page.keyboard.press("Enter");
  for (let opened = 0; opened < MAX_TABS; opened += 1) {
    await page.keyboard.press("j");
    await page.waitForURL(/\/approvals\/[^/?]+/);
    await detail().getByRole("article").waitFor();
    const yes = detail().getByRole("button", { name: "Approve", exact: true });
    if ((await yes.count()) > 0 && (await yes.isEnabled())) break;
  }
  await expectFocus(/Daily budget/, "stepping with j does not put the focus on the proposal's link");
  await page.keyboard.press("Enter");
  await tabTo(page, (focus) => focus.role === "button" && /^Approve/.test(focus.text), "Approve");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Approve this change?" }).waitFor();
  await expectFocus(/Approve the change/, "the question does not put the focus on its answer");
  await page.keyboard.press("Enter");
  await verified(browser);
  await check("approval-by-keyboard");
}

async function expectFocus(text, complaint) {
  const until = Date.now() + 2_000;
  let focus = await focused(page);
  while (!text.test(focus.text) && Date.now() < until) {
    await page.waitForTimeout(50);
    focus = await focused(page);
  }
  if (!text.test(focus.text)) throw new Error(`${complaint}: it is on ${focus.role} "${focus.text.slice(0, 80)}"`);
}

/** The screens beside the main line. */
async function beside() {
  const places = [
    ["Connections", () => page.getByRole("article").first()],
    ["Runs", () => page.getByRole("table", { name: "Run history" })],
    ["Members", () => page.getByRole("table", { name: "Roles" })],
    ["Audit trail", () => page.getByRole("table", { name: "Audit trail" })],
    ["Settings", () => button("Freeze changes…")],
  ];
  for (const [name, sign] of places) {
    await main().getByRole("link", { name }).click();
    await heading(name).waitFor();
    await sign().waitFor();
    await check(name.toLowerCase().replaceAll(" ", "-"));
  }
  await main().getByRole("link", { name: "Runs" }).click();
  await page.getByRole("table", { name: "Run history" }).getByRole("link").last().click();
  await heading(/^Run of/).waitFor();
  await check("run");
}

async function signOutAndBack() {
  await signOut(browser);
  await page.goto(`${base}/approvals?view=closed`);
  await page.getByRole("textbox", { name: "E-mail" }).fill(person.email);
  await page.getByLabel(/^Password/).fill("not the password");
  await button("Sign in").click();
  await page.getByRole("alert").waitFor();
  await check("sign-in-refused");
  await page.getByLabel(/^Password/).fill(person.password);
  await button("Sign in").click();
  await heading("Approvals").waitFor();
  await inbox().getByRole("link").first().waitFor();
  await check("approvals-history");
}

await walk("journey", async () => {
  await step("sign-up", register);
  await step("wizard: connect, with consent", connect);
  await step("wizard: resumed after a reload, advertisers chosen", choose);
  await step("wizard: live progress to the dashboard", progress);
  await step("dashboard with figures", dashboard);
  await step("filter kept in the address", filter);
  await step("campaign: curve, table, lines", campaign);
  await step("approvals: proposals are waiting", proposals);
  await step("approved, applied and verified", approve);
  await step("approved by keyboard alone, applied and verified", byKeyboard);
  await step("connections, runs, members, audit trail, settings", beside);
  await step("sign-out, refused sign-in, return to where it was asked", signOutAndBack);
});
