import { useMe } from "../api/queries";

/** The organisation's zone: moments are shown in it. Delivery days are shown in the account's own. */
export function useZone(): string {
  return useMe().data?.organisation.time_zone ?? "UTC";
}
