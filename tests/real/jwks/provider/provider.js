// An OpenID provider for the tests: one public client, any login, access tokens as JWT signed with RS256.
// Usage: node provider.js SETTINGS (JSON: port, cert, key, claim, typ, seconds, keys: private keys, the signing one first)

import fs from 'node:fs'
import https from 'node:https'
import { Provider } from 'oidc-provider'

const settings = JSON.parse(fs.readFileSync(process.argv[2]))
const provider = new Provider(`https://127.0.0.1:${settings.port}`, {
  clients: [{
    client_id: 'portal',
    redirect_uris: [settings.redirect],
    grant_types: ['authorization_code'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  }],
  cookies: { keys: ['only for tests'] },
  jwks: { keys: settings.keys },
  claims: { openid: ['sub'] },
  scopes: ['openid', 'jobs'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (_, token) => ({ [settings.claim]: token.accountId }),
  formats: { customizers: { jwt: (_ctx, _token, parts) => { parts.header = { typ: settings.typ } } } },
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:slurm',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'jobs',
        audience: 'urn:slurm',
        accessTokenFormat: 'jwt',
        accessTokenTTL: settings.seconds,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
})
const tls = { cert: fs.readFileSync(settings.cert), key: fs.readFileSync(settings.key) }
https.createServer(tls, provider.callback()).listen(settings.port, '127.0.0.1')
