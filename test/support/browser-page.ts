import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import cors from '@fastify/cors'
import Fastify from 'fastify'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { allowedHeaders, allowedMethods, exposedHeaders } from '../../src/index.js'
import { evaluate } from './browser.js'
import { startTus, type TusServer } from './tus.js'

const require = createRequire(import.meta.url)

/** Scripts of the page: a file whose bytes it makes up, and its checksum. */
const FILE = `
  function makeFile (name, size) {
    const bytes = new Uint8Array(size)
    let state = 42
    for (let at = 0; at < size; at++) {
      state = (state * 1103515245 + 12345) & 0x7fffffff
      bytes[at] = state >> 16
    }
    return new File([bytes], name, { type: 'image/png', lastModified: 1 })
  }
  async function sha256 (blob) {
    const digest = await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())
    return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('')
  }
`

/** A page of another origin than the uploads, with a client's script at hand. */
export interface PageServer {
  readonly page: string
  readonly uploads: TusServer
  /** Where uploads are created. */
  readonly endpoint: string
}

/**
 * Serves a page with the script `client` of an installed package, and tus on another origin, which lets the page in as its documentation
 * says.
 */
export async function startPageServer (t: Test, client: string): Promise<PageServer> {
  const app = Fastify()
  const script = await readFile(require.resolve(client), 'utf8')
  app.get('/client.js', async (_request, reply) => await reply.type('text/javascript').send(script))
  app.get('/', async (_request, reply) => {
    const scripts = `<script>${FILE}</script><script src="/client.js"></script>`
    const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><div id="uppy"></div>${scripts}`
    return await reply.type('text/html').send(html)
  })
  const page = await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => { await app.close() })
  const uploads = await startTus(t, {}, {
    before: async host => {
      await host.register(cors, {
        origin: [page], exposedHeaders: [...exposedHeaders], allowedHeaders: [...allowedHeaders], methods: [...allowedMethods]
      })
    }
  })
  return { page, uploads, endpoint: `${uploads.url}/uploads` }
}

/** Runs a script that is the body of an async function, and gives what it returns. */
export async function run (page: Page, script: string): Promise<unknown> {
  return await evaluate(page, `(async () => {${script}})()`)
}
