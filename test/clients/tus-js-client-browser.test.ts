import type { Browser } from 'playwright-core'
import t from 'tap'
import { startBrowser, throttleUploads } from '../support/browser.js'
import { run, startPageServer } from '../support/browser-page.js'

// A browser on a busy machine.

const browser = await startBrowser(t)
if (browser !== undefined) tests(browser)

/** What the tests run in the page: an upload to its end, and whether what is stored is what was sent. */
const UPLOADED = `
  function uploaded (file, options, use = () => {}) {
    return new Promise((resolve, reject) => {
      const upload = new tus.Upload(file, { retryDelays: null, ...options, onSuccess: () => resolve(upload.url), onError: reject })
      use(upload)
    })
  }
  async function arrived (file, url) {
    return await sha256(file) === await sha256(await (await fetch(url)).blob())
  }
`

function tests (browser: Browser): void {
  t.teardown(async () => { await browser.close() })

  t.test('tus-js-client in Chromium uploads to another origin in each of its ways', async t => {
    const server = await startPageServer(t, 'tus-js-client/dist/tus.min.js')
    const page = await browser.newPage()
    await page.goto(server.page)
    const cases = [
      ['whole', '{}'],
      ['in chunks', '{ chunkSize: 100_000 }'],
      ['with the creation', '{ uploadDataDuringCreation: true }'],
      ['by POST alone', '{ overridePatchMethod: true, chunkSize: 200_000 }'],
      ['in parallel', '{ parallelUploads: 3 }'],
      ['of an unknown length', '{ uploadLengthDeferred: true, chunkSize: 200_000 }']
    ] as const
    for (const [name, options] of cases) {
      const arrived = await run(page, `${UPLOADED}
        const file = makeFile('Ünï ${name}.png', 500_000)
        const options = { ...${options}, endpoint: '${server.endpoint}', metadata: { filename: file.name, filetype: file.type } }
        const source = options.uploadLengthDeferred ? file.stream().getReader() : file
        return await arrived(file, await uploaded(source, options, upload => upload.start()))
      `)
      t.equal(arrived, true, name)
    }
    const terminated = await run(page, `${UPLOADED}
      const url = await uploaded(makeFile('gone', 1000), { endpoint: '${server.endpoint}' }, upload => upload.start())
      await tus.Upload.terminate(url)
      return (await fetch(url)).status
    `)
    t.equal(terminated, 404)
    await page.close()
  })

  t.test('tus-js-client in Chromium resumes after an abort, and after the page was loaded again', async t => {
    const server = await startPageServer(t, 'tus-js-client/dist/tus.min.js')
    const page = await browser.newPage()
    await page.goto(server.page)
    const options = `{
      endpoint: '${server.endpoint}',
      chunkSize: 200_000,
      metadata: { filename: 'film' },
      onAfterResponse: (request, response) => {
        if (request.getMethod() === 'HEAD') window.resumedAt = Number(response.getHeader('Upload-Offset'))
      }
    }`
    const aborted = await run(page, `${UPLOADED}
      const file = makeFile('film', 1_000_000)
      let aborts = 0
      const url = await uploaded(file, ${options}, upload => {
        upload.options.onChunkComplete = () => {
          if (aborts++ === 0) upload.abort().then(() => upload.start())
        }
        upload.start()
      })
      return [window.resumedAt, await arrived(file, url)]
    `)
    t.same(aborted, [200_000, true])

    const unthrottle = await throttleUploads(page, 400_000)
    await run(page, `${UPLOADED}
      await new Promise(resolve => {
        const upload = new tus.Upload(makeFile('other', 1_500_000), { ...${options}, onChunkComplete: resolve })
        upload.start()
      })
    `)
    await page.reload()
    await unthrottle()
    const resumed = await run(page, `${UPLOADED}
      const file = makeFile('other', 1_500_000)
      const url = await uploaded(file, ${options}, async upload => {
        const previous = await upload.findPreviousUploads()
        window.known = previous.length
        upload.resumeFromPreviousUpload(previous[0])
        upload.start()
      })
      return [window.known, window.resumedAt >= 200_000, await arrived(file, url)]
    `)
    t.same(resumed, [1, true, true])
    await page.close()
  })
}
