import type { Proposal } from "../../api/types";
import { compare } from "../../format/decimal";

/** The platform's value is no longer the one that the proposal starts from, so nobody should approve it as it is. */
export function hasMoved(proposal: Proposal): boolean {
  if (proposal.state !== "proposed" || !proposal.live) return false;
  return compare(proposal.live.value.amount, proposal.before.amount) !== 0;
}

/** A decision is still possible. */
export function isOpen(proposal: Proposal): boolean {
  return proposal.state === "proposed";
}

/** An approved change that was not sent yet can still be called back. */
export function canCancel(proposal: Proposal): boolean {
  return proposal.state === "proposed" || proposal.state === "approved";
}
