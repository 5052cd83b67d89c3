import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { ChunkedUploadOptions } from '../../src/options.js'
import { chunkedUpload } from '../../src/plugin.js'
import { resumableHttp, type ResumableHttpOptions } from '../../src/protocols/resumable-http/index.js'
import type { Upload } from '../../src/upload.js'
import { bytesOf } from './engine.js'
import { hostOf, inMemory, type LogLine } from './host.js'

export interface ResumableServer {
  readonly app: FastifyInstance
  readonly log: readonly LogLine[]
  readonly port: number
  readonly origin: string
  /** The mount. */
  readonly url: string
  /** The upload of a Location. */
  upload (location: string): Promise<Upload | undefined>
  /** SHA-256 of what is stored, hex. */
  sha256 (location: string): Promise<string>
}

export interface ServerSetting {
  readonly protocol?: ResumableHttpOptions
  readonly plugin?: ChunkedUploadOptions
  readonly server?: FastifyServerOptions
  readonly before?: (app: FastifyInstance) => unknown
  readonly after?: (app: FastifyInstance) => unknown
}

/** A server with the protocol at /files, everything in memory unless told otherwise. */
export async function resumableServer (t: Parameters<typeof hostOf>[0], setting: ServerSetting = {}): Promise<ResumableServer> {
  const { app, log, listen } = await hostOf(t, async app => {
    await setting.before?.(app)
    const options = inMemory({ protocols: [resumableHttp(setting.protocol)], ...setting.plugin })
    await app.register(chunkedUpload, { ...options, prefix: '/files' })
    await setting.after?.(app)
  }, setting.server)
  const { port, url: origin } = await listen()
  const upload = async (location: string): Promise<Upload | undefined> => await app.chunkedUpload.get(location.split('/').at(-1) ?? '')
  return {
    app,
    log,
    port,
    origin,
    url: `${origin}/files`,
    upload,
    sha256: async location => {
      const found = await upload(location)
      return found === undefined ? 'nothing' : sha256(await bytesOf(app.chunkedUpload.read(found)))
    }
  }
}

export function sha256 (bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
