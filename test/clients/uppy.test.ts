import type { Browser } from 'playwright-core'
import t from 'tap'
import { startBrowser, throttleUploads } from '../support/browser.js'
import { run, startPageServer } from '../support/browser-page.js'

// A browser on a busy machine.

const browser = await startBrowser(t)
if (browser !== undefined) tests(browser)

function tests (browser: Browser): void {
  t.teardown(async () => { await browser.close() })

  t.test('Uppy with its tus plugin uploads several files to another origin, and remembers their metadata', async t => {
    const server = await startPageServer(t, 'uppy/dist/uppy.min.js')
    const page = await browser.newPage()
    await page.goto(server.page)
    const results = await run(page, `
      const uppy = new Uppy.Uppy().use(Uppy.Tus, { endpoint: '${server.endpoint}', chunkSize: 300_000 })
      const files = [makeFile('eins.png', 700_000), makeFile('zwei ü.png', 10), makeFile('drei.png', 300_000)]
      for (const file of files) uppy.addFile({ name: file.name, type: file.type, data: file })
      const { successful, failed } = await uppy.upload()
      const arrived = await Promise.all(successful.map(async ({ data, uploadURL }) => {
        return await sha256(data) === await sha256(await (await fetch(uploadURL)).blob())
      }))
      return [failed.length, arrived]
    `)
    t.same(results, [0, [true, true, true]])
    const names = []
    for await (const { filename, contentType } of server.uploads.app.chunkedUpload.list()) names.push([filename, contentType])
    t.same(names.sort(), [['drei.png', 'image/png'], ['eins.png', 'image/png'], ['zwei ü.png', 'image/png']])
    await page.close()
  })

  t.test('Uppy pauses and resumes, cancels, and goes on with its dashboard after the page was loaded again', async t => {
    const server = await startPageServer(t, 'uppy/dist/uppy.min.js')
    const { events } = server.uploads.app.chunkedUpload
    let removed = 0
    events.on('remove', () => { removed++ })
    const page = await browser.newPage()
    await page.goto(server.page)
    const setUp = `
      const uppy = new Uppy.Uppy()
        .use(Uppy.Dashboard, { target: '#uppy', inline: true })
        .use(Uppy.Tus, { endpoint: '${server.endpoint}', chunkSize: 200_000 })
      window.uppy = uppy
    `
    const unthrottle = await throttleUploads(page, 1_000_000)
    const paused = await run(page, `${setUp}
      const file = makeFile('film.png', 1_200_000)
      const id = uppy.addFile({ name: file.name, type: file.type, data: file })
      const uploaded = new Promise((resolve, reject) => {
        uppy.once('upload-success', (_file, { uploadURL }) => resolve(uploadURL)).once('upload-error', (_file, error) => reject(error))
      })
      let paused = false
      uppy.on('upload-progress', (_file, { bytesUploaded }) => {
        if (paused || bytesUploaded < 400_000) return
        paused = uppy.pauseResume(id)
        setTimeout(() => uppy.pauseResume(id), 100)
      })
      uppy.upload()
      const url = await uploaded
      return paused && await sha256(file) === await sha256(await (await fetch(url)).blob())
    `)
    t.equal(paused, true)

    await run(page, `
      const file = makeFile('unwanted.png', 1_000_000)
      const id = uppy.addFile({ name: file.name, type: file.type, data: file })
      const progressed = new Promise(resolve => uppy.once('upload-progress', resolve))
      uppy.upload()
      await progressed
      uppy.removeFile(id)
    `)
    await page.waitForFunction('uppy.getFiles().every(file => file.name !== "unwanted.png")')

    await run(page, `
      const file = makeFile('other.png', 1_500_000)
      uppy.addFile({ name: file.name, type: file.type, data: file })
      window.accepted = new Promise(resolve => uppy.on('upload-progress', (file, { bytesUploaded }) => {
        if (bytesUploaded > 500_000) resolve()
      }))
      uppy.upload()
      await window.accepted
    `)
    await page.reload()
    await unthrottle()
    const offsets: string[] = []
    page.on('response', response => {
      const offset = response.headers()['upload-offset']
      if (response.request().method() === 'HEAD' && offset !== undefined) offsets.push(offset)
    })
    const resumed = await run(page, `${setUp}
      const file = makeFile('other.png', 1_500_000)
      uppy.addFile({ name: file.name, type: file.type, data: file })
      const { successful: [{ uploadURL }] } = await uppy.upload()
      return await sha256(file) === await sha256(await (await fetch(uploadURL)).blob())
    `)
    t.equal(resumed, true)
    t.ok(Number(offsets[0]) >= 200_000, `went on at ${offsets[0]}`)
    t.equal(removed, 1, 'what was cancelled is gone')
    await page.close()
  })
}
