import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import t from 'tap'
import { dropFiles, evaluate, startBrowser, throttleUploads } from '../support/browser.js'
import { fetch } from '../support/deadline.js'
import { until } from '../support/engine.js'
import { ExampleServer, download, fileRow, inState, progressBeyond, progressOf, sha256, uploadRow } from '../support/example.js'

t.setTimeout(300_000) // a browser, two starts of a server, and some 100 MB on two busy cores

const MB = 1_000_000
const SLOW = 12 * MB
/** True in a page whose store says of an upload that the user paused it. */
const REMEMBERS_A_PAUSE = `new Promise((resolve, reject) => {
  const opened = indexedDB.open('chunked-upload')
  opened.onerror = reject
  opened.onsuccess = () => {
    const entries = opened.result.transaction('uploads').objectStore('uploads').getAll()
    entries.onerror = reject
    entries.onsuccess = () => {
      opened.result.close()
      resolve(entries.result.some(entry => entry.paused))
    }
  }
})`

async function pageTests (browser: Browser): Promise<void> {
  const server = await ExampleServer.start()
  const { url } = server
  t.teardown(async () => {
    await browser.close()
    await server[Symbol.asyncDispose]()
  })

  t.test('a dropped file is paused, resumed, outlives a kill -9 of the server, and arrives whole', async t => {
    const { path, sha256 } = await server.randomFile('film.mp4', 30 * MB)
    const page = await server.openPage(t, browser)
    const unthrottle = await throttleUploads(page, SLOW)
    await dropFiles(page, [path])
    const row = uploadRow(page, 'film.mp4')
    await progressBeyond(row, 0.1)
    t.match(await row.locator('.figures').textContent(), /of 30\.0 MB/)

    await row.getByRole('button', { name: 'Pause:' }).click()
    await inState(row, 'paused')
    await row.getByRole('button', { name: 'Resume:' }).click()
    await progressBeyond(row, 0.3)
    await row.locator('.figures').filter({ hasText: /MB\/s · .* left/ }).waitFor()

    await server.kill('SIGKILL')
    await row.getByText('Waiting for the server…').waitFor()
    t.ok(await progressOf(row) > 0, 'what was acknowledged is still counted')
    await server.startAgain()
    await inState(row, 'sending')
    await unthrottle()

    await fileRow(page, 'film.mp4').waitFor()
    t.equal(await row.count(), 0, 'the upload has left the list')
    t.same(await download(page, 'film.mp4'), { name: 'film.mp4', sha256 })
  })

  t.test('after a reload a dropped file goes on by itself, a paused one by a click, and another when it is chosen again', async t => {
    const dropped = await server.randomFile('dropped.bin', 12 * MB)
    const chosen = await server.randomFile('chosen.bin', 12 * MB)
    const paused = await server.randomFile('paused.bin', 12 * MB)
    const page = await server.openPage(t, browser)
    const unthrottle = await throttleUploads(page, SLOW / 4)
    await dropFiles(page, [dropped.path, paused.path])
    await page.getByLabel('Files to upload').setInputFiles(chosen.path)
    for (const name of ['dropped.bin', 'paused.bin', 'chosen.bin']) await progressBeyond(uploadRow(page, name), 0.1)
    await uploadRow(page, 'paused.bin').getByRole('button', { name: 'Pause:' }).click()
    await until(async () => await evaluate(page, REMEMBERS_A_PAUSE))
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
    const { path } = await server.randomFile('regret.bin', 12 * MB)
    const page = await server.openPage(t, browser)
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
    const { path, sha256 } = await server.randomFile('trouble.bin', 3 * MB)
    const page = await server.openPage(t, browser)
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
    const page = await server.openPage(t, browser)
    for (const name of ['<img src=x onerror=document.title=1>.html', 'ünï — 文件.bin', 'a"b;c\'%41 100%.txt']) {
      const { path, sha256 } = await server.randomFile(name, 1000)
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

  t.test('characters that turn the direction of writing hide no ending of a file name', async t => {
    const page = await server.openPage(t, browser)
    const { path } = await server.randomFile('bidi-\u202e\u2066gnp.exe', 4 * MB)
    const unthrottle = await throttleUploads(page, SLOW)
    await page.getByLabel('Files to upload').setInputFiles(path)
    const shown = 'bidi-gnp.exe'
    t.equal(await page.locator('.upload .name').textContent(), shown)
    await page.getByRole('button', { name: `Cancel ${shown}` }).waitFor()
    await unthrottle()
    await page.getByRole('status').getByText(`${shown} is uploaded.`).waitFor()
    t.equal(await fileRow(page, 'bidi-').locator('.name').textContent(), shown)
    await page.getByRole('link', { name: `Download ${shown}` }).waitFor()
    await page.getByRole('button', { name: `Delete ${shown}` }).click()
    t.equal(await page.getByRole('dialog').locator('.name').textContent(), shown)
    await page.getByRole('button', { name: 'Keep it' }).click()
    const files: unknown = await (await fetch(new URL('files', server.url))).json()
    t.match(files, [{ filename: shown }], 'the server cleans names, too')
  })

  t.test('on a telephone everything begins at the same edge, and nothing is wider than the screen', async t => {
    for (const path of ['', 'uppy.html']) {
      const page = await server.openPage(t, browser, path)
      await page.setViewportSize({ width: 360, height: 740 })
      const edge = async (part: string): Promise<number | undefined> => (await page.locator(part).boundingBox())?.x
      t.equal(await edge('nav a >> nth=0'), await edge('main'), path)
      t.equal(await edge('header img'), await edge('main'), path)
      t.equal(await evaluate(page, 'document.documentElement.scrollWidth'), 360, path)
    }
  })

  t.test('a deleted file is gone, and said to be; one that cannot be deleted stays, with the reason', async t => {
    const page = await server.openPage(t, browser)
    const { path } = await server.randomFile('short-lived.txt', 5000)
    await page.getByLabel('Files to upload').setInputFiles(path)
    const remove = async (): Promise<void> => {
      await fileRow(page, 'short-lived.txt').getByRole('button', { name: 'Delete' }).click()
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    }
    await page.route('**/files/*', async route => { await route.fulfill({ status: 503, json: { message: 'busy' } }) }, { times: 1 })
    await remove()
    await page.getByRole('alert').getByText('short-lived.txt could not be deleted: busy').waitFor()
    await remove()
    await page.getByRole('status').getByText('short-lived.txt is deleted.').waitFor()
    await fileRow(page, 'short-lived.txt').waitFor({ state: 'detached' })
    t.notOk(await page.locator('#notice').isVisible())
    await page.reload()
    await fileRow(page, 'film.mp4').waitFor()
    t.equal(await fileRow(page, 'short-lived.txt').count(), 0)
    t.equal(await page.locator('.upload').count(), 0)
  })

  t.test('downloads are attachments, in ranges too, and every answer carries the page policy', async t => {
    const page = await server.openPage(t, browser)
    const link = await fileRow(page, 'film.mp4').getByRole('link').getAttribute('href') ?? ''
    const part = await fetch(new URL(link, url), { headers: { range: 'bytes=1000-1999' } })
    t.equal(part.status, 206)
    t.equal(part.headers.get('content-range'), 'bytes 1000-1999/30000000')
    const bytes = await readFile(join(server.directory, 'film.mp4'))
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
    t.equal(await server.kill('SIGTERM'), 0)
    t.same(server.log, [])
  })
}

const browser = await startBrowser(t)
if (browser !== undefined) await pageTests(browser)
