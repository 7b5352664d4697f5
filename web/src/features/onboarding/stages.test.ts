import { describe, expect, it } from "vitest";
import type { Onboarding } from "../../api/types";
import { accountWith, onboardingWith } from "../../test/fixtures";
import { needsWizard, partnersOf, stageOf } from "./stages";

describe("where the wizard resumes", () => {
  it.each<[Onboarding["state"], string]>([
    ["connecting", "connect"],
    ["verifying", "connect"],
    ["choosing_accounts", "choose"],
    ["provisioning", "provision"],
    ["first_slice", "provision"],
    ["ready", "provision"],
    ["cancelled", "connect"],
  ])("%s is shown at %s", (state, stage) => {
    expect(stageOf(onboardingWith({ state }))).toBe(stage);
  });

  it("begins with connecting when nothing has begun", () => {
    expect(stageOf(null)).toBe("connect");
  });

  it.each<[Onboarding["steps"][number]["key"], string]>([
    ["verify", "connect"],
    ["choose", "provision"],
    ["first_slice", "provision"],
  ])("shows a failure of %s at %s", (key, stage) => {
    const steps = [{ key, title: "", state: "failed" as const }];
    expect(stageOf(onboardingWith({ state: "failed", steps }))).toBe(stage);
  });
});

describe("who is sent to the wizard", () => {
  it("is everyone without a dashboard, and nobody with one", () => {
    expect(needsWizard(null)).toBe(true);
    expect(needsWizard(onboardingWith({ state: "first_slice" }))).toBe(true);
    expect(needsWizard(onboardingWith({ state: "failed" }))).toBe(true);
    expect(needsWizard(onboardingWith({ state: "ready" }))).toBe(false);
    expect(needsWizard(onboardingWith({ state: "done" }))).toBe(false);
  });
});

describe("the tree of advertisers", () => {
  const accounts = [
    accountWith({ id: "b", name: "Zebra", parent_name: "Hafen" }),
    accountWith({ id: "a", name: "Anker", parent_name: "Hafen" }),
    accountWith({ id: "c", name: "Kestrel", parent_name: "Desk", platform_id: "777" }),
  ];

  it("is sorted by partner, then by advertiser", () => {
    expect(partnersOf(accounts, "").map((p) => [p.name, p.accounts.map((a) => a.name)])).toEqual([
      ["Desk", ["Kestrel"]],
      ["Hafen", ["Anker", "Zebra"]],
    ]);
  });

  it("is searched by partner, name and platform id", () => {
    expect(partnersOf(accounts, "hafen")[0]?.accounts).toHaveLength(2);
    expect(partnersOf(accounts, " zebra ")[0]?.accounts).toHaveLength(1);
    expect(partnersOf(accounts, "777")[0]?.name).toBe("Desk");
    expect(partnersOf(accounts, "nobody")).toEqual([]);
  });
});
