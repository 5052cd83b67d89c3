import t from 'tap'
import { startBrowser } from '../support/browser.js'
import { fetch } from '../support/deadline.js'
import { ExampleServer, download, fileRow } from '../support/example.js'

const browser = await startBrowser(t)
if (browser !== undefined) {
  const server = await ExampleServer.start()
  t.teardown(async () => {
    await browser.close()
    await server[Symbol.asyncDispose]()
  })

  t.test("Uppy's dashboard uploads by tus, asks no other server, and the page's policy has nothing to refuse", async t => {
    const page = await server.openPage(t, browser, 'uppy.html')
    const strangers: string[] = []
    const origin = new URL(server.url).origin
    page.on('request', request => {
      const { protocol, origin: asked, href } = new URL(request.url())
      if (!['blob:', 'data:'].includes(protocol) && asked !== origin) strangers.push(href)
    })
    const { path, sha256 } = await server.randomFile('uppy — ünï.bin', 8_000_000)
    await page.locator('#uppy input[type=file]').first().setInputFiles(path)
    await page.getByRole('button', { name: 'Upload 1 file' }).click()
    await fileRow(page, 'uppy — ünï.bin').waitFor()
    t.same(await download(page, 'uppy — ünï.bin'), { name: 'uppy — ünï.bin', sha256 })
    t.same(strangers, [])

    await page.getByRole('link', { name: 'Own page' }).click()
    await fileRow(page, 'uppy — ünï.bin').getByText('tus 1.0.0').waitFor()
  })

  t.test('Uppy shows the thumbnail of a picture, and takes several files', async t => {
    const page = await server.openPage(t, browser, 'uppy.html')
    const pixel = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64')
    await page.locator('#uppy input[type=file]').first().setInputFiles([
      { name: 'one.png', mimeType: 'image/png', buffer: pixel },
      { name: 'two.txt', mimeType: 'text/plain', buffer: Buffer.from('two') }
    ])
    await page.locator('#uppy img[src^="blob:"]').waitFor()
    await page.getByRole('button', { name: 'Upload 2 files' }).click()
    for (const name of ['one.png', 'two.txt']) await fileRow(page, name).waitFor()
    t.match((await page.locator('.file .size').allTextContents()).sort(), ['3 B', /^\d+ B$/])
  })

  t.test('characters that turn the direction of writing hide no ending of an uploaded name', async t => {
    const page = await server.openPage(t, browser, 'uppy.html')
    await page.locator('#uppy input[type=file]').first().setInputFiles([
      { name: 'bidi-\u202egnp.exe', mimeType: 'text/plain', buffer: Buffer.from('two') }
    ])
    await page.getByRole('button', { name: 'Upload 1 file' }).click()
    await page.getByRole('link', { name: 'Download bidi-gnp.exe' }).waitFor()
    t.equal(await page.locator('.file .name').textContent(), 'bidi-gnp.exe')
  })

  t.test('only this page may have styles and pictures of its own making', async t => {
    const policy = async (path: string): Promise<string> => {
      const { headers } = await fetch(new URL(path, server.url))
      return headers.get('content-security-policy') ?? ''
    }
    t.match(await policy('uppy.html'), "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:")
    for (const path of ['', 'index.html', 'files', 'uppy/uppy.min.css', 'tus/none']) {
      t.match(await policy(path), "style-src 'self'; img-src 'self'", path)
    }
  })
}
