import { createRequire } from 'node:module'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { evaluate, startBrowser } from '../support/browser.js'
import { resumableServer, sha256 } from '../support/resumable-server.js'

const script = await readFile(createRequire(import.meta.url).resolve('tus-js-client/dist/tus.js'))
const SIZE = 3_000_000

/** Bytes that page and test can both make. */
const file = Buffer.from(Uint8Array.from({ length: SIZE }, (_, at) => (at * 31 + (at >> 8)) & 255))

/** What the page runs; `stopAt` aborts once so many bytes are acknowledged, otherwise an earlier attempt is looked for and resumed. */
const page = `<!doctype html><script src="/tus.js"></script><script>
  const bytes = Uint8Array.from({ length: ${SIZE} }, (_, at) => (at * 31 + (at >> 8)) & 255)
  const source = new File([bytes], 'page.bin', { type: 'application/x-page', lastModified: 1 })
  window.upload = (options, stopAt) => new Promise((resolve, reject) => {
    const patches = []
    const upload = new tus.Upload(source, {
      endpoint: '/files',
      retryDelays: [0, 50],
      ...options,
      onBeforeRequest: request => { patches.push(request.getMethod()) },
      onError: reject,
      onChunkComplete: (_size, accepted) => {
        if (stopAt !== undefined && accepted >= stopAt) upload.abort().then(() => resolve({ url: upload.url, patches }), reject)
      },
      onSuccess: () => resolve({ url: upload.url, patches })
    })
    upload.findPreviousUploads().then(([previous]) => {
      if (previous !== undefined) upload.resumeFromPreviousUpload(previous)
      upload.start()
    })
  })
</script>`

t.test('tus-js-client in Chromium speaks the drafts', async t => {
  const browser = await startBrowser(t)
  if (browser === undefined) return
  t.teardown(() => browser.close())
  const server = await resumableServer(t, {
    after: app => {
      app.get('/', async (_request, reply) => reply.type('text/html').send(page))
      app.get('/tus.js', async (_request, reply) => reply.type('text/javascript').send(script))
    }
  })
  for (const protocol of ['ietf-draft-03', 'ietf-draft-05']) {
    for (const options of [{ protocol }, { protocol, chunkSize: 700_000 }, { protocol, uploadDataDuringCreation: true }]) {
      const context = await browser.newContext()
      const tab = await context.newPage()
      await tab.goto(server.origin)
      const { url } = await evaluate<{ url: string }>(tab, `upload(${JSON.stringify(options)})`)
      t.equal(await server.sha256(url), sha256(file), JSON.stringify(options))
      t.equal((await server.upload(url))?.status, 'complete')
      await context.close()
    }

    const context = await browser.newContext()
    const tab = await context.newPage()
    await tab.goto(server.origin)
    const options = JSON.stringify({ protocol, chunkSize: 500_000 })
    const first = await evaluate<{ url: string }>(tab, `upload(${options}, 1000000)`)
    t.equal((await server.upload(first.url))?.status, 'uploading')
    await tab.reload()
    const second = await evaluate<{ url: string, patches: string[] }>(tab, `upload(${options})`)
    t.equal(second.url, first.url, `${protocol} goes on after a reload`)
    t.equal(second.patches[0], 'HEAD')
    t.equal(await server.sha256(second.url), sha256(file))
    await context.close()
  }
})
