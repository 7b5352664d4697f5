import { useLocation, useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";

/**
 * The secret of a link that came by mail. It stands after `#`, which a browser sends to nobody; it is read once and taken
 * out of the address, so that it does not stay in the history or on a screen that is shared.
 */
export function useLinkSecret(): string {
  const { history } = useRouter();
  const { hash, pathname } = useLocation();
  const [secret, setSecret] = useState(hash);
  // Another link may be opened while the page is there.
  if (hash !== "" && hash !== secret) setSecret(hash);
  useEffect(() => {
    if (hash !== "") history.replace(pathname);
  }, [hash, pathname, history]);
  return secret;
}
