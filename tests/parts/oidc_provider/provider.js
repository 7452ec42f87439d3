// A real identity provider. Whoever `/sits` names is logged in without a question, or refused.
import http from "node:http";
import * as oidc from "oidc-provider";

const { PORT, REDIRECTS, CLOCK_OFF_S } = process.env;
const realNow = Date.now;
Date.now = () => realNow() + Number(CLOCK_OFF_S ?? 0) * 1000;

const accounts = new Map();
let sitting = null;

const provider = new oidc.Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      client_id: "hemaline",
      client_secret: "a secret of the test",
      redirect_uris: REDIRECTS.split(" "),
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], groups: ["groups"] },
  cookies: { keys: ["of the test"] },
  features: { devInteractions: { enabled: false } },
  ttl: { IdToken: 300 },
  pkce: { required: () => true },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts.get(id) }) }),
  async loadExistingGrant({ oidc: { client, session, params } }) {
    const known = session.grantIdFor(client.clientId);
    if (known) return provider.Grant.find(known);
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    await grant.save();
    return grant;
  },
});
const answer = provider.callback();

http
  .createServer(async (request, response) => {
    const address = new URL(request.url, "http://127.0.0.1");
    if (address.pathname === "/sits") {
      sitting = address.searchParams.get("sub");
      accounts.set(sitting, JSON.parse(address.searchParams.get("claims")));
      response.end();
    } else if (address.pathname.startsWith("/interaction/")) {
      const result = sitting ? { login: { accountId: sitting } } : { error: "access_denied" };
      await provider.interactionFinished(request, response, result);
    } else answer(request, response);
  })
  .listen(Number(PORT), "127.0.0.1");
