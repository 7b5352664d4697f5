#!/usr/bin/env node
/**
 * An identity provider such as an agency has one, for the walks: a certified OpenID Connect server with one client, in a
 * process of its own. It believes everybody who they say they are: the login is an e-mail address, any password does.
 *
 *   CLIENT_ID, CLIENT_SECRET, REDIRECT_URI   its client (required)
 *
 * It listens on a free port of 127.0.0.1, and says where in one line: "issuer http://127.0.0.1:…". It ends with its input.
 */
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);

const { CLIENT_ID: client_id, CLIENT_SECRET: client_secret, REDIRECT_URI } = process.env;
if (!client_id || !client_secret || !REDIRECT_URI) {
  console.error("identity-provider: CLIENT_ID, CLIENT_SECRET and REDIRECT_URI are needed");
  process.exit(2);
}

/** "gina.1@agency.example" is called "Gina". */
function nameOf(email) {
  const first = email.split(/[.@]/)[0];
  return first.charAt(0).toUpperCase() + first.slice(1);
}

const claimsOf = (email) => ({ sub: email, email, email_verified: true, name: nameOf(email) });

const server = createServer().listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: [{ client_id, client_secret, redirect_uris: [REDIRECT_URI] }],
    findAccount: (_, accountId) => ({ accountId, claims: () => claimsOf(accountId) }),
    claims: { email: ["email", "email_verified"], profile: ["name"] },
    // Many providers say all that they know in the id token, and have no other answer asked for.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    cookies: { keys: [randomUUID()] },
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" }] },
  });
  server.on("request", provider.callback());
  console.log(`issuer ${issuer}`);
});
process.stdin.resume().on("end", () => process.exit(0));
