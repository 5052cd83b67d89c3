import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Browser, Locator, Page } from 'playwright-core'
import t from 'tap'
import { dropFiles, startBrowser, throttleUploads } from '../support/browser.js'

t.setTimeout(120_000) // a browser, two starts of a server, and some 100 MB on two busy cores

const MB = 1_000_000
const SLOW = 12 * MB

const runTypescript = new URL('../../scripts/run-typescript.mjs', import.meta.url).href
const serverFile = fileURLToPath(new URL('../../examples/server.ts', import.meta.url))
const directory = await mkdtemp(join(tmpdir(), 'page-'))
/** What the servers said after their start. */
const log: string[] = []
let server: ChildProcess
let url = 'http://127.0.0.1:0/'

/** The example as `npm start` runs it, without npm, so that a kill hits the server itself. */
async function startServer (): Promise<void> {
  server = spawn(process.execPath, [`--import=${runTypescript}`, serverFile], {
    env: { ...process.env, PORT: new URL(url).port || '0', HOST: '127.0.0.1', DATA_DIR: join(directory, 'data') },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  if (server.stdout === null) throw new Error('The server has no output')
  const lines = createInterface({ input: server.stdout })
  url = await new Promise((resolve, reject) => {
    server.once('exit', () => { reject(new Error('The server ended before it listened')) })
    lines.on('line', line => {
      const printed = /^Drop files on (\S+)/.exec(line)?.[1]
      if (printed === undefined) log.push(line)
      else resolve(printed)
    })
  })
}

async function killServer (signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
  const exit = once(server, 'exit')
  server.kill(signal)
  const [code] = await exit
  return code
}

async function randomFile (name: string, size: number): Promise<{ path: string, sha256: string }> {
  const path = join(directory, name)
  const bytes = randomBytes(size)
  await writeFile(path, bytes)
  return { path, sha256: sha256(bytes) }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

const uploadRow = (page: Page, name: string) => page.locator('.upload').filter({ hasText: name })
const fileRow = (page: Page, name: string) => page.locator('.file').filter({ hasText: name })
const state = (row: Locator, state: string) => row.and(row.page().locator(`[data-state="${state}"]`)).waitFor()

async function progressOf (row: Locator): Promise<number> {
  return Number(await row.getByRole('progressbar').getAttribute('value'))
}

async function progressBeyond (row: Locator, fraction: number): Promise<void> {
  const deadline = Date.now() + 60_000
  while (await progressOf(row) <= fraction) {
    if (Date.now() > deadline) throw new Error(`No progress beyond ${fraction}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function download (page: Page, name: string): Promise<{ name: string, sha256: string }> {
  const begun = page.waitForEvent('download')
  await fileRow(page, name).getByRole('link', { name: 'Download' }).click()
  const download = await begun
  return { name: download.suggestedFilename(), sha256: sha256(await readFile(await download.path())) }
}

function pageTests (browser: Browser): void {
  t.before(startServer)
  t.teardown(async () => {
    await browser.close()
    if (server.exitCode === null && server.signalCode === null) await killServer('SIGKILL')
    await rm(directory, { recursive: true, force: true })
  })

  /** A page of its own, with nothing remembered. What it throws or complains of fails the test, a server that is away does not. */
  async function openPage (t: { teardown (close: () => Promise<void>): void, fail (message: string): void }): Promise<Page> {
    const context = await browser.newContext({ acceptDownloads: true })
    t.teardown(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(30_000)
    page.on('pageerror', error => { t.fail(`the page threw ${error.message}`) })
    page.on('console', message => {
      const text = message.text()
      if (message.type() === 'error' && !text.startsWith('Failed to load resource')) t.fail(`the page complained: ${text}`)
    })
    await page.goto(url)
    return page
  }

  t.test('a dropped file is paused, resumed, outlives a kill -9 of the server, and arrives whole', async t => {
    const { path, sha256 } = await randomFile('film.mp4', 30 * MB)
    const page = await openPage(t)
    const unthrottle = await throttleUploads(page, SLOW)
    await dropFiles(page, [path])
    const row = uploadRow(page, 'film.mp4')
    await progressBeyond(row, 0.1)
    t.match(await row.locator('.figures').textContent(), /of 30\.0 MB/)

    await row.getByRole('button', { name: 'Pause:' }).click()
    await state(row, 'paused')
    await row.getByRole('button', { name: 'Resume:' }).click()
    await progressBeyond(row, 0.3)
    t.match(await row.locator('.figures').textContent(), /MB\/s · .* left/)

    await killServer('SIGKILL')
    await row.getByText('Waiting for the server…').waitFor()
    t.ok(await progressOf(row) > 0, 'what was acknowledged is still counted')
    await startServer()
    await state(row, 'sending')
    await unthrottle()

    await fileRow(page, 'film.mp4').waitFor()
    t.equal(await row.count(), 0, 'the upload has left the list')
    t.same(await download(page, 'film.mp4'), { name: 'film.mp4', sha256 })
  })

  t.test('after a reload a dropped file goes on by itself, a paused one by a click, and another when it is chosen again', async t => {
    const dropped = await randomFile('dropped.bin', 12 * MB)
    const chosen = await randomFile('chosen.bin', 12 * MB)
    const paused = await randomFile('paused.bin', 12 * MB)
    const page = await openPage(t)
    const unthrottle = await throttleUploads(page, SLOW)
    await dropFiles(page, [dropped.path, paused.path])
    await page.getByLabel('Files to upload').setInputFiles(chosen.path)
    for (const name of ['dropped.bin', 'paused.bin', 'chosen.bin']) await progressBeyond(uploadRow(page, name), 0.1)
    await uploadRow(page, 'paused.bin').getByRole('button', { name: 'Pause:' }).click()
    await page.reload()

    await progressBeyond(uploadRow(page, 'dropped.bin'), 0.2)
    await uploadRow(page, 'chosen.bin').getByText('Drop the file again to go on').waitFor()
    t.ok(await progressOf(uploadRow(page, 'chosen.bin')) > 0, 'the page knows how far it was')
    await page.getByLabel('Files to upload').setInputFiles(chosen.path)
    await uploadRow(page, 'paused.bin').getByRole('button', { name: 'Resume:' }).click()
    await unthrottle()
    for (const [name, { sha256 }] of Object.entries({ 'dropped.bin': dropped, 'paused.bin': paused, 'chosen.bin': chosen })) {
      await fileRow(page, name).waitFor()
      t.same(await download(page, name), { name, sha256 })
    }
    await page.reload()
    await fileRow(page, 'chosen.bin').waitFor()
    t.equal(await page.locator('.upload').count(), 0, 'nothing is left to resume')
  })

  t.test('a cancelled upload is gone from the page, from the server, and after a reload', async t => {
    const { path } = await randomFile('regret.bin', 12 * MB)
    const page = await openPage(t)
    await throttleUploads(page, SLOW)
    await dropFiles(page, [path])
    const row = uploadRow(page, 'regret.bin')
    const [chunk] = await Promise.all([
      page.waitForRequest(request => request.method() === 'PUT' && !request.url().endsWith('/uploads/')),
      progressBeyond(row, 0.1)
    ])
    t.equal((await fetch(chunk.url())).status, 200)
    const removed = page.waitForResponse(response => response.request().method() === 'DELETE')
    await row.getByRole('button', { name: 'Cancel' }).click()
    t.equal((await removed).status(), 204)
    t.equal(await row.count(), 0)
    t.ok([404, 410].includes((await fetch(chunk.url())).status))
    await page.reload()
    await page.getByText('Drop files anywhere').waitFor()
    t.equal(await page.locator('.upload').count(), 0)
  })

  t.test('a busy server, a wrong offset and a wrong checksum are told apart, and none is the end', async t => {
    const { path, sha256 } = await randomFile('trouble.bin', 3 * MB)
    const page = await openPage(t)
    const answers = [
      { status: 503, headers: { 'retry-after': '1' }, json: { detail: 'Upload is in use by another request' } },
      { status: 400, json: { detail: 'Offsets do not match', offset: 0, expected_offset: 0, provided_offset: 262_144 } }
    ]
    const checksums = ['0'.repeat(32)]
    await page.route('**/uploads/*', async route => {
      const method = route.request().method()
      const answer = method === 'PUT' ? answers.shift() : undefined
      const md5 = method === 'POST' ? checksums.shift() : undefined
      if (answer !== undefined) await route.fulfill(answer)
      else await route.continue(md5 === undefined ? {} : { postData: JSON.stringify({ md5 }) })
    })
    await dropFiles(page, [path])
    const row = uploadRow(page, 'trouble.bin')
    await row.getByText('Waiting for the server…').waitFor()
    await row.getByText('checksum does not match').waitFor()
    t.same(answers, [])
    await row.getByRole('button', { name: 'Start over:' }).click()
    await fileRow(page, 'trouble.bin').waitFor()
    t.same(await download(page, 'trouble.bin'), { name: 'trouble.bin', sha256 })
  })

  t.test('hostile and foreign file names are text on the page and keep their form in the download', async t => {
    const page = await openPage(t)
    for (const name of ['<img src=x onerror=document.title=1>.html', 'ünï — 文件.bin', 'a"b;c\'%41 100%.txt']) {
      const { path, sha256 } = await randomFile(name, 1000)
      await page.getByLabel('Files to upload').setInputFiles(path)
      await fileRow(page, name).waitFor()
      t.equal(await fileRow(page, name).locator('.name').textContent(), name)
      const saved = await download(page, name)
      t.equal(saved.sha256, sha256, name)
      t.equal(saved.name, name.replace(/[<>"]/g, '_'), 'the browser itself replaces what some file systems do not take')
    }
    t.equal(await page.locator('img[src=x]').count(), 0)
    t.match(await page.title(), 'Upload')
  })

  t.test('an empty file is refused with a reason, and a deleted one is gone', async t => {
    const page = await openPage(t)
    const empty = await randomFile('empty.txt', 0)
    await page.getByLabel('Files to upload').setInputFiles(empty.path)
    await uploadRow(page, 'empty.txt').getByText('This file is empty').waitFor()
    await uploadRow(page, 'empty.txt').getByRole('button', { name: 'Cancel' }).click()

    const { path } = await randomFile('short-lived.txt', 5000)
    await page.getByLabel('Files to upload').setInputFiles(path)
    await fileRow(page, 'short-lived.txt').getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await fileRow(page, 'short-lived.txt').waitFor({ state: 'detached' })
    await page.reload()
    await fileRow(page, 'film.mp4').waitFor()
    t.equal(await fileRow(page, 'short-lived.txt').count(), 0)
    t.equal(await page.locator('.upload').count(), 0)
  })

  t.test('downloads are attachments, in ranges too, and every answer carries the page policy', async t => {
    const page = await openPage(t)
    const link = await fileRow(page, 'film.mp4').getByRole('link').getAttribute('href') ?? ''
    const part = await fetch(new URL(link, url), { headers: { range: 'bytes=1000-1999' } })
    t.equal(part.status, 206)
    t.equal(part.headers.get('content-range'), 'bytes 1000-1999/30000000')
    const bytes = await readFile(join(directory, 'film.mp4'))
    t.equal(sha256(new Uint8Array(await part.arrayBuffer())), sha256(bytes.subarray(1000, 2000)))
    t.match(part.headers.get('content-disposition'), /^attachment/)
    for (const path of ['/', '/files', '/nothing', link]) {
      const { headers } = await fetch(new URL(path, url), { method: path === '/files' ? 'GET' : 'HEAD' })
      t.match(headers.get('content-security-policy'), "default-src 'none'", path)
      t.equal(headers.get('x-content-type-options'), 'nosniff', path)
    }
    t.equal((await fetch(new URL('/files/none', url))).status, 404)
  })

  t.test('a SIGTERM ends the server in peace, and it had nothing to complain of', async t => {
    t.equal(await killServer('SIGTERM'), 0)
    t.same(log, [])
  })
}

const browser = await startBrowser(t)
if (browser !== undefined) pageTests(browser)
