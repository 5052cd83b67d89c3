import { createHash, randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { endOf, runSync } from '../support/child.js'
import { childEnv } from '../support/child-env.js'
import { fetch } from '../support/deadline.js'
import { KillableServer } from '../support/killable-server.js'
import { nodeCommand } from '../support/program.js'

const MIB = 2 ** 20

interface UploadRecord { readonly id: string, readonly offset: number, readonly status: number }

const shell = [['unshare', '--mount'], ['unshare', '--user', '--map-root-user', '--mount']]
  .find(([command = '', ...args]) => endOf(command, [...args, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0)

t.test('invariant 13: a full disk is answered 507, keeps what was acknowledged, and the upload goes on when there is room', async t => {
  const directory = t.testdir()
  // Without the right to mount: files of the server cannot grow beyond 6 MiB, which fails as another storage trouble (503).
  const command = shell === undefined
    ? ['sh', '-c', 'ulimit -f 12288 && exec "$@"', 'sh']
    : [...shell, 'sh', '-c', 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"', directory]
  const server = new KillableServer(directory, {}, command)
  await server.start()
  t.teardown(() => server.kill())

  const put = async (url: string, start: number, data: Buffer, total: number): Promise<Response> => await fetch(url, {
    method: 'PUT',
    headers: { 'content-range': `bytes ${start}-${start + data.length - 1}/${total}`, 'content-type': 'application/octet-stream' },
    body: data
  })
  const content = randomBytes(10 * MIB)
  const filler = await put(server.url, 0, content.subarray(0, 3 * MIB), 3 * MIB)
  t.equal(filler.status, 200)
  const { id: fillerId } = await filler.json() as UploadRecord

  const first = await put(server.url, 0, content.subarray(0, 2 * MIB), 7 * MIB)
  t.equal(first.status, 200)
  const { id, offset } = await first.json() as UploadRecord
  t.equal(offset, 2 * MIB)
  const second = await put(server.url + id, offset, content.subarray(offset, 7 * MIB), 7 * MIB)
  t.equal(second.status, shell === undefined ? 503 : 507, await second.clone().text())
  if (shell === undefined) t.ok(second.headers.get('retry-after'))

  const seen = await (await fetch(server.url + id)).json() as UploadRecord
  t.ok(seen.offset >= 2 * MIB, `${seen.offset} bytes are acknowledged`)
  if (shell === undefined) return
  t.equal((await fetch(server.url + fillerId, { method: 'DELETE' })).status, 204)
  const rest = await put(server.url + id, seen.offset, content.subarray(seen.offset, 7 * MIB), 7 * MIB)
  t.equal(rest.status, 200, await rest.clone().text())
  const md5 = createHash('md5').update(content.subarray(0, 7 * MIB)).digest('hex')
  const done = await fetch(server.url + id, { method: 'POST', body: new URLSearchParams({ md5 }) })
  t.equal(done.status, 200)
  t.equal((await done.json() as UploadRecord).status, 2)
})

t.test('invariant 13: a server that starts on a full disk can make room', async t => {
  // Only a mount of its own is full all the time.
  if (shell === undefined) return
  const script = fileURLToPath(new URL('../support/full-disk-start.ts', import.meta.url))
  const [command, ...args] = nodeCommand(script, [t.testdir()], { shell })
  const output = runSync(command, args, { env: childEnv })
  t.strictSame(JSON.parse(output), { full: 507, removed: 204, again: 200 })
})
