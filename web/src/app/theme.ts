/** Colours and defaults that meet WCAG 2.2 AA in both schemes; Mantine's own do not. */
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const ink: MantineColorsTuple = [
  "#eef1fd",
  "#dbe1fa",
  "#b6c2f4",
  "#8fa2ee",
  "#7189e8",
  "#5a74e0",
  "#4560d2",
  "#3850c0",
  "#2f44b8",
  "#24368f",
];
const green: MantineColorsTuple = [
  "#ebfbee",
  "#d3f9d8",
  "#b2f2bb",
  "#8ce99a",
  "#69db7c",
  "#51cf66",
  "#37b24d",
  "#2b8a3e",
  "#1f6f31",
  "#175a27",
];
const yellow: MantineColorsTuple = [
  "#fff9db",
  "#fff3bf",
  "#ffec99",
  "#ffe066",
  "#ffd43b",
  "#fcc419",
  "#d98a00",
  "#b87000",
  "#955800",
  "#7a4700",
];

export const theme = createTheme({
  primaryColor: "ink",
  primaryShade: { light: 8, dark: 8 },
  autoContrast: true,
  luminanceThreshold: 0.35,
  cursorType: "pointer",
  defaultRadius: "sm",
  colors: { ink, green, yellow },
  fontFamily:
    '"Inter", "SF Pro Text", "Segoe UI", system-ui, "Noto Sans", "Liberation Sans", sans-serif',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.125rem" },
  headings: {
    fontWeight: "650",
    sizes: {
      h1: { fontSize: "1.375rem", lineHeight: "1.3" },
      h2: { fontSize: "1.0625rem", lineHeight: "1.35" },
      h3: { fontSize: "0.9375rem", lineHeight: "1.4" },
    },
  },
  components: {
    // Within a text, colour alone does not tell a link from its surroundings.
    Anchor: { defaultProps: { underline: "always" } },
    Checkbox: { defaultProps: { size: "md" } },
    Radio: { defaultProps: { size: "md" } },
    Table: { defaultProps: { verticalSpacing: 7, horizontalSpacing: "sm", fz: "sm" } },
    Badge: { defaultProps: { radius: "sm", tt: "none", fw: 600 } },
    Modal: { defaultProps: { centered: true, transitionProps: { duration: 0 } } },
    Tooltip: { defaultProps: { events: { hover: true, focus: true, touch: true } } },
  },
});

export const cssVariablesResolver: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-dimmed": "#565d66",
    "--mantine-color-placeholder": "#5c636a",
    "--mantine-color-anchor": "var(--mantine-color-ink-8)",
    "--mantine-color-error": "var(--mantine-color-red-9)",
  },
  dark: {
    "--mantine-color-body": "#1f2125",
    "--mantine-color-text": "#dde1e6",
    "--mantine-color-dimmed": "#a6adb4",
    "--mantine-color-placeholder": "#a6adb4",
    "--mantine-color-anchor": "#a9b8f5",
    "--mantine-color-error": "var(--mantine-color-red-4)",
  },
});
