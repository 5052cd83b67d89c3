import t from 'tap'
import { dropFiles, startBrowser, throttleUploads } from '../support/browser.js'
import { fetch } from '../support/deadline.js'
import { ExampleServer, download, fileRow, progressBeyond, uploadRow } from '../support/example.js'

t.setTimeout(300_000) // a browser, three starts of a server, and some 60 MB on two busy cores

const MB = 1_000_000

const browser = await startBrowser(t)
if (browser !== undefined) {
  const server = await ExampleServer.start()
  t.teardown(async () => {
    await browser.close()
    await server[Symbol.asyncDispose]()
  })

  /** What a file is called once it is there. */
  const names = {
    contentRange: 'contentRange.bin',
    tus: 'tus.bin',
    resumableHttp: 'resumableHttp.bin',
    chunkTasks: 'chunkTasks.bin',
    formAppend: 'formAppend.bin',
    rawAppend: 'video_2.mp4' // all numbers come from one row, and the form's upload has the first one
  }
  for (const [protocol, name] of Object.entries(names)) {
    t.test(`the page uploads by ${protocol}, whole and resumed after a pause`, async t => {
      const page = await server.openPage(t, browser, `#${protocol}`)
      t.equal(await page.getByLabel('Protocol').inputValue(), protocol)
      const { path, sha256 } = await server.randomFile(`${protocol}.bin`, 6 * MB)
      const unthrottle = await throttleUploads(page, 4 * MB)
      await page.getByLabel('Files to upload').setInputFiles(path)
      const row = uploadRow(page, `${protocol}.bin`)
      await progressBeyond(row, 0.3)
      await row.getByRole('button', { name: 'Pause:' }).click()
      await unthrottle()
      await row.getByRole('button', { name: 'Resume:' }).click()
      await fileRow(page, name).waitFor()
      t.same(await download(page, name), { name, sha256 })
    })
  }

  for (const protocol of ['tus', 'resumableHttp', 'chunkTasks', 'formAppend']) {
    t.test(`an empty file is uploaded by ${protocol}`, async t => {
      const page = await server.openPage(t, browser, `#${protocol}`)
      const name = `empty-${protocol}.txt`
      const { path, sha256 } = await server.randomFile(name, 0)
      await page.getByLabel('Files to upload').setInputFiles(path)
      await fileRow(page, name).getByText('0 B', { exact: true }).waitFor()
      t.same(await download(page, name), { name, sha256 })
    })
  }

  for (const protocol of ['contentRange', 'tus', 'resumableHttp', 'chunkTasks', 'formAppend']) {
    t.test(`a file keeps its type by ${protocol}, which slices of it do not have`, async t => {
      const page = await server.openPage(t, browser, `#${protocol}`)
      const name = `typed-${protocol}.json`
      await page.getByLabel('Files to upload').setInputFiles((await server.randomFile(name, 1000)).path)
      const href = await fileRow(page, name).getByRole('link', { name: 'Download' }).getAttribute('href')
      const { headers } = await fetch(new URL(href ?? '', server.url))
      t.match(headers.get('content-type'), /^application\/json/)
    })
  }

  for (const [protocol, title] of [['contentRange', 'Content-Range'], ['rawAppend', 'Raw append']] as const) {
    t.test(`an empty file, which ${protocol} does not take, is refused at once, and the files beside it are sent`, async t => {
      const page = await server.openPage(t, browser, `#${protocol}`)
      const complaints: string[] = []
      page.on('console', message => { complaints.push(message.text()) })
      const paths = []
      for (const [name, size] of [['empty.mp4', 0], ['beside.mp4', 1000], ['empty too.mp4', 0]] as const) {
        paths.push((await server.randomFile(name, size)).path)
      }
      await page.getByLabel('Files to upload').setInputFiles(paths)
      await page.getByRole('alert').getByText(`${title} takes no empty files: empty.mp4, empty too.mp4.`).waitFor()
      await page.getByRole('status').getByText('beside.mp4 is uploaded.').waitFor()
      t.equal(await uploadRow(page, 'empty').count(), 0)
      await page.reload()
      await fileRow(page, 'tus.bin').waitFor()
      t.equal(await page.locator('.upload').count(), 0, 'there is nothing to resume')
      t.same(complaints, [])
    })
  }

  t.test('a file that the server knows by its hash is not sent again as chunks', async t => {
    const page = await server.openPage(t, browser)
    await page.getByLabel('Protocol').selectOption('chunkTasks')
    const { path } = await server.randomFile('known.bin', 2 * MB)
    await page.getByLabel('Files to upload').setInputFiles(path)
    await fileRow(page, 'known.bin').waitFor()
    const requests: string[] = []
    page.on('request', request => { requests.push(`${request.method()} ${new URL(request.url()).pathname}`) })
    await page.getByLabel('Files to upload').setInputFiles(path)
    await page.getByRole('status').getByText('known.bin is uploaded.').waitFor()
    await page.waitForResponse(response => response.url().endsWith('/files'))
    t.same(requests.filter(request => request.startsWith('POST')), ['POST /api/files/upload/create'])
  })

  for (const protocol of ['tus', 'chunkTasks']) {
    t.test(`an upload by ${protocol} outlives a kill -9 of the server, and a reload with another protocol chosen`, async t => {
      const name = `killed-${protocol}.bin`
      const { path, sha256 } = await server.randomFile(name, 16 * MB)
      const page = await server.openPage(t, browser, `#${protocol}`)
      const unthrottle = await throttleUploads(page, 8 * MB)
      await dropFiles(page, [path])
      const row = uploadRow(page, name)
      await progressBeyond(row, 0.4)
      await server.kill('SIGKILL')
      await row.getByText('Waiting for the server…').waitFor()
      await page.getByLabel('Protocol').selectOption('contentRange')
      await server.startAgain()
      await page.reload()
      await unthrottle()
      await fileRow(page, name).waitFor()
      t.same(await download(page, name), { name, sha256 })
    })
  }
}
