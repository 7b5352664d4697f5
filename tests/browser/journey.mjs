#!/usr/bin/env node
/**
 * The main job in a real browser, against a running platform: sign-up → wizard → dashboard → campaign → approval →
 * "Applied and verified"; then a second approval with the keyboard alone. Every screen is checked with axe in both
 * colour schemes. Everything is found by role and label, as a person with a screen reader would.
 *
 *   CLP_URL      the running platform, such as http://127.0.0.1:8080 (required)
 *   CLP_SHOTS    a folder for the pictures (default: a temporary one)
 *   CHROMIUM     the browser (default: /usr/bin/chromium)
 *   CLP_SECONDS  how long data or a verified change may take (default: 180)
 *
 * It stops at the first thing that is wrong, with the address and a picture, and a non-zero exit code.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const { AxeBuilder } = require("@axe-core/playwright");

const base = process.env.CLP_URL?.replace(/\/$/, "");
if (!base) {
  console.error("browser: CLP_URL is not set: give the address of a running platform");
  process.exit(2);
}
const shots = process.env.CLP_SHOTS ?? mkdtempSync(join(tmpdir(), "clp-shots-"));
mkdirSync(shots, { recursive: true });

const PATIENCE_MS = Number(process.env.CLP_SECONDS ?? 180) * 1_000;
const SCREEN_MS = 20_000;
const MAX_TABS = 80;
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const SCHEMES = ["light", "dark"];
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PLANNER = "planner@agency.example";
const person = {
  agency: "Harbour & Field",
  name: "Ana Approver",
  email: `ana.${Date.now()}@agency.example`,
  password: "correct horse battery staple",
};

const count = { steps: 0, axe: 0, violations: 0 };
const faults = [];
const profile = mkdtempSync(join(tmpdir(), "clp-browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: FLAGS,
  viewport: { width: 1440, height: 900 },
  locale: "en-GB",
  timezoneId: "Europe/Berlin",
  reducedMotion: "reduce",
});
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(SCREEN_MS);
page.on("pageerror", (error) => faults.push(`script error at ${page.url()}: ${error}`));
page.on("console", (message) => {
  if (/Content Security Policy/i.test(message.text()))
    faults.push(`policy violation at ${page.url()}: ${message.text()}`);
});

/** One named step of the journey, timed. */
async function step(name, work) {
  const began = Date.now();
  await work();
  if (faults.length > 0) throw new Error(faults.join("\n"));
  count.steps += 1;
  console.log(`browser: ${name} (${((Date.now() - began) / 1_000).toFixed(1)} s)`);
}

/** Checks what is on the screen in both schemes, and keeps a picture of each. */
async function check(name) {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 200))));
    const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
    count.axe += 1;
    count.violations += violations.length;
    const number = String(count.axe).padStart(2, "0");
    await page.screenshot({ path: join(shots, `${number}-${name}-${colorScheme}.png`) });
    if (violations.length > 0) throw new Error(`axe, ${name}, ${colorScheme}:\n${described(violations)}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

function described(violations) {
  return violations
    .map(({ id, help, nodes }) => `  ${id}: ${help}\n${nodes.map((node) => `    ${node.target}`).join("\n")}`)
    .join("\n");
}

const heading = (name, level = 1) => page.getByRole("heading", { level, name });
const button = (name) => page.getByRole("button", { name, exact: true });
const inbox = () => page.getByRole("region", { name: "Proposals", exact: true });
const detail = () => page.getByRole("region", { name: "Chosen proposal", exact: true });
const patiently = { timeout: PATIENCE_MS };

async function signUp() {
  await page.goto(`${base}/`);
  await heading("Sign in").waitFor();
  await check("sign-in");
  await page.getByRole("link", { name: "Create one for your agency" }).click();
  await heading(/Create your agency/).waitFor();
  await check("sign-up");
  await page.getByRole("textbox", { name: "Agency" }).fill(person.agency);
  await page.getByRole("textbox", { name: "Your name" }).fill(person.name);
  await page.getByRole("textbox", { name: "E-mail" }).fill(person.email);
  await page.getByLabel(/^Password/).fill(person.password);
  await page.getByLabel("Reporting currency").selectOption("EUR");
  await page.getByLabel("Time zone").selectOption("Europe/Berlin");
  await button("Create account").click();
  await heading("Set up your dashboard").waitFor();
}

async function connect() {
  await button("Connect Display & Video 360").waitFor();
  await check("wizard-connect");
  await button("Connect Display & Video 360").click();
  await page.getByRole("radio", { name: new RegExp(PLANNER) }).check();
  await check("consent");
  await button("Allow").click();
  await heading("Choose the advertisers to bring in", 2).waitFor(patiently);
}

async function choose() {
  await page.reload();
  await heading("Choose the advertisers to bring in", 2).waitFor();
  await page.getByRole("button", { name: /^Select all active/ }).click();
  await page.getByRole("status").filter({ hasText: /[1-9]\d* of \d+ advertisers selected/ }).waitFor();
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
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Approvals/ }).click();
  await heading("Approvals").waitFor();
  const first = inbox().getByRole("link").first();
  const nothing = page.getByText("Nothing to decide");
  await first.or(nothing).first().waitFor();
  if (await nothing.isVisible()) await button("Check pacing now").click();
  await first.waitFor(patiently);
  await check("approvals");
}

/** Opens proposals until one may be approved: what a person who may decide would do. */
async function openApprovable() {
  const links = inbox().getByRole("link");
  for (let index = 0; index < (await links.count()); index += 1) {
    await links.nth(index).click();
    await detail().getByRole("article").waitFor();
    const approve = detail().getByRole("button", { name: "Approve", exact: true });
    if ((await approve.count()) > 0 && (await approve.isEnabled())) return approve;
  }
  throw new Error("no open proposal may be approved");
}

async function approve() {
  const yes = await openApprovable();
  await check("approval");
  await yes.click();
  await page.getByRole("dialog", { name: "Approve this change?" }).waitFor();
  await check("approval-question");
  await button("Approve the change").click();
  await verified();
  await check("approval-verified");
}

async function verified() {
  const status = detail().getByRole("status");
  await status.filter({ hasText: "Applied and verified" }).waitFor(patiently);
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
  await tabTo((focus) => focus.role === "button" && /^Approve/.test(focus.text), "Approve");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Approve this change?" }).waitFor();
  await expectFocus(/Approve the change/, "the question does not put the focus on its answer");
  await page.keyboard.press("Enter");
  await verified();
  await check("approval-by-keyboard");
}

function focused() {
  return page.evaluate(() => {
    const element = document.activeElement;
    const text = element?.getAttribute("aria-label") ?? element?.textContent ?? "";
    return { role: element?.getAttribute("role") ?? element?.tagName.toLowerCase() ?? "", text: text.trim() };
  });
}

async function expectFocus(text, complaint) {
  const until = Date.now() + 2_000;
  let focus = await focused();
  while (!text.test(focus.text) && Date.now() < until) {
    await page.waitForTimeout(50);
    focus = await focused();
  }
  if (!text.test(focus.text)) throw new Error(`${complaint}: it is on ${focus.role} "${focus.text.slice(0, 80)}"`);
}

async function tabTo(wanted, name) {
  for (let tabs = 0; tabs < MAX_TABS; tabs += 1) {
    await page.keyboard.press("Tab");
    if (wanted(await focused())) return;
  }
  throw new Error(`${name} cannot be reached by Tab`);
}

/** The screens beside the main line. */
async function beside() {
  const places = [
    ["Connections", () => page.getByRole("article").first()],
    ["Runs", () => page.getByRole("table", { name: "Run history" })],
    ["Members", () => page.getByRole("table", { name: "Roles" })],
    ["Audit trail", () => page.getByRole("table", { name: "Audit trail" })],
    ["Settings", () => page.getByRole("table", { name: /signed in/ })],
  ];
  for (const [name, sign] of places) {
    await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name }).click();
    await heading(name).waitFor();
    await sign().waitFor();
    await check(name.toLowerCase().replaceAll(" ", "-"));
  }
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Runs" }).click();
  await page.getByRole("table", { name: "Run history" }).getByRole("link").last().click();
  await heading(/^Run of/).waitFor();
  await check("run");
}

async function signOutAndBack() {
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await heading("Sign in").waitFor();
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

try {
  await step("sign-up", signUp);
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
  console.log(`browser: ok steps=${count.steps} axe_checks=${count.axe} violations=${count.violations}`);
} catch (error) {
  const picture = join(shots, "failed.png");
  await page.screenshot({ path: picture, fullPage: true }).catch(() => {});
  console.error(`browser: FAILED after step ${count.steps} at ${page.url()}\n${error.message}`);
  for (const fault of faults) console.error(fault);
  console.error(`browser: picture ${picture}, axe_checks=${count.axe} violations=${count.violations}`);
  process.exitCode = 1;
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
