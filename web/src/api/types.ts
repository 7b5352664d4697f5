/** Short names for the generated schemas. No shape is written by hand. */
import type { components } from "./schema.gen";

type Schemas = components["schemas"];

export type Platform = Schemas["Platform"];
export type Money = Schemas["Money"];
export type Problem = Schemas["Problem"];
export type Me = Schemas["Me"];
export type Member = Schemas["Member"];
export type MemberPatch = Schemas["MemberPatch"];
export type Role = Schemas["Role"];
export type RoleIn = Schemas["RoleIn"];
export type SignUpIn = Schemas["SignUpIn"];
export type SessionIn = Schemas["SessionIn"];
export type SessionItem = Schemas["SessionItem"];
export type Onboarding = Schemas["Onboarding"];
export type OnboardingStep = Schemas["OnboardingStep"];
export type OnboardingAccount = Schemas["OnboardingAccount"];
export type Connection = Schemas["Connection"];
export type Organisation = Schemas["Organisation"];
export type OrganisationItem = Schemas["OrganisationItem"];
export type FreezeIn = Schemas["FreezeIn"];
export type Overview = Schemas["Overview"];
export type CampaignSummary = Schemas["CampaignSummary"];
export type Campaign = Schemas["Campaign"];
export type Line = Schemas["Line"];
export type Pacing = Schemas["Pacing"];
export type Series = Schemas["Series"];
export type Rule = Schemas["Rule"];
export type Evaluation = Schemas["Evaluation"];
export type Proposal = Schemas["Proposal"];
export type Run = Schemas["Run"];
export type RunDetail = Schemas["RunDetail"];
export type AuditEntry = Schemas["AuditEntry"];
