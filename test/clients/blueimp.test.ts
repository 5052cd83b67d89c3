import { createHash, randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import type { Page } from 'playwright-core'
import chunkedUpload, { contentRange } from '../../src/index.js'
import type { ContentRangeOptions, Upload } from '../../src/index.js'
import { evaluate, startBrowser } from '../support/browser.js'

const SIZE = 5 * 2 ** 20 + 321
const content = randomBytes(SIZE)
const md5 = createHash('md5').update(content).digest('hex')

const folderOf = (name: string): string => fileURLToPath(new URL('.', import.meta.resolve(name)))
const page = `<!doctype html><input id="file" type="file" name="file">
<script src="/jquery/jquery.js"></script><script src="/blueimp/vendor/jquery.ui.widget.js"></script>
<script src="/blueimp/jquery.iframe-transport.js"></script><script src="/blueimp/jquery.fileupload.js"></script>
<script>
  // As in drf-chunked-upload's document: each answer has the URL of the next chunk.
  const sendByPut = md5 => new Promise((resolve, reject) => {
    let chunks = 0
    let target = '/uploads/'
    $('#file').fileupload({
      type: 'PUT',
      url: target,
      maxChunkSize: 1048576,
      dataType: 'json',
      chunkbeforesend: (event, data) => { data.url = target },
      chunkdone: (event, data) => { chunks++; target = data.result.url },
      fail: (event, data) => reject(new Error(String(data.errorThrown))),
      done: (event, data) => $.post(data.result.url, { md5 }).then(result => resolve({ chunks, result }), reject)
    })
  })
  // As in the demo of django-chunked-upload: the id goes into the form of the later chunks.
  const sendByForm = ({ md5, maxChunkSize }) => new Promise((resolve, reject) => {
    const formData = []
    let chunks = 0
    $('#file').fileupload({
      url: '/uploads/upload/',
      dataType: 'json',
      maxChunkSize,
      formData,
      chunkdone: (event, data) => {
        chunks++
        if (formData.length === 0) formData.push({ name: 'upload_id', value: data.result.upload_id })
      },
      fail: (event, data) => reject(new Error(String(data.errorThrown))),
      done: (event, data) => {
        $.post('/uploads/complete/', { upload_id: data.result.upload_id, md5 }).then(result => resolve({ chunks, result }), reject)
      }
    })
  })
</script>`

/** What the page's own script reports: the answers of the chunks, and the last one. */
interface Report { readonly chunks: number, readonly result: Record<string, unknown> }

/** A host with blueimp's page; tells of the upload that was completed. */
async function startHost (
  directory: string, options: ContentRangeOptions
): Promise<{ app: FastifyInstance, url: string, completed: Upload[] }> {
  const app = Fastify()
  const completed: Upload[] = []
  await app.register(chunkedUpload, {
    prefix: '/uploads',
    directory,
    protocols: [contentRange(options)],
    onComplete: upload => { completed.push(upload) }
  })
  await app.register(fastifyStatic, { root: folderOf('jquery'), prefix: '/jquery/' })
  await app.register(fastifyStatic, { root: folderOf('blueimp-file-upload'), prefix: '/blueimp/', decorateReply: false })
  app.get('/', async (_request, reply) => reply.type('text/html').send(page))
  return { app, url: await app.listen({ port: 0, host: '127.0.0.1' }), completed }
}

async function choose (browserPage: Page, name: string): Promise<void> {
  await browserPage.setInputFiles('#file', { name, mimeType: 'video/mp4', buffer: content })
}

t.test('blueimp jQuery-File-Upload in Chromium', async t => {
  const browser = await startBrowser(t)
  if (browser === undefined) return
  t.teardown(() => browser.close())

  await t.test('sends chunks by PUT to the URL that the first answer gave (drf), and completes', async t => {
    const { app, url, completed } = await startHost(t.testdir(), {})
    t.teardown(() => app.close())
    const browserPage = await browser.newPage()
    await browserPage.goto(url)
    const done = evaluate<Report>(browserPage, `sendByPut('${md5}')`)
    await choose(browserPage, 'größe.mp4')
    const { chunks, result } = await done
    t.equal(chunks, 6)
    t.match(result, { status: 2, offset: SIZE, filename: 'größe.mp4' })
    const [upload] = completed
    t.match(upload, { size: SIZE, checksum: { value: md5 } })
  })

  await t.test('speaks the two-route form of django-chunked-upload as deployed', async t => {
    const { app, url, completed } = await startHost(t.testdir(), { dialect: 'parent' })
    t.teardown(() => app.close())
    for (const maxChunkSize of [2 * 2 ** 20, SIZE + 1]) {
      const browserPage = await browser.newPage()
      await browserPage.goto(url)
      const done = evaluate<Report>(browserPage, `sendByForm(${JSON.stringify({ md5, maxChunkSize })})`)
      await choose(browserPage, 'clip.mp4')
      const { chunks, result } = await done
      t.equal(chunks, maxChunkSize > SIZE ? 0 : 3, `chunks of ${maxChunkSize} bytes`)
      t.strictSame(result, {})
    }
    t.equal(completed.length, 2)
    for (const upload of completed) t.match(upload, { size: SIZE, checksum: { value: md5 } })
  })
})
