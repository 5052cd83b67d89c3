import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import t, { type Test } from 'tap'
import { formAppend, rawAppend } from '../../../src/index.js'
import { run } from '../../support/child.js'
import { fetch } from '../../support/deadline.js'
import { requireProgram } from '../../support/requires.js'
import { startServer, type TestServer } from '../../support/server.js'

async function serve (t: Test): Promise<TestServer> {
  return await startServer(t, { prefix: '/', protocols: [formAppend({ prefix: '/api' }), rawAppend()] })
}

async function sha256Of (server: TestServer, uploadId: string): Promise<string> {
  const upload = await server.app.chunkedUpload.get(uploadId.replaceAll('-', ''))
  if (upload === undefined) throw new Error(`no upload ${uploadId}`)
  const hash = createHash('sha256')
  for await (const data of server.app.chunkedUpload.read(upload)) hash.update(data)
  return hash.digest('hex')
}

/** The script that the API's document gives its readers, as it stands there. */
const sample = `
async function uploadVideoInChunks(file, chunkSize = 1024 * 1024) {
  const totalChunks = Math.ceil(file.size / chunkSize);
  let uploadId = null;

  for (let i = 0; i < totalChunks; i++) {
    const start = i * chunkSize;
    const end = Math.min(start + chunkSize, file.size);
    const chunk = file.slice(start, end);

    const formData = new FormData();
    formData.append("file", chunk);

    if (uploadId) {
      formData.append("upload_id", uploadId);
    } else {
      formData.append("filename", file.name);
    }

    const res = await fetch("/api/upload/", { method: "POST", body: formData });
    const data = await res.json();
    uploadId = data.upload_id;

    console.log(\`Chunk \${i + 1}/\${totalChunks} uploaded (\${data.offset} bytes)\`);
  }

  // Complete the upload
  const completeRes = await fetch("/api/upload/complete/", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ upload_id: uploadId }),
  });

  return await completeRes.json();
}
`

/** Runs the document's script on a page of this server, as far as it needs one. */
async function runSample (
  server: TestServer, bytes: Uint8Array<ArrayBuffer>, name: string
): Promise<{ answer: unknown, lines: readonly string[] }> {
  const lines: string[] = []
  const page = createContext({
    FormData,
    console: { log: (line: string) => { lines.push(line) } },
    fetch: async (url: string, init: RequestInit) => await fetch(new URL(url, server.url), init),
    file: new File([bytes], name)
  })
  return { answer: await runInContext(`${sample}; uploadVideoInChunks(file)`, page), lines }
}

t.test('the JavaScript sample of the document runs unchanged', async t => {
  const server = await serve(t)
  const bytes = Uint8Array.from(randomBytes(2_500_000))
  const { answer, lines } = await runSample(server, bytes, 'my video.mp4')
  t.match(answer, {
    message: 'Upload complete.',
    upload: { id: 1, file: /^\/media\/chunked_uploads\/[\d/]{10}\/my_video\.mp4$/, filename: 'my video.mp4', offset: 2_500_000, status: 2 }
  })
  t.strictSame(lines, [
    'Chunk 1/3 uploaded (1048576 bytes)', 'Chunk 2/3 uploaded (2097152 bytes)', 'Chunk 3/3 uploaded (2500000 bytes)'
  ])
  t.equal(await sha256Of(server, Object(Object(answer).upload).upload_id), createHash('sha256').update(bytes).digest('hex'))
  const empty = await runSample(server, new Uint8Array(0), 'empty.mp4')
  t.strictSame(JSON.stringify(empty.answer), '{"error":"upload_id is required."}', 'of an empty file it sends no chunk')
  const second = await runSample(server, bytes.slice(0, 10), 'my video.mp4')
  t.match(second.answer, { upload: { id: 2, file: /\/my_video_\w{7}\.mp4$/, filename: 'my video.mp4' } })
})

async function curl (...args: readonly string[]): Promise<string> {
  const { stdout } = await run('curl', ['-sS', '-w', ' %{http_code}', ...args])
  return stdout
}

t.test('the curl commands of the documents run unchanged', async t => {
  if (requireProgram(t, ['curl']) === undefined) return
  const server = await serve(t)
  const [one, two] = [randomBytes(524_288), randomBytes(524_288)]
  const [first, second] = [join(server.directory, 'chunk1.bin'), join(server.directory, 'chunk2.bin')]
  writeFileSync(first, one)
  writeFileSync(second, two)
  const hash = createHash('sha256').update(one).update(two).digest('hex')

  await t.test('formAppend', async t => {
    const started = await curl('-X', 'POST', `${server.url}/api/upload/`, '-F', `file=@${first}`, '-F', 'filename=my_video.mp4')
    const id = /"upload_id":"([\da-f-]{36})"/.exec(started)?.[1] ?? ''
    t.match(started, /"filename":"my_video\.mp4","offset":524288,"status":1,.*"completed_at":null\} 200$/)
    const next = await curl('-X', 'POST', `${server.url}/api/upload/`, '-F', `file=@${second}`, '-F', `upload_id=${id}`)
    t.match(next, /"offset":1048576,"status":1,.* 200$/)
    const body = `{"upload_id": "${id}"}`
    const complete = ['-X', 'POST', `${server.url}/api/upload/complete/`, '-H', 'Content-Type: application/json', '-d', body]
    t.match(await curl(...complete), /^\{"message":"Upload complete\.","upload":\{.*"offset":1048576,"status":2,.*\} 200$/)
    t.equal(await curl(...complete), '{"error":"Upload already completed."} 400')
    t.equal(await sha256Of(server, id), hash)
  })

  await t.test('rawAppend', async t => {
    const created = await curl('-X', 'POST', `${server.url}/create_video/`)
    t.match(created, /^\{"video_id":\d+\} 201$/)
    const id = /\d+/.exec(created)?.[0] ?? ''
    t.equal(await curl('--data-binary', `@${first}`, `${server.url}/append_video/${id}/`), '{"message":"Video added successfully"} 200')
    t.equal(await curl('--data-binary', `@${second}`, `${server.url}/append_video/${id}/`),
      '{"message":"Video appended and joined successfully"} 200')
    const video = Buffer.from(await (await fetch(`${server.url}/get_video/${id}/`)).arrayBuffer())
    t.equal(createHash('sha256').update(video).digest('hex'), hash)
  })
})
