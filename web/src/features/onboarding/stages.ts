/** Which of the wizard's screens belongs to which state of the onboarding. */
import type { Onboarding, OnboardingAccount } from "../../api/types";

/** The wizard's steps, in order; "agency" is done by the sign-up. */
export const STAGES = ["agency", "connect", "choose", "provision"] as const;
export type Stage = (typeof STAGES)[number];

const STAGE_OF_STATE: Readonly<Record<string, Stage>> = {
  connecting: "connect",
  verifying: "connect",
  choosing_accounts: "choose",
  provisioning: "provision",
  first_slice: "provision",
  ready: "provision",
  done: "provision",
  cancelled: "connect",
};

export function stageOf(onboarding: Onboarding | null): Stage {
  if (!onboarding) return "connect";
  if (onboarding.state === "failed") return stageOfFailure(onboarding);
  return STAGE_OF_STATE[onboarding.state] ?? "provision";
}

const BEFORE_CHOICE: ReadonlySet<string> = new Set(["connect", "verify", "discover"]);

/** A failure is shown where it happened: before the choice with the card to connect again, after it with the list. */
function stageOfFailure(onboarding: Onboarding): Stage {
  const failed = onboarding.steps.find((step) => step.state === "failed")?.key;
  if (failed === undefined || BEFORE_CHOICE.has(failed)) return "connect";
  return "provision";
}

/** The dashboard has something to show. */
export function isReady(state: string): boolean {
  return state === "ready" || state === "done";
}

/** There is no dashboard yet: the wizard is the only screen that makes sense. */
export function needsWizard(onboarding: Onboarding | null | undefined): boolean {
  return !onboarding || !isReady(onboarding.state);
}

export interface Partner {
  name: string;
  accounts: OnboardingAccount[];
}

/** Partner → advertiser, both by name; accounts that match the search only. */
export function partnersOf(accounts: readonly OnboardingAccount[], search: string): Partner[] {
  const wanted = search.trim().toLocaleLowerCase();
  const partners = new Map<string, OnboardingAccount[]>();
  for (const account of accounts) {
    const partner = account.parent_name ?? "";
    if (
      wanted &&
      !`${partner} ${account.name} ${account.platform_id}`.toLocaleLowerCase().includes(wanted)
    )
      continue;
    partners.set(partner, [...(partners.get(partner) ?? []), account]);
  }
  return [...partners]
    .map(([name, own]) => ({
      name,
      accounts: own.toSorted((a, b) => a.name.localeCompare(b.name)),
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name));
}
