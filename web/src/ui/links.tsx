/** Mantine's components as typed links of the router. */
import { Anchor, Button, NavLink } from "@mantine/core";
import { createLink } from "@tanstack/react-router";

export const AnchorTo = createLink(Anchor<"a">);
export const ButtonTo = createLink(Button<"a">);
export const NavLinkTo = createLink(NavLink<"a">);
