/**
 * Exact arithmetic on the decimal strings that the API speaks. Enough to compare, subtract and relate two
 * amounts for display; it does not decide anything about money, the server does.
 */

interface Scaled {
  units: bigint;
  scale: number;
}

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;

function parse(text: string): Scaled {
  const match = DECIMAL.exec(text.trim());
  if (!match) throw new RangeError(`not a decimal: ${text}`);
  const [, sign, whole = "0", fraction = ""] = match;
  const units = BigInt(whole + fraction);
  return { units: sign === "-" ? -units : units, scale: fraction.length };
}

function rescaled(value: Scaled, scale: number): bigint {
  return value.units * 10n ** BigInt(scale - value.scale);
}

function aligned(left: string, right: string): { left: bigint; right: bigint; scale: number } {
  const [a, b] = [parse(left), parse(right)];
  const scale = Math.max(a.scale, b.scale);
  return { left: rescaled(a, scale), right: rescaled(b, scale), scale };
}

function print(units: bigint, scale: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const sign = units < 0n ? "-" : "";
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** left − right, exactly. */
export function subtract(left: string, right: string): string {
  const both = aligned(left, right);
  return print(both.left - both.right, both.scale);
}

/** −1, 0 or 1. `"10.0"` and `"10.00"` are equal. */
export function compare(left: string, right: string): -1 | 0 | 1 {
  const both = aligned(left, right);
  if (both.left === both.right) return 0;
  return both.left < both.right ? -1 : 1;
}

/** left ÷ right with `places` decimals, rounded half away from zero; null when right is zero. */
export function divide(left: string, right: string, places = 4): string | null {
  const both = aligned(left, right);
  if (both.right === 0n) return null;
  const negative = both.left < 0n !== both.right < 0n;
  const [numerator, denominator] = [magnitude(both.left), magnitude(both.right)];
  const scaledUp = numerator * 10n ** BigInt(places);
  const rounded = (scaledUp * 2n + denominator) / (denominator * 2n);
  return print(negative ? -rounded : rounded, places);
}

function magnitude(units: bigint): bigint {
  return units < 0n ? -units : units;
}
