import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import t, { type Test } from 'tap'
import { endOf, runSync } from '../support/child.js'
import { fetch, once, request } from '../support/deadline.js'
import { KillableServer } from '../support/killable-server.js'
import { requireExt4 } from '../support/requires.js'

// A server starts on each of the images, on a busy machine too.
t.setTimeout(600_000)

const MIB = 2 ** 20
const CUTS = 3

interface UploadRecord { readonly id: string, readonly offset: number, readonly status: number }

/** What the client knows of one upload. */
interface Sent {
  readonly id: string
  readonly content: Buffer
  /** The offset that it was told last. */
  offset: number
  complete: boolean
  /** The record said that the file is on the disk. */
  synced: boolean
}

const rows: ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>]> = [
  ["durability 'process', with a checksum", {}],
  ["durability 'process', without a checksum", { checksum: false }],
  ["durability 'disk'", { durability: 'disk' }]
]

for (const [name, options] of rows) {
  t.test(`invariants 1 and 5: after a power cut no file is served that is not right, ${name}`, async t => {
    const directory = t.testdir({ trial: {}, images: {}, disk: {} })
    const shell = requireExt4(t, path.join(directory, 'trial'))
    if (shell === undefined) return
    const [image, at] = [path.join(directory, 'images/disk'), path.join(directory, 'disk')]
    runSync('sh', ['-c', 'truncate -s 96M "$0" && mkfs.ext4 -q -F "$0"', image])
    const server = serverOn(shell, image, at, options)
    await server.start()
    t.teardown(() => server.kill())
    const sent: Sent[] = []
    let served = 0
    for (let cut = 0; cut < CUTS; cut++) {
      for (let file = 0; file < 2; file++) sent.push(await upload(server, 1, options))
      // The disk gets this one before the next two come.
      const known = sent.at(-1)
      if (cut > 0 && known !== undefined) await untilSynced(server, at, known.id)
      for (let file = 0; file < 2; file++) sent.push(await upload(server, 1, options))
      sent.push(await upload(server, 0.5, options))
      const inFlight = await beginBody(server, sent)

      // Of all that waits in memory the system may write any part first: here the records.
      await syncRecords(server, at)
      process.kill(server.pid, 'SIGSTOP')
      for (const upload of sent) upload.synced = await isSynced(server, at, upload.id)
      const copy = path.join(directory, `images/cut-${cut}`)
      copyStill(image, copy)
      process.kill(server.pid, 'SIGCONT')
      await inFlight.finish()

      const after = serverOn(shell, copy, at, options)
      await after.start()
      served += await compare(t, after, sent, options)
      await after.kill()
      await rm(copy)
    }
    t.ok(served > 0, `${served} files were served`)
  })
}

function serverOn (shell: readonly string[], image: string, at: string, options: Readonly<Record<string, unknown>>): KillableServer {
  const mounted = ['sh', '-c', 'mount -o loop "$0" "$1" && shift && exec "$@"', image, at]
  return new KillableServer(at, { downloads: true, ...options }, [...shell, ...mounted])
}

/** Sends that share of a new file, in chunks; all of it is completed, too. */
async function upload (server: KillableServer, share: number, options: Readonly<Record<string, unknown>>): Promise<Sent> {
  const content = randomBytes(MIB + 1000)
  const half = Math.floor(content.length / 2)
  const first = await put(server, '', content, [0, half])
  const sent = { id: first.id, content, offset: first.offset, complete: false, synced: false }
  if (share < 1) return sent
  sent.offset = (await put(server, sent.id, content, [half, content.length])).offset
  sent.complete = (await complete(server, sent, options)).status === 200
  return sent
}

async function put (
  server: KillableServer, id: string, content: Buffer, [start, end]: readonly [number, number]
): Promise<UploadRecord> {
  const answer = await fetch(server.url + id, {
    method: 'PUT',
    headers: { 'content-range': `bytes ${start}-${end - 1}/${content.length}`, 'content-type': 'application/octet-stream' },
    body: content.subarray(start, end)
  })
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`)
  return await answer.json() as UploadRecord
}

async function complete (
  server: KillableServer, { id, content }: Sent, { checksum }: Readonly<Record<string, unknown>>
): Promise<Response> {
  const fields = checksum === false ? {} : { md5: createHash('md5').update(content).digest('hex') }
  return await fetch(server.url + id, { method: 'POST', body: new URLSearchParams(fields) })
}

/** A body of which half is under way when the power goes. */
async function beginBody (server: KillableServer, sent: Sent[]): Promise<{ finish (): Promise<void> }> {
  const content = randomBytes(MIB)
  const { id, offset } = await put(server, '', content, [0, 1000])
  const upload = { id, content, offset, complete: false, synced: false }
  sent.push(upload)
  const body = request({
    url: server.url + id,
    method: 'PUT',
    headers: {
      'content-range': `bytes ${offset}-${MIB - 1}/${MIB}`, 'content-type': 'application/octet-stream', 'content-length': MIB - offset
    }
  })
  body.write(content.subarray(offset, MIB / 2))
  return {
    async finish () {
      const response = once(body, 'response')
      body.end(content.subarray(MIB / 2))
      const [answer] = await response
      answer.resume()
      await once(answer, 'end')
      upload.offset = MIB
    }
  }
}

/** Whatever the power cut took, only right bytes are served. @returns how many files were */
async function compare (
  t: Test, server: KillableServer, sent: readonly Sent[], options: Readonly<Record<string, unknown>>
): Promise<number> {
  const counts = { served: 0, lost: 0, resumed: 0, shrunk: 0 }
  for (const upload of sent) {
    const { id, content } = upload
    const mustBeThere = upload.synced || (options['durability'] === 'disk' && upload.complete)
    const detail = await fetch(server.url + id)
    if (detail.status !== 200) {
      if (mustBeThere) t.fail(`a file that is on the disk is ${detail.status}`)
      counts.lost++
      continue
    }
    const { status, offset } = await detail.json() as UploadRecord
    if (status === 1) {
      if (mustBeThere) t.fail('a file that is on the disk is not finished any more')
      if (options['durability'] === 'disk' && offset < Math.min(upload.offset, 1000)) t.fail(`only ${offset} bytes are left`)
      if (offset < content.length) await put(server, id, content, [offset, content.length])
      const done = await complete(server, upload, options)
      if (done.status !== 200) t.fail(`completing is ${done.status} ${await done.text()}`)
      counts[offset < upload.offset ? 'shrunk' : 'resumed']++
    }
    const file = await fetch(`${server.url}${id}/file`)
    const bytes = Buffer.from(await file.arrayBuffer())
    if (file.status === 200) {
      if (!bytes.equals(content)) t.fail('bytes were served that are not right')
      counts.served++
    } else {
      if (mustBeThere || status === 1) t.fail(`a file that is there is ${file.status}`)
      if (file.status !== 410 && file.status !== 404) t.fail(`a lost file is ${file.status}`)
      counts.lost++
    }
  }
  t.pass(`${JSON.stringify(counts)}`)
  return counts.served
}

/** Where the server's own mount has the records. */
function recordsOf (server: KillableServer, at: string): string {
  return path.join(`/proc/${server.pid}/root`, at, '.chunked_uploads/records')
}

async function recordFiles (server: KillableServer, at: string): Promise<string[]> {
  const entries = await readdir(recordsOf(server, at), { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => path.join(parentPath, name))
}

async function syncRecords (server: KillableServer, at: string): Promise<void> {
  for (const file of await recordFiles(server, at)) {
    // A record that was finished just now has a new file.
    const handle: FileHandle | undefined = await open(file, 'r').catch(() => undefined)
    await handle?.sync()
    await handle?.close()
  }
}

async function isSynced (server: KillableServer, at: string, id: string): Promise<boolean> {
  const [file] = (await recordFiles(server, at)).filter(file => path.basename(file) === `${id}.jsonl`)
  return file !== undefined && (await readFile(file, 'utf8')).includes('"synced":true')
}

async function untilSynced (server: KillableServer, at: string, id: string): Promise<void> {
  while (!await isSynced(server, at, id)) await new Promise(resolve => { setTimeout(resolve, 50) })
}

/** A copy of the image as it was at one instant: until nothing is written while it is made. */
function copyStill (image: string, copy: string): void {
  do runSync('cp', ['--sparse=always', image, copy])
  while (endOf('cmp', ['-s', image, copy]).status !== 0)
}
