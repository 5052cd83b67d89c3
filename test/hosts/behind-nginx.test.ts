import { randomBytes } from 'node:crypto'
import t from 'tap'
import { nginxBefore } from '../support/nginx.js'
import { appending, creation, interopVersions, locationOf, send, versionField } from '../support/resumable-client.js'
import { resumableServer, sha256 } from '../support/resumable-server.js'

const file = randomBytes(300_000)
// The usual way to keep connections to the server open.
const keepAlive = ['proxy_http_version 1.1;', 'proxy_set_header Connection "";']

for (const [says, protocol, location] of [
  ['HTTP/1.1 to the server, without interim replies', { interim: false }, [...keepAlive]],
  ['HTTP/1.1 to the server, without progress', { progress: false }, [...keepAlive, 'proxy_request_buffering off;']],
  ['HTTP/1.0 to the server, as nginx did by default for long', {}, ['proxy_http_version 1.0;']]
] as const) {
  t.test(says, async t => {
    const server = await resumableServer(t, { protocol })
    const origin = await nginxBefore(t, server.port, location)
    if (origin === undefined) return
    for (const version of interopVersions) {
      const whole = await send(`${origin}/files`, { method: 'POST', headers: creation(version, true), body: file })
      t.equal(whole.status, 201, `version ${version}`)
      t.strictSame(whole.interims, [])
      t.equal(await server.sha256(locationOf(origin, whole)), sha256(file))

      const first = await send(`${origin}/files`, { method: 'POST', headers: creation(version, false), body: file.subarray(0, 1000) })
      const url = locationOf(origin, first)
      const { headers } = await send(url, { method: 'HEAD', headers: versionField(version) })
      t.equal(headers['upload-offset'], '1000')
      const last = await send(url, { method: 'PATCH', headers: appending(version, 1000, true), body: file.subarray(1000) })
      t.ok(last.status < 300)
      t.equal(await server.sha256(url), sha256(file))
    }
  })
}
