/** What the address bar may hold. A value that nobody offers falls back to the unfiltered view. */
import * as z from "zod/mini";

// The content security policy forbids the compiled validators that zod would try first.
z.config({ jitless: true });

const optionalText = z.catch(z.optional(z.string().check(z.maxLength(200))), undefined);

/** Text after a sign-in that leads back into this application, and nowhere else. */
export function isOwnPath(path: string): boolean {
  return path.startsWith("/") && !path.startsWith("//") && !path.includes("\\");
}

const ownPath = z.catch(z.optional(z.string().check(z.refine(isOwnPath))), undefined);

/**
 * `reset` is there when a new password was just chosen, `organisation` in the sign-in link of one, and `problem` when an
 * identity provider's page led back without a session.
 */
export const signInSearch = z.object({
  return: ownPath,
  reset: z.catch(z.optional(z.literal(true)), undefined),
  organisation: optionalText,
  problem: optionalText,
});

export const agreementSearch = z.object({ return: ownPath });

export const onboardingSearch = z.object({ problem: optionalText });

export const overviewSearch = z.object({
  pace: z.catch(z.optional(z.enum(["behind", "on_pace", "ahead", "not_judged"])), undefined),
  q: optionalText,
});

export const campaignSearch = z.object({
  as: z.catch(z.optional(z.enum(["table"])), undefined),
});

export const approvalsSearch = z.object({
  view: z.catch(z.optional(z.enum(["closed"])), undefined),
});

export const runsSearch = z.object({
  state: z.catch(z.optional(z.enum(["running", "done", "failed"])), undefined),
});

export const connectionsSearch = z.object({ problem: optionalText, reconnected: optionalText });
