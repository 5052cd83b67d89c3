import { Writable } from 'node:stream'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { chunkedUpload } from '../../src/plugin.js'
import type { ChunkedUploadOptions } from '../../src/options.js'
import { memoryMetadata } from '../../src/metadata/memory.js'
import type { Storage } from '../../src/storage/contract.js'
import { memoryStorage } from '../../src/storage/memory.js'
import { tiny } from './tiny-protocol.js'

export interface Host {
  readonly app: FastifyInstance
  readonly log: LogLine[]
  /** Listens, and says where. */
  listen (): Promise<{ readonly port: number, readonly url: string }>
}

export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly err?: { readonly message: string, readonly code?: string }
  readonly res?: { readonly statusCode: number }
}

interface Test {
  teardown (fn: () => void): unknown
}

/** A host app that keeps its log; closed when the test ends. `setUp` registers what it likes. */
export async function hostOf (t: Test, setUp: (app: FastifyInstance) => unknown, options: FastifyServerOptions = {}): Promise<Host> {
  const log: LogLine[] = []
  const stream = new Writable({
    write (line: Buffer, _encoding, done) {
      log.push(JSON.parse(line.toString()))
      done()
    }
  })
  const app = Fastify({ logger: { level: 'info', stream }, ...options })
  t.teardown(async () => { await app.close() })
  await setUp(app)
  return {
    app,
    log,
    listen: async () => {
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { port } = app.server.address() as AddressInfo
      return { port, url: `http://127.0.0.1:${port}` }
    }
  }
}

/** What most tests register: everything in memory, the tiny protocol below /u. */
export function inMemory (options: ChunkedUploadOptions = {}): ChunkedUploadOptions & { readonly prefix: string } {
  return { prefix: '/u', storage: memoryStorage(), metadata: memoryMetadata(), protocols: [tiny()], ...options }
}

/** The usual host: the plugin alone. */
export async function plainHost (t: Test, options: ChunkedUploadOptions = {}, server: FastifyServerOptions = {}): Promise<Host> {
  return await hostOf(t, app => app.register(chunkedUpload, inMemory(options)), server)
}

/** Lines of the log that tell of a fault of the server. */
export function faults (log: readonly LogLine[]): readonly LogLine[] {
  return log.filter(({ level, res }) => level >= 50 || res?.statusCode === 500)
}

/** A storage in memory that notes each offset which it confirms, so that a test can wait for bytes instead of for a time. */
export function countedStorage (confirmed: number[]): Storage {
  const storage = memoryStorage()
  return {
    ...storage,
    write: async (upload, start, batches, progress) => {
      await storage.write(upload, start, batches, {
        confirm: (end, change) => {
          progress.confirm(end, change)
          confirmed.push(end)
        }
      })
    }
  }
}
