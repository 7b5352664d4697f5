/** The mark of the product: a delivery curve reaching its target. */
export function Brand({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden className="brand">
      <rect width="32" height="32" rx="7" fill="#2f44b8" />
      <path
        d="M6 23 13 16l5 4 8-11"
        fill="none"
        stroke="#fff"
        strokeWidth="3"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
      <circle cx="26" cy="9" r="2.6" fill="#9ee7c0" />
    </svg>
  );
}
