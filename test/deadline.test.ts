import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import t from 'tap'
import { childEnv } from './support/child-env.js'
import { run } from './support/child.js'
import { fetch, once, within } from './support/deadline.js'

t.test('what takes too long fails by its name', async t => {
  await t.rejects(within(new Promise(() => {}), 'the impossible', 5), { message: 'the impossible took longer than 5 ms' })
  t.equal(await within(Promise.resolve(1), 'the possible'), 1)
  const endless = run(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { timeout: 500 })
  t.match(await endless.catch((error: unknown) => error), { signal: 'SIGKILL' })
})

t.test('a fetch ends when its signal says so: without a reply, and in the midst of its body', async t => {
  const server = createServer((request, response) => { if (request.url === '/part') response.write('a part') })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  for (const path of ['nothing', 'part']) {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`
    const controller = new AbortController()
    const reply = fetch(url, { signal: controller.signal })
    await once(server, 'request')
    controller.abort(new Error('enough'))
    await t.rejects(reply, { message: 'enough' })
  }
})

/** A process that starts one of its own with the same output, says so, and lives on. */
const parent = `
  import { spawn } from 'node:child_process'
  const child = spawn(process.execPath, ['-e', 'console.log("here"); setInterval(() => {}, 1000)'], { stdio: 'inherit' })
  setInterval(() => {}, 1000)
`

t.test('a child ends when its parent was killed', async t => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', parent], { env: childEnv, stdio: ['ignore', 'pipe', 'inherit'] })
  t.same(await once(createInterface(child.stdout), 'line'), ['here'])
  child.kill('SIGKILL')
  // The output is closed when nothing can write to it any more.
  await once(child, 'close')
  t.equal(child.signalCode, 'SIGKILL')
})

t.test('so do a test and what it started, when the runner was killed', async t => {
  t.ok(process.execArgv.some(argument => argument.endsWith('/ends-with-parent.mjs')), 'each file of tests runs with it')
})
