/**
 * The platform's time. A browser's clock may be wrong, and the platform's may be a simulated one: what is left of a
 * proposal's life is counted by the clock that ends it.
 */
let aheadMs = 0;

/** The platform said what time it is, in an answer that was received at `receivedAt`. */
export function followServer(now: string, receivedAt: number = Date.now()): void {
  const said = Date.parse(now);
  if (!Number.isNaN(said)) aheadMs = said - receivedAt;
}

/** Milliseconds since 1970 by the platform's clock; by the browser's own before the platform said anything. */
export function serverNow(): number {
  return Date.now() + aheadMs;
}
