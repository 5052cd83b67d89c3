import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Download, Locator, Page } from 'playwright-core'
import { bytesOf } from './engine.js'
import { endProgram, lineOf, type Program, startProgram } from './program.js'

const loader = `--import=${new URL('../../scripts/run-typescript.mjs', import.meta.url).href}`
const serverFile = fileURLToPath(new URL('../../examples/server.ts', import.meta.url))

/** The example as `npm start` runs it, without npm, so that a kill hits the server itself. */
export class ExampleServer {
  /** Of the server's files, and of those to upload. */
  readonly directory: string
  /** What the servers said after their start. */
  readonly log: string[] = []
  url = 'http://127.0.0.1:0/'
  #child: Program | undefined

  private constructor (directory: string) { this.directory = directory }

  static async start (): Promise<ExampleServer> {
    const server = new ExampleServer(await mkdtemp(join(tmpdir(), 'page-')))
    await server.startAgain()
    return server
  }

  /** On the same port, with the same files. */
  async startAgain (): Promise<void> {
    const env = { PORT: new URL(this.url).port || '0', HOST: '127.0.0.1', DATA_DIR: join(this.directory, 'data') }
    this.#child = startProgram(serverFile, [], { loader, env })
    const [, url = ''] = await lineOf(this.#child, /^Drop files on (\S+)/, line => { this.log.push(line) })
    this.url = url
  }

  async kill (signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    return await endProgram(this.#child, signal)
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.kill('SIGKILL')
    await rm(this.directory, { recursive: true, force: true })
  }

  async randomFile (name: string, size: number): Promise<{ path: string, sha256: string }> {
    const path = join(this.directory, name)
    const bytes = randomBytes(size)
    await writeFile(path, bytes)
    return { path, sha256: sha256(bytes) }
  }

  /** A page of its own, with nothing remembered. What it throws or complains of fails the test, a server that is away does not. */
  async openPage (
    t: { teardown (close: () => Promise<void>): void, fail (message: string): void }, browser: Browser, path = ''
  ): Promise<Page> {
    const context = await browser.newContext({ acceptDownloads: true })
    t.teardown(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(30_000)
    page.on('pageerror', error => { t.fail(`the page threw ${error.message}`) })
    page.on('console', message => {
      const text = message.text()
      if (message.type() === 'error' && !text.startsWith('Failed to load resource')) t.fail(`the page complained: ${text}`)
    })
    await page.goto(new URL(path, this.url).href)
    return page
  }
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export const uploadRow = (page: Page, name: string): Locator => page.locator('.upload').filter({ hasText: name })
export const fileRow = (page: Page, name: string): Locator => page.locator('.file').filter({ hasText: name })

export async function inState (row: Locator, state: string): Promise<void> {
  await row.and(row.page().locator(`[data-state="${state}"]`)).waitFor()
}

/** How much of an upload is done, from 0 to 1. */
export async function progressOf (row: Locator): Promise<number> {
  return Number(await row.getByRole('progressbar').getAttribute('value'))
}

export async function progressBeyond (row: Locator, fraction: number): Promise<void> {
  const deadline = Date.now() + 60_000
  while (await progressOf(row) <= fraction) {
    if (Date.now() > deadline) throw new Error(`No progress beyond ${fraction}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

export async function download (page: Page, name: string): Promise<{ name: string, sha256: string }> {
  const begun: Promise<Download> = page.waitForEvent('download')
  await fileRow(page, name).getByRole('link', { name: 'Download' }).click()
  const download = await begun
  const saved = await download.createReadStream()
  return { name: download.suggestedFilename(), sha256: sha256(await bytesOf(saved)) }
}
