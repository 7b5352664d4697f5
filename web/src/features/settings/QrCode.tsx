import { useMemo } from "react";
import { encode } from "uqr";

/** Four modules of light around the code: without them, many cameras don't find it. */
const BORDER = 4;
const WIDTH = 208;

/** A text as a QR code. It is dark on light in both colour schemes, as cameras expect it. */
export function QrCode({ label, value }: { label: string; value: string }) {
  const { size, path } = useMemo(() => {
    const code = encode(value, { ecc: "M", border: BORDER });
    const squares = code.data.flatMap((row, y) =>
      row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")),
    );
    return { size: code.size, path: squares.join("") };
  }, [value]);
  return (
    <svg
      role="img"
      aria-label={label}
      width={WIDTH}
      height={WIDTH}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
