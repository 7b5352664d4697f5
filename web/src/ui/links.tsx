/** Mantine's components as typed links of the router. */
import { Anchor, Button, NavLink, type ButtonProps } from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import type { ComponentPropsWithRef } from "react";

type LinkProps = ButtonProps & Omit<ComponentPropsWithRef<"a">, keyof ButtonProps>;

/** Looks like a button and is a link, to the keyboard and to a screen reader too. */
function LinkButton(props: LinkProps) {
  return <Button component="a" {...props} />;
}

export const AnchorTo = createLink(Anchor<"a">);
export const ButtonTo = createLink(LinkButton);
export const NavLinkTo = createLink(NavLink<"a">);
