import { isMessage } from "../app/messages";
import type { Text } from "./text";

/** Permissions in words. One that this version of the web app has no words for is shown by its name. */
export function permissionWords(text: Text, permissions: readonly string[]): string {
  const words = permissions.map((permission) => {
    const id = `permission.${permission}`;
    return isMessage(id) ? text(id) : permission;
  });
  return words.join(" · ");
}
