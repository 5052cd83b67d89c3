import assert from 'node:assert/strict'
import type { TestFunction } from '../test-function.js'
import { WireClient, type WireReply, type WireRequest } from './exchange.js'
import { ProtocolHost, requestErrors, USER_HEADER } from './host.js'
import { checkOpenApi } from './open-api.js'

/** What {@link protocolSuite} tests: a server that listens, fresh for each test. */
export interface ProtocolUnderTest {
  /** Such as `http://127.0.0.1:3000`. */
  readonly origin: string
  /** The protocol's `headers`. */
  readonly headers: { readonly expose: readonly string[], readonly allow: readonly string[] }
  /** Makes an unfinished upload. @returns what its URL or its fields have of it, such as its id */
  create (send: (request: WireRequest) => Promise<WireReply>): Promise<string>
  /** An id of the same form that no upload has. */
  readonly unknown: string
  /** Each request that the contract has for one upload, as its owner could send it now; the first one only reads. */
  requests (id: string): readonly WireRequest[]
  /** Requests that the contract refuses, with bodies where it takes some. */
  readonly refused: readonly WireRequest[]
  /** For each URL of the contract a request by a method that it does not have. */
  readonly notAllowed: readonly WireRequest[]
  /** The document that @fastify/swagger makes of the server, as OpenAPI 3. */
  openApi?(): Promise<unknown>
  dispose (): Promise<void> | void
}

/**
 * What holds for every protocol, whatever its contract: isolation between users, errors in the contract's words, complete CORS lists, a
 * valid OpenAPI document, connections that go on, 405 with Allow. Each test is declared through `test`.
 * @param make starts a server with `host.user` as the plugin's `user`, and `host.errorHandler` as the app's error handler
 */
export function protocolSuite (test: TestFunction, make: (host: ProtocolHost) => Promise<ProtocolUnderTest>): void {
  for (const [name, run] of CASES) {
    test(`protocol: ${name}`, async () => {
      const host = new ProtocolHost()
      const subject = await make(host)
      const client = new WireClient(subject.origin)
      try {
        await run({ subject, host, client, create: async () => await subject.create(async sent => await client.send('ann', sent)) })
      } finally {
        client.close()
        await subject.dispose()
      }
    })
  }
}

interface Case {
  readonly subject: ProtocolUnderTest
  readonly host: ProtocolHost
  readonly client: WireClient
  /** An upload of ann. */
  readonly create: () => Promise<string>
}

const CASES: ReadonlyArray<readonly [name: string, run: (one: Case) => Promise<void>]> = [
  ['another user\'s upload answers as a missing one, on every route', isolation],
  ['every error has the contract\'s words', words],
  ['the lists for CORS have every header field', cors],
  ['the OpenAPI document is valid', async ({ subject }) => { if (subject.openApi !== undefined) checkOpenApi(await subject.openApi()) }],
  ['a connection takes the next request after every refusal', connections],
  ['other methods are answered 405 with Allow, on every URL', methods]
]

const shown = ({ method, path }: WireRequest): string => `${method} ${path}`

async function isolation ({ subject, client, create }: Case): Promise<void> {
  const id = await create()
  const missing = subject.requests(subject.unknown)
  const [read] = subject.requests(id)
  assert.ok(read !== undefined, 'requests() has none')
  const before = await client.send('ann', read)
  assert.ok(before.status < 400, `${shown(read)} by the owner: ${before.status} ${before.text}`)
  for (const [at, request] of subject.requests(id).entries()) {
    const other = await client.send('bob', request)
    const none = await client.send('bob', missing[at] ?? request)
    assert.equal(other.status, none.status, `${shown(request)} by another user`)
    assert.ok(other.status >= 400, `${shown(request)} by another user: ${other.status}`)
    assert.equal(other.text.replaceAll(id, subject.unknown), none.text, `${shown(request)} by another user`)
  }
  assert.equal((await client.send('ann', read)).status, before.status, 'the upload is there as it was')
}

async function words ({ subject, host, client, create }: Case): Promise<void> {
  const requests = subject.requests(await create())
  for (const error of requestErrors()) {
    host.failure = error
    for (const request of requests) {
      const { status } = await client.send('ann', request)
      assert.ok(status >= 400, `${shown(request)} with ${error.message}: ${status}`)
    }
  }
  host.failure = undefined
  for (const request of [...subject.refused, ...subject.notAllowed]) await client.send('ann', request)
  assert.deepEqual([...new Set(host.unworded)], [], 'errors that the host had to word')
}

/** CORS lets scripts see and send these without a word; the others belong to the connection, or are for the browser itself. */
const SAFE = new Set([
  'cache-control', 'content-language', 'content-length', 'content-type', 'expires', 'last-modified', 'accept', 'accept-language',
  'connection', 'keep-alive', 'date', 'transfer-encoding', 'vary', 'allow', 'x-content-type-options', 'content-security-policy', 'range',
  'x-no-compression', USER_HEADER
])

async function cors ({ subject, client, create }: Case): Promise<void> {
  const requests = [...subject.requests(await create()), ...subject.refused, ...subject.notAllowed]
  for (const request of requests) await client.send('ann', request)
  const lacking = (fields: Iterable<string>, list: readonly string[]): string[] => {
    const known = new Set(list.map(field => field.toLowerCase()))
    return [...fields].map(field => field.toLowerCase()).filter(field => !SAFE.has(field) && !known.has(field))
  }
  assert.deepEqual(lacking(client.seen, subject.headers.expose), [], 'of replies, not in `expose`')
  const sent = new Set(requests.flatMap(({ headers = {} }) => Object.keys(headers)))
  assert.deepEqual(lacking(sent, subject.headers.allow), [], 'of requests, not in `allow`')
}

async function connections ({ subject, client, create }: Case): Promise<void> {
  const [read] = subject.requests(await create())
  assert.ok(read !== undefined, 'requests() has none')
  const { status } = await client.send('ann', read)
  for (const request of [...subject.refused, ...subject.notAllowed]) {
    const refusal = await client.send('ann', request)
    assert.ok(refusal.status >= 400 && refusal.status < 500, `${shown(request)}: ${refusal.status} ${refusal.text}`)
    assert.equal((await client.send('ann', read)).status, status, `after ${shown(request)}`)
  }
}

async function methods ({ subject, client }: Case): Promise<void> {
  for (const request of subject.notAllowed) {
    const { status, headers } = await client.send('ann', request)
    assert.equal(status, 405, shown(request))
    assert.ok(headers.allow !== undefined && headers.allow !== '', `${shown(request)} without Allow`)
    assert.ok(!headers.allow.split(/, */).includes(request.method), `${shown(request)} in Allow: ${headers.allow}`)
  }
}
